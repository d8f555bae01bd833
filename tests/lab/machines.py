"""Hosts to deploy to: each with a root, an rpm database, a name and a real sshd of its own, on loopback.

A host is this machine's root under an overlay, in mount, UTS and PID namespaces of its own; the network is shared, so
that it reads what a test serves on loopback. Its processes, those too that became daemons, end with its first one,
and that one ends with the test, however the test ends; nothing is mounted outside.
"""

import contextlib
import os
import secrets
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from repod.client.fleet import Host
from tests.lab.box import start
from tests.lab.machine import Machine
from tests.lab.processes import environment
from tests.lab.rpms import quick, tool
from tests.lab.sshkeys import SshKey, ssh_key

USERS = {"deploy": "NOPASSWD: ALL", "nosudo": "ALL", "plain": ""}
"""Who may log in beside root, and what sudo lets them do: all; all with a password; nothing."""

_BLOCK = 250  # hosts per 127.A.B.0/24
# Folders of which nothing of this machine is seen.
_OWN = (
    "root", "home", "etc/ssh", "etc/yum.repos.d", "etc/zypp/repos.d", "etc/dnf/vars", "etc/sudoers.d", "etc/pki",
    "var/lib/rpm", "var/lib/dnf", "var/cache/dnf", "var/cache/zypp", "var/log",
)  # fmt: skip
_DNF = "[main]\ngpgcheck=1\nbest=1\nskip_if_unavailable=0\nmodule_platform_id=platform:el9\n"
_RELEASE = (
    'NAME="AlmaLinux"\nID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPLATFORM_ID="platform:el9"\n'
)
_SSHD = """
ListenAddress {address}
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 600:30:1000
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


class Machines:
    """The hosts ``web1`` … ``webN``; as a context they run while inside. Iterates over them, and is indexed from 0.

    ``identity`` is the private key's file with which root and ``USERS`` log in; ``known_hosts`` names the hosts' keys.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        *,
        size: str = "128m",
        prefix: str = "web",
        base: Path = Path("/"),
        without: Sequence[str] = (),
    ) -> None:
        """``size``: of the disk that takes what changes on a host, in memory; a full one is a real ENOSPC.

        ``base``: their root, where it is not this machine's (``tests/lab/debian.py``); ``without``: what of it they
        have not, as paths in it.
        """
        self.folder = folder
        self.key = ssh_key()
        self._prefix, self._size, self._count = prefix, size, count
        self._base, self._without = base, without
        self._stack = contextlib.ExitStack()
        self._machines: list[Machine] = []

    @property
    def identity(self) -> Path:
        """The client's private key; its public part lies beside it."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """What ``ssh`` would have in ``~/.ssh/known_hosts`` after all of them were seen."""
        return self.folder / "known_hosts"

    def hosts(self, user: str = "deploy") -> Sequence[Host]:
        """All as an inventory tells them."""
        return [machine.host(user) for machine in self]

    def __iter__(self) -> Iterator[Machine]:
        return iter(self._machines)

    def __getitem__(self, number: int) -> Machine:
        return self._machines[number]

    def __len__(self) -> int:
        return len(self._machines)

    def __enter__(self) -> Self:
        """Start all of them, side by side."""
        with self._stack:
            self._stack.callback(self._end)
            self.folder.mkdir(parents=True, exist_ok=True)
            self.key.write(self.identity)
            self._lower()
            addresses = self._addresses()
            for number in range(self._count):
                self._machines.append(self._start(f"{self._prefix}{number + 1}", addresses[number]))
            for machine in self._machines:
                machine.await_up()
            self.trust()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all that runs on them; their disks are gone."""
        self._stack.close()

    def trust(self) -> None:
        """Write ``known_hosts`` anew, with the keys that they have now."""
        lines = [f"{machine.address} {machine.key.public}\n" for machine in self._machines]
        self.known_hosts.write_text("".join(lines))

    def _end(self) -> None:
        for machine in self._machines:
            machine.end()
        for machine in self._machines:
            machine.wait()

    def _addresses(self) -> Sequence[str]:
        """One of 127/8 for each, which no other lab of this machine uses."""
        found: list[str] = []
        while len(found) < self._count:
            block = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}"
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0repod-lab-{block}")  # gone with this process, whatever ends it
            except OSError:
                claim.close()
                continue
            self._stack.callback(claim.close)
            found += [f"{block}.{number + 1}" for number in range(_BLOCK)]
        return found

    def _start(self, name: str, address: str) -> Machine:
        own = self.folder / name
        key = ssh_key()
        files = {
            "etc/hostname": f"{name}\n",
            "etc/hosts": f"127.0.0.1 localhost\n{address} {name}\n",
            "etc/machine-id": f"{secrets.token_hex(16)}\n",
            "etc/ssh/sshd_config": _SSHD.format(address=address),
            "etc/ssh/ssh_host_ed25519_key.pub": key.public + "\n",
        }
        for place, text in files.items():
            _write(own / "files" / place, text)
        key.write(own / "files/etc/ssh/ssh_host_ed25519_key")
        process = start(own, name, base=self._base, lower=self.folder / "lower", size=self._size)
        return Machine(name, address, key, own, process)

    def _lower(self) -> None:
        """What all hosts have and this machine has not, as a layer of their roots."""
        lower = self.folder / "lower"
        for place in _OWN:
            (lower / place).mkdir(parents=True)
            os.setxattr(lower / place, "trusted.overlay.opaque", b"y")
        (lower / "root").chmod(0o700)
        _write(lower / "etc/dnf/dnf.conf", _DNF)
        _write(lower / "etc/dnf/vars/releasever", "9\n")
        _write(lower / "etc/os-release", _RELEASE)
        # Debian's rpm gives every user a database at home.
        _write(lower / "etc/rpm/macros", "%_dbpath /var/lib/rpm\n")
        _packages(lower / "var/lib/rpm", self.folder)
        _users(lower, self.key, self._base)
        for place in self._without:
            (lower / place).parent.mkdir(parents=True, exist_ok=True)
            os.mknod(lower / place, stat.S_IFCHR, os.makedev(0, 0))  # overlayfs hides what lies below it


