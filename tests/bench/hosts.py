"""Hosts asked over SSH: repoctl's transport, Fabric's ThreadingGroup and a serial play of Ansible, in the same run.

Each host is a root of its own with its own sshd (``tests/lab/machines.py``), on the cores that the clients run on too.
The work is the same for all: connect, ask ``rpm -q`` for a package, run one command as root.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import table
from tests.lab.machines import Machines
from tests.lab.processes import children

HEADER = ("client", "wall", "per host", "memory", "threads", "connections", "failed")
INVENTORY = "inventory.ini"

_EVERY = 0.2
_SSH = ":0016"  # port 22 in /proc/net/tcp
_ESTABLISHED = "01"
_PLAY = """
- hosts: all
  gather_facts: false
  serial: {serial}
  tasks:
    - command: rpm -q lab-base
    - command: hostname
      become: true
"""
_CONFIG = """
[defaults]
forks = {serial}
host_key_checking = true
stdout_callback = minimal
interpreter_python = /usr/bin/python3
retry_files_enabled = false
[ssh_connection]
pipelining = true
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={known} -o IdentityFile={key}
control_path_dir = {folder}/cp
"""


@dataclass(slots=True)
class _Peak:
    """The most at one time, of a process and all that it started: memory in MiB, threads, connections."""

    mib: float = 0.0
    threads: int = 0
    connections: int = 0

    def look(self, pid: int) -> None:
        """Look once."""
        family = {pid, *children(pid)}
        self.mib = max(self.mib, sum(map(_memory, family)))
        self.threads = max(self.threads, sum(map(_threads, family)))
        self.connections = max(self.connections, _connections())


def _memory(pid: int) -> float:
    """The share of memory that a process takes, where what it shares is divided among all that share it."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


def _threads(pid: int) -> int:
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    return 0


def _connections() -> int:
    """Connections of this machine to a port 22."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[2].endswith(_SSH) and row[3] == _ESTABLISHED for row in rows)


def run(count: int, only: str = "") -> None:
    """Measure with so many hosts, and print the table; ``only``: how the names of clients begin."""
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        folder = Path(name)
        begun = time.perf_counter()
        with Machines(folder / "hosts", count) as machines:
            print(f"{count} hosts, up in {time.perf_counter() - begun:.1f} s\n")
            commands = prepared(folder, machines)
            rows = [
                measured(kind, words, env, count) for kind, (words, env) in commands.items() if kind.startswith(only)
            ]
            table(HEADER, rows)


def prepared(folder: Path, machines: Machines) -> Mapping[str, tuple[Sequence[str | Path], Mapping[str, str]]]:
    """Write what clients need; what is measured: words of commands, and their environment beside that of the run."""
    listed = folder / "hosts.json"
    listed.write_text(json.dumps([[machine.name, machine.address] for machine in machines]))
    worker = [sys.executable, "-m", "tests.bench.hostworkers"]
    where = [machines.folder, listed]
    (folder / "play.yml").write_text(_PLAY.format(serial=50))
    lines = (f"{machine.name} ansible_host={machine.address} ansible_user=deploy\n" for machine in machines)
    (folder / INVENTORY).write_text("".join(lines))
    told = {"serial": 50, "known": machines.known_hosts, "key": machines.identity, "folder": folder}
    (folder / "ansible.cfg").write_text(_CONFIG.format(**told))
    commands: dict[str, tuple[Sequence[str | Path], Mapping[str, str]]] = {
        "repoctl, 50 at a time": ([*worker, "repoctl", *where, "50"], {}),
        "repoctl, 200 at a time": ([*worker, "repoctl", *where, "200"], {}),
        "Fabric ThreadingGroup": ([*worker, "fabric", *where, "0"], {}),
    }
    if player := shutil.which("ansible-playbook"):
        play = [player, "-i", folder / INVENTORY, folder / "play.yml"]
        commands["Ansible, serial 50"] = (play, ansible_settings(folder))
    else:
        print("no ansible-playbook in PATH; pip install ansible-core, to measure it too\n")
    return commands


def ansible_settings(folder: Path) -> Mapping[str, str]:
    """Environment in which Ansible reaches the hosts."""
    return {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_HOME": str(folder), "LC_ALL": "C.UTF-8"}


def measured(
    kind: str, words: Sequence[str | Path], env: Mapping[str, str], count: int, done: str = r"lab-base-1\.0-1\.noarch"
) -> Sequence[str]:
    """A row of ``HEADER``; ``done``: a pattern of the line that it writes for each host that is done."""
    peak = _Peak()
    begun = time.perf_counter()
    with subprocess.Popen(
        words, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_EVERY):
                peak.look(process.pid)

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert process.stdout
        said = process.stdout.read().decode(errors="replace")
        process.wait()
        seconds = time.perf_counter() - begun
        ended.set()
        watcher.join()
    ready = sum(re.fullmatch(done, line.rstrip()) is not None for line in said.splitlines())
    if ready != count:
        print(f"{kind}: {said[-2000:]}\n")
    return (
        kind,
        f"{seconds:.1f} s",
        f"{seconds / count * 1000:.0f} ms",
        f"{peak.mib:.0f} MiB",
        str(peak.threads),
        str(peak.connections),
        str(count - ready),
    )
