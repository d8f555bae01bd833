"""A package brought to every host: ``repoctl hosts update``, and a serial play of Ansible with the same waves.

Both start from the build before; both ask dnf for the newest build with the repository's news. repoctl also fixes the
build at the start, proves each host by NEVRA and header digest, and tells the daemon.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from repod.access import ANY
from repod.callers.tokens import TokenFile
from repod.signing.create import create_key
from tests.bench.hosts import HEADER, INVENTORY, ansible_settings, measured, prepared
from tests.bench.measure import table
from tests.lab.daemon import Repod, toml
from tests.lab.machines import Machines
from tests.lab.repoctl import command
from tests.lab.rpms import quick
from tests.lab.wait import until

_PLAY = """
- hosts: all
  gather_facts: false
  serial: [1, "25%"]
  tasks:
    - command: dnf -y --refresh install hello
      become: true
    - command: rpm -q hello
"""


def run(count: int) -> None:
    """Measure with so many hosts, and print the table."""
    with (
        tempfile.TemporaryDirectory(prefix="repod-bench-") as name,
        Machines(Path(name) / "hosts", count) as machines,
    ):
        prepared(Path(name), machines)
        _run(Path(name), machines)


def _run(folder: Path, machines: Machines) -> None:
    made = create_key("bench <bench@localhost>", environ=os.environ)
    with _serving(folder, made.secret) as (repod, token):
        _publish(repod, "1.0")
        first = next((repod.store("prod") / "Packages").rglob("hello-1.0-1*.rpm")).read_bytes()
        for machine in machines:
            machine.subscribe(repod.repo_file("prod"), "prod")
            machine.put("/var/tmp/hello.rpm", first)
            machine.run("rpm", "--install", "--nosignature", "/var/tmp/hello.rpm")
        _settings(folder, machines, made.fingerprint)
        rows = []
        # The first one of all imports keys and fills caches, which is nobody's work that is compared here.
        for kind, version in (("", "2.0"), ("repoctl hosts update", "3.0"), ("Ansible, the same waves", "4.0")):
            _publish(repod, version)
            words, env = _commands(folder, repod, token, by_ansible=kind.startswith("Ansible"))
            if words:
                rows.append(
                    measured(kind, words, env, len(machines), rf"hello-{version}-1\.noarch|web\d+ +\d+ +proven .*")
                )
        print(f"\n{len(machines)} hosts updated, one first and then waves of 25 %\n")
        table(HEADER, rows[1:])


def _commands(
    folder: Path, repod: Repod, token: str, *, by_ansible: bool
) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    if not by_ansible:
        words = command("hosts", "update", "hello", "--group", "web", "-c", folder / "repoctl.toml")
        return words, {"REPOCTL_URL": repod.url, "REPOCTL_TOKEN": token}
    player = shutil.which("ansible-playbook")
    (folder / "rollout.yml").write_text(_PLAY)
    return [player, "-i", folder / INVENTORY, folder / "rollout.yml"] if player else [], ansible_settings(folder)


@contextmanager
def _serving(folder: Path, secret: bytes) -> Iterator[tuple[Repod, str]]:
    base, key = folder / "daemon", folder / "key.asc"
    base.mkdir()
    key.touch(mode=0o600)
    key.write_bytes(secret)
    settings = {"http": {"listen": "127.0.0.1:0", "tokens": "tokens.json"}}
    with Repod(base, key, ["prod"], settings) as repod:
        tokens = TokenFile(base / "tokens.json", time.time)
        yield repod, tokens.add("bench", os.urandom, verbs=["read", "report"], repositories=[ANY], seconds=None)


def _publish(repod: Repod, version: str) -> None:
    before = len(repod.find_events("package published"))
    quick(repod.inbox("prod"), "hello", version)
    until(lambda: len(repod.find_events("package published")) > before, 30, f"hello {version}")


def _settings(folder: Path, machines: Machines, fingerprint: str) -> None:
    ssh = {"identity": [str(machines.identity)], "known_hosts": [str(machines.known_hosts)], "agent": False}
    members = ", ".join(
        f'{{name = "{machine.name}", address = "{machine.address}", user = "deploy"}}' for machine in machines
    )
    text = toml({"state_dir": "state", "ssh": ssh, "repository": {"prod": {"keys": [fingerprint]}}})
    text += f'[group.web]\nrepository = "prod"\nhosts = [{members}]\n[group.web.rollout]\nwave = "25%"\n'
    (folder / "repoctl.toml").write_text(text)
