"""Hosts of an Ansible inventory: INI and YAML files, directories of them, executable scripts.

It is read here and not by Ansible, so that it says the same on machines without Ansible; tests hold it to what
Ansible says. What only Ansible can evaluate is not guessed at: a configuration of an inventory plugin is handed to
``ansible-inventory``, and a template in a variable that says how a host is reached is ``Misconfigured``.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repod import jsontext
from repod.client.fleet import Host, Way
from repod.client.grouping import Members
from repod.client.hostgroups import Tree, Vars, circle, memberships, values_of
from repod.client.hostpatterns import chosen
from repod.client.inventory.ansiblefiles import Secret, loaded, read_ini, read_listed, read_yaml
from repod.client.inventory.program import MOST, output
from repod.errors import Misconfigured, Unavailable
from repod.numerals import number

_YAML = {".yml", ".yaml", ".json"}
# What Ansible passes over in a directory, by its defaults.
_PASSED_OVER = re.compile(
    r"^\.|(?:\.pyc|\.pyo|\.swp|\.bak|~|\.rpm|\.md|\.txt|\.rst|\.orig|\.cfg|\.retry)$|^(?:host_vars|group_vars|vars_plugins)$"
)
_ENCRYPTED = "$ANSIBLE_VAULT"
_SSH = {"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh"}
_LOCAL = {"local", "ansible.builtin.local"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ansible:
    """``ansible`` and ``pattern``. Places are relative to the folder of the settings."""

    group: Members
    folder: Path
    environ: Mapping[str, str]

    def hosts(self) -> Sequence[Host]:
        """Those that the pattern means, in the inventory's order."""
        root = Path(self.group.ansible)
        tree = Tree()
        reader = _Reader(
            tree=tree, environ=self.environ, seconds=self.group.timeout, end=time.monotonic() + self.group.timeout
        )
        reader.read(root)
        if found := circle(tree):
            raise Misconfigured(f"{root}: group {found} is a child of itself, by {found}:children or below it")
        reader.read_beside(root if root.is_dir() else root.parent)
        of = memberships(tree)
        return [self._host(tree, name, of[name]) for name in chosen(tree, self.group.pattern)]

    def _host(self, tree: Tree, name: str, groups: Sequence[str]) -> Host:
        values = values_of(tree, name, groups)
        identity = _text(values, name, "ansible_ssh_private_key_file", "ansible_private_key_file")
        return Host(
            name=name,
            address=_text(values, name, "ansible_host", "ansible_ssh_host") or name,
            way=self._way(_text(values, name, "ansible_connection"), name),
            user=_text(values, name, "ansible_user", "ansible_ssh_user"),
            port=_port(_text(values, name, "ansible_port", "ansible_ssh_port"), name),
            identity=str(self.folder / Path(identity).expanduser()) if identity else "",
            facts={"groups": ",".join(sorted(groups))} if groups else {},
        )

    def _way(self, connection: str, name: str) -> Way:
        if connection in _LOCAL:
            return "local"
        if connection and connection not in _SSH and not self.group.transport:
            msg = (
                f"host {name}: expected ansible_connection ssh or local, found {connection!r}; leave such hosts out "
                "by pattern or exclude, or say how they are reached with transport"
            )
            raise Misconfigured(msg)
        return self.group.way


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Adds what lies at places to a tree. ``seconds``: how long its programs may take together; ``end``: until when."""

    tree: Tree
    environ: Mapping[str, str]
    seconds: float
    end: float

    def read(self, path: Path) -> None:
        """A file, a script, or all of a directory in the order of its names."""
        if path.is_dir():
            for one in sorted(path.iterdir(), key=lambda one: one.name):
                if not _PASSED_OVER.search(one.name):
                    self.read(one)
        elif path.is_file() and os.access(path, os.X_OK):
            self._ask([str(path.resolve())], path)
        else:
            self._read_file(path)

    def _read_file(self, path: Path) -> None:
        text = _read(path)
        if text.startswith(_ENCRYPTED):
            msg = f"{path}: expected an inventory, found an encrypted file; have a script print it decrypted"
            raise Misconfigured(msg)
        found = loaded(text, str(path)) if path.suffix in _YAML else _mapping_in(text, path)
        if isinstance(found, dict) and "plugin" in found:
            self._ask(["ansible-inventory", "--inventory", str(path.resolve())], path)
        elif found is not None or path.suffix in _YAML:
            read_yaml(self.tree, found, str(path))
        else:
            read_ini(self.tree, text, str(path))

    def _ask(self, words: Sequence[str], path: Path) -> None:
        """Add what a program prints for ``--list``, and for ``--host`` where that lacks the variables of hosts."""
        asked = self._printed([*words, "--list"], path)
        own = Tree()
        for host in read_listed(own, asked, str(path)):
            values = self._printed([*words, "--host", host], path)
            own.hosts[host].update(values if isinstance(values, dict) else {})
        _join(self.tree, own)

    def _printed(self, words: Sequence[str], path: Path) -> Any:
        left = max(self.end - time.monotonic(), 0.01)
        try:
            folder = path.resolve().parent
            printed = output(words, folder=folder, environ=self.environ, seconds=self.seconds, left=left)
            return jsontext.loads(printed)
        except ValueError as error:
            msg = (
                f"{' '.join(words)} printed no JSON ({error}); where {path.name} is no script, take its x bit: chmod -x"
            )
            raise Misconfigured(msg) from error
        except Misconfigured as error:
            if words[0] == "ansible-inventory":
                hint = f"{path} configures an inventory plugin, which only Ansible can ask; install ansible-core here"
            else:
                hint = f"where {path.name} is no script, take its x bit: chmod -x"
            raise Misconfigured(f"{error}; {hint}") from error

    def read_beside(self, folder: Path) -> None:
        """What ``group_vars`` and ``host_vars`` beside the inventory say."""
        for kind, found, names in (
            ("group_vars", self.tree.beside_groups, self.tree.groups),
            ("host_vars", self.tree.beside_hosts, self.tree.hosts),
        ):
            if (folder / kind).is_dir():
                found.update({name: _beside(folder / kind / name) for name in names if "/" not in name})


def _join(tree: Tree, other: Tree) -> None:
    for group, values in other.groups.items():
        tree.add_group(group)
        tree.groups[group].update(values)
    for group, children in other.children.items():
        for child in children:
            tree.add_child(group, child)
    for group, hosts in other.members.items():
        for host in hosts:
            tree.add_host(host, group, other.hosts[host])


def _beside(path: Path) -> Vars:
    """The variables in the file of that name, with or without an extension, or in all files of the directory."""
    found: Vars = {}
    for one in (path, *(path.with_name(path.name + suffix) for suffix in sorted(_YAML))):
        for file in _files(one):
            text = _read(file)
            values = {} if text.startswith(_ENCRYPTED) else loaded(text, str(file))
            if not isinstance(values, dict | None):
                raise Misconfigured(f"{file}: expected variables, found {values!r:.60}")
            found.update(values or {})
    return found


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for one in sorted(path.iterdir(), key=lambda one: one.name):
            if one.name[0] != "." and one.name[-1] != "~" and (one.is_dir() or one.suffix in {*_YAML, ""}):
                yield from _files(one)
    elif path.is_file():
        yield path


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except FileNotFoundError as error:
        raise Misconfigured(f"ansible: there is no {path.absolute()}; see ansible in the group's settings") from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror})") from error
    if len(data) > MOST:
        raise Misconfigured(f"{path}: expected an inventory of at most {MOST >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: expected UTF-8 ({error})") from error


def _mapping_in(text: str, path: Path) -> Any:
    """The value of a file without an extension where it is a YAML mapping, as Ansible tries it; else None."""
    if path.suffix:
        return None
    try:
        found = loaded(text, str(path))
    except Misconfigured:
        return None
    return found if isinstance(found, dict) else None


def _text(values: Vars, host: str, *keys: str) -> str:
    """The first of these variables that is set, as a text."""
    key = next((key for key in keys if values.get(key) is not None), None)
    found = values[key] if key else ""
    if isinstance(found, Secret) or "{{" in str(found) or "{%" in str(found):
        what = "an encrypted value" if isinstance(found, Secret) else "a template"
        msg = f"host {host}: {key} is {what}, which only Ansible can read; write the value itself, or use command"
        raise Misconfigured(msg)
    return str(found).strip()


def _port(text: str, host: str) -> int:
    if not text:
        return 0
    found = number(text, (1 << 16) - 1)
    if not found:
        raise Misconfigured(f"host {host}: expected ansible_port from 1 to 65535, found {text!r}")
    return found
