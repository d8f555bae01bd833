"""Reads what Ansible inventories are written in: INI, YAML, and the JSON that scripts print."""

import ast
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from repod.client.hostgroups import UNGROUPED, Tree
from repod.client.hostranges import expanded
from repod.errors import Misconfigured

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_PORT = re.compile(r"(?P<host>.+?):(?P<port>[0-9]{1,5})")
_IN_BRACKETS = re.compile(r"\[(?P<host>[0-9A-Fa-f:.]+)\](?::(?P<port>[0-9]{1,5}))?")
_RANGES = re.compile(r"\[[^\]]*\]")
_KINDS = {"hosts", "vars", "children"}


class Secret:
    """A value that is encrypted; nothing here can be made of it."""


class _Loader(yaml.SafeLoader):
    """YAML as Ansible writes it."""


_Loader.add_constructor("!vault", lambda _loader, _node: Secret())
_Loader.add_constructor("!vault-encrypted", lambda _loader, _node: Secret())
_Loader.add_constructor("!unsafe", lambda _loader, node: str(node.value))


def loaded(text: str, what: str) -> Any:
    """The value of a YAML document; ``Misconfigured`` where it is none. ``what``: the file, for the message."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader with three tags more  # nosec B506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise Misconfigured(f"{what}: expected YAML, found what is none ({told})") from error


def read_ini(tree: Tree, text: str, what: str) -> None:
    """Add what an INI inventory says. ``what``: the file, for messages of ``Misconfigured``."""
    group, kind = UNGROUPED, "hosts"
    named: dict[str, str] = {}
    declared = set(tree.groups)
    for number, raw in enumerate(text.splitlines(), 1):
        line, place = raw.strip(), f"{what}, line {number}"
        if not line or line[0] in "#;":
            continue
        if match := _SECTION.fullmatch(line):
            group, kind = match[1], match[2] or "hosts"
            if kind not in _KINDS:
                raise Misconfigured(f"{place}: expected [GROUP], [GROUP:vars] or [GROUP:children], found {line}")
            if kind == "vars":
                named.setdefault(group, place)
            else:
                declared.add(group)
            tree.add_group(group)
        elif line[0] == "[" and line[-1] == "]":
            raise Misconfigured(f"{place}: expected [GROUP], [GROUP:vars] or [GROUP:children], found {line}")
        elif kind == "hosts":
            _ini_host(tree, group, line, place)
        elif kind == "vars":
            key, value = _pair(line, place)
            tree.groups[group][key] = value
        else:
            child = line.split("#", 1)[0].strip()
            named.setdefault(child, place)
            tree.add_child(group, child)
    for missing in named.keys() - declared:
        raise Misconfigured(f"{named[missing]}: expected a group that is there, found {missing!r}; add [{missing}]")


def _ini_host(tree: Tree, group: str, line: str, place: str) -> None:
    try:
        first, *rest = shlex.split(line, comments=True)
    except ValueError as error:
        raise Misconfigured(f"{place}: expected a host and its variables, found {line!r} ({error})") from error
    values = dict(_pair(one, place) for one in rest)
    add_hosts(tree, group, first, values, place)


def _pair(text: str, place: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    if not sign:
        raise Misconfigured(f"{place}: expected KEY=VALUE, found {text!r}")
    return key.strip(), _value(value.strip())


def _value(text: str) -> Any:
    """As Ansible reads values of an INI file: a Python literal, else a text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def add_hosts(tree: Tree, group: str, entry: str, values: Mapping[str, Any], place: str) -> None:
    """Add the hosts that an entry with ranges or a port means."""
    match = _IN_BRACKETS.fullmatch(entry) if entry.count(":") > 1 else None
    # Of an IPv6 address without brackets, no part is a port.
    if match is None and _RANGES.sub("", entry).count(":") == 1:
        match = _PORT.fullmatch(entry)
    name, port = (match["host"], match["port"]) if match else (entry, None)
    try:
        names = [name] if match and "[" not in name and ":" in name else expanded(name)
    except Misconfigured as error:
        raise Misconfigured(f"{place}: {error}") from error
    if any(one.endswith(":") for one in names):
        raise Misconfigured(f"{place}: expected HOST or HOST:PORT, found {entry!r}")
    own = {"ansible_port": port} if port else {}
    for one in names:
        tree.add_host(one, group, {**values, **own})


def read_yaml(tree: Tree, found: Any, what: str) -> None:
    """Add what a YAML inventory says; ``found`` is its value."""
    if not isinstance(found, dict) or not found:
        raise Misconfigured(f"{what}: expected groups such as 'web: {{hosts: {{web1: }}}}', found {_kind(found)}")
    for group, content in found.items():
        _yaml_group(tree, str(group), content, what)


def _yaml_group(tree: Tree, group: str, content: Any, what: str) -> None:
    place = f"{what}, group {group}"
    parts = _mapping(content, place)
    tree.add_group(group)
    if unknown := parts.keys() - _KINDS:
        raise Misconfigured(f"{place}: expected hosts, vars and children, found {', '.join(sorted(map(str, unknown)))}")
    tree.groups[group].update(_mapping(parts.get("vars"), f"{place}, vars"))
    for child, inner in _mapping(parts.get("children"), f"{place}, children").items():
        tree.add_child(group, str(child))
        _yaml_group(tree, str(child), inner, what)
    for entry, values in _mapping(parts.get("hosts"), f"{place}, hosts").items():
        if not isinstance(entry, str):
            raise Misconfigured(f"{place}, hosts: expected names, found {entry!r}; put it in quotes")
        add_hosts(tree, group, entry, _mapping(values, f"{place}, host {entry}"), place)


def read_listed(tree: Tree, found: Any, what: str) -> Sequence[str]:
    """Add what a script prints for ``--list``. The hosts whose variables it is still to be asked for, one by one."""
    if not isinstance(found, dict):
        raise Misconfigured(f"{what} printed no inventory: expected a JSON object of groups, found {_kind(found)}")
    meta = found.get("_meta")
    values = _mapping(meta.get("hostvars"), f"{what}, _meta: hostvars") if isinstance(meta, dict) else {}
    for group, content in found.items():
        if group != "_meta":
            _listed_group(tree, group, content, f"{what}, group {group}")
    for host in tree.hosts.keys() & values.keys():
        tree.hosts[host].update(_mapping(values[host], f"{what}, host {host}"))
    return () if isinstance(meta, dict) else list(tree.hosts)


def _listed_group(tree: Tree, group: str, content: Any, place: str) -> None:
    tree.add_group(group)
    parts = {"hosts": content} if isinstance(content, list) else _mapping(content, place)
    tree.groups[group].update(_mapping(parts.get("vars"), f"{place}, vars"))
    for key in ("hosts", "children"):
        names = parts.get(key) or []
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise Misconfigured(f"{place}, {key}: expected a list of names, found {_kind(names)}")
        for one in names:
            if key == "hosts":
                tree.add_host(one, group, {})
            else:
                tree.add_child(group, one)


def _mapping(found: Any, place: str) -> dict[Any, Any]:
    """A mapping; nothing at all is an empty one, and a name alone one without values, as for Ansible."""
    if found is None:
        return {}
    if isinstance(found, str):
        return {found: None}
    if not isinstance(found, dict):
        raise Misconfigured(f"{place}: expected a mapping, found {_kind(found)}")
    return found


def _kind(found: Any) -> str:
    return {list: "a list", str: "a text", type(None): "nothing", dict: "an empty mapping"}.get(
        type(found), f"{found!r}"
    )