def _write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _packages(database: Path, folder: Path) -> None:
    """A database with one package: it provides the shell that is there, for scriptlets, and what zypper looks for."""
    provides = ("/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash", "glibc")
    package = quick(folder, "lab-base", files={}, provides=provides)
    words = ["--dbpath", database, "--install", "--justdb", "--nodeps", "--nosignature", package]
    subprocess.run([tool("rpm"), *words], check=True, capture_output=True, env=environment(folder))


def _users(lower: Path, key: SshKey, base: Path) -> None:
    accounts = {name: (base / "etc" / name).read_text() for name in ("passwd", "group")}
    if "\nsshd:" not in accounts["passwd"]:  # a script of sshd's package adds it, and none ran in an unpacked root
        accounts["passwd"] += "sshd:x:104:65534::/run/sshd:/usr/sbin/nologin\n"
    names = [line.partition(":")[0] for line in accounts["passwd"].splitlines()]
    accounts["shadow"] = "".join(f"{name}:*:19000:0:99999:7:::\n" for name in names)
    (lower / "root/.bashrc").touch()
    _write(lower / "root/.ssh/authorized_keys", key.public + "\n", 0o600)
    for number, (name, may) in enumerate(USERS.items(), 4001):
        accounts["passwd"] += f"{name}:x:{number}:{number}::/home/{name}:/bin/bash\n"
        accounts["group"] += f"{name}:x:{number}:\n"
        # No password that fits, but no locked account, which sshd would turn away.
        accounts["shadow"] += f"{name}:*:19000:0:99999:7:::\n"
        home = lower / "home" / name
        _write(home / ".ssh/authorized_keys", key.public + "\n", 0o600)
        for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
            shutil.chown(path, number, number)
        if may:
            _write(lower / "etc/sudoers.d" / name, f"{name} ALL=(ALL) {may}\n", 0o440)
    for name, text in accounts.items():
        _write(lower / "etc" / name, text, 0o640 if name == "shadow" else 0o644)
