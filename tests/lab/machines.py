"""Hosts to update: each an overlay of this machine with its own sshd, package database, names and users.

A host is a mount namespace and a UTS namespace, held by a process that sleeps. The network is that of this machine, so
that hosts reach servers on its loopback addresses; each host has a loopback address of its own.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from tests.lab.clients import Completed, run
from tests.lab.processes import environment
from tests.lab.wait import until

_SETTLE = """
set -e
base=$1 name=$2
mount -t tmpfs -o mode=755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
cd "$base/root"
mount --bind /proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -m 755 run/sshd run/lock
hostname "$name"
echo "$name" > etc/hostname
exec chroot . sleep infinity
"""
_SSHD = """Port {port}
ListenAddress {address}
HostKey /etc/ssh/lab_host_key
PidFile none
AuthorizedKeysFile /etc/ssh/lab_authorized_keys
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
MaxStartups 600:30:1000
MaxSessions 50
"""
_DNF = "[main]\ngpgcheck=1\nmodule_platform_id=platform:el9\nskip_if_unavailable=True\n"
USER, NO_SUDO = "deploy", "nosudo"


class Machine:
    """One host, reached over SSH as ``deploy`` (sudo without a password), ``nosudo`` (with one) or root."""

    def __init__(self, folder: Path, name: str, address: str, port: int, key: Path) -> None:
        """``folder`` takes what is mounted and the host's keys; ``key``: who shows this private key is let in."""
        self.name, self.address, self.port = name, address, port
        self._folder = folder
        self._key = key
        self._keys = 0
        self.host_key = Path()
        self._sshd: subprocess.Popen[bytes] | None = None
        (folder / "mount").mkdir(parents=True)
        self._log = (folder / "sshd.log").open("wb")
        words = ["unshare", "--mount", "--uts", "sh", "-c", _SETTLE, "sh", str(folder / "mount"), name]
        self._holder = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=environment(folder)
        )

    def furnish(self) -> None:
        """Users, settings and keys, once what holds the host sleeps."""
        until(lambda: self._settled() or self._holder.poll() is not None, 30, f"{self.name} to be there")
        assert self._holder.poll() is None, (self._folder / "sshd.log").read_text()
        for number, user in enumerate((USER, NO_SUDO)):
            self._append("etc/passwd", f"{user}:x:{7000 + number}:{7000 + number}::/home/{user}:/bin/bash\n")
            self._append("etc/group", f"{user}:x:{7000 + number}:\n")
            self._append("etc/shadow", f"{user}:*:19000:0:99999:7:::\n")
            (self.root / "home" / user).mkdir(parents=True)
            os.chown(self.root / "home" / user, 7000 + number, 7000 + number)
        self.put("etc/sudoers.d/lab", f"{USER} ALL=(ALL) NOPASSWD: ALL\n{NO_SUDO} ALL=(ALL) ALL\n", mode=0o440)
        self.put("root/.bashrc", "")
        self.put("etc/machine-id", f"{int.from_bytes(self.name.encode(), 'big') % (1 << 128):032x}\n")
        self.put("etc/dnf/dnf.conf", _DNF)
        for old in (self.root / "etc/yum.repos.d").glob("*"):
            old.unlink()
        shutil.rmtree(self.root / "var/cache/dnf", ignore_errors=True)
        self.put("etc/ssh/lab_authorized_keys", self._key.with_suffix(".pub").read_text())
        self.put("etc/ssh/lab_sshd_config", _SSHD.format(port=self.port, address=self.address))
        self.new_host_key()
        self.start()

    def _settled(self) -> bool:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self._holder.pid}/comm").read_text() == "sleep\n"
        return False

    @property
    def root(self) -> Path:
        """Its root as this machine sees it. Links in it that begin with a slash lead out of it."""
        return Path(f"/proc/{self._holder.pid}/root")

    def put(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file, ``path`` from its root."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def _append(self, path: str, text: str) -> None:
        with (self.root / path).open("a") as file:
            file.write(text)

    def run(self, *words: str) -> Completed:
        """Run a program inside as root, not over SSH."""
        return run([*self.inside(), *words], self._folder)

    def inside(self) -> Sequence[str]:
        """The words before those of a program that is to run inside."""
        return ["nsenter", "--target", str(self._holder.pid), "--mount", "--uts", "--root", "--wd=/"]

    def installed(self, name: str) -> list[str]:
        """What rpm says of a package: NEVRA, header digest and time of installation of each build."""
        form = "%{NEVRA} %{SHA256HEADER} %{INSTALLTIME}\n"
        done = self.run("rpm", "-q", "--qf", form, name)
        return done.out.splitlines() if done.rc == 0 else []

    def start(self) -> None:
        """Let its sshd listen."""
        words = [*self.inside(), "/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/lab_sshd_config"]
        self._sshd = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=environment(self._folder)
        )
        until(self._listens, 20, f"sshd of {self.name}")

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.address, self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """The host is down: nobody listens, and no connection is left."""
        assert self._sshd is not None
        self._sshd.terminate()
        self._sshd.wait(20)
        self._sshd = None
        self.cut()

    def cut(self) -> None:
        """Cut every connection to it, at once; what runs without one goes on."""
        listener = self._sshd.pid if self._sshd else 0
        for pid in self._processes("sshd"):
            if pid != listener:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """While inside, its sshd takes connections and says nothing."""
        found = self._processes("sshd")
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def without_room(self, path: str, size: str = "64k") -> Iterator[None]:
        """While inside, there are only ``size`` bytes of room at ``path``."""
        mounted = self.run("sh", "-c", f"mkdir -p {path} && mount -t tmpfs -o size={size} tmpfs {path}")
        assert mounted.rc == 0, mounted.out
        try:
            yield
        finally:
            self.run("umount", "--lazy", path)

    def new_host_key(self) -> None:
        """Another host key; who knows the last one must not be let on. A listening sshd is to be started anew."""
        self._keys += 1
        self.host_key = self._folder / f"host_key{self._keys}"
        make_key(self.host_key)
        self.put("etc/ssh/lab_host_key", self.host_key.read_text(), mode=0o600)

    @property
    def known(self) -> str:
        """Its line of ``known_hosts``."""
        kind, key, *_ = self.host_key.with_suffix(".pub").read_text().split()
        return f"[{self.address}]:{self.port} {kind} {key}\n"

    def _processes(self, name: str = "") -> list[int]:
        """Those that run inside."""
        mine = Path(f"/proc/{self._holder.pid}/ns/mnt").readlink()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    inside = (entry / "ns/mnt").readlink() == mine
                    if inside and (not name or (entry / "comm").read_text().strip() == name):
                        found.append(int(entry.name))
        return found

    def end(self) -> None:
        """Nothing of it is left."""
        if self._holder.poll() is None:
            for pid in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._holder.wait(20)
        if self._sshd is not None:
            self._sshd.wait(20)
        self._log.close()


class Machines:
    """Some hosts, as a context; ``known_hosts`` has the keys of all, ``key`` is let in by all."""

    def __init__(self, folder: Path, count: int, *, prefix: str = "web") -> None:
        """``folder`` must be short-lived and this run's own."""
        self._folder = folder
        self._count, self._prefix = count, prefix
        self.key = folder / "client_key"
        self.known_hosts = folder / "known_hosts"
        self.all: list[Machine] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        make_key(self.key)
        port = _free_port()
        try:
            for number in range(self._count):
                name = f"{self._prefix}{number + 1}"
                address = f"127.77.{number // 200}.{number % 200 + 1}"
                self.all.append(Machine(self._folder / name, name, address, port, self.key))
            for machine in self.all:
                machine.furnish()
        except BaseException:
            self.__exit__()
            raise
        self.know()
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.all:
            machine.end()

    def __getitem__(self, number: int) -> Machine:
        return self.all[number]

    def know(self) -> None:
        """Write the keys that all have now into ``known_hosts``."""
        self.known_hosts.write_text("".join(machine.known for machine in self.all))


def make_key(path: Path) -> None:
    """A new key for SSH: ``path``, and its public part beside it with ``.pub``."""
    path.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
