"""One host of ``tests/lab/machines.py``, as one who stands before it: its files, its commands, its cables."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from repod.client.fleet import Host
from tests.lab.box import Box
from tests.lab.sshkeys import SshKey, ssh_key
from tests.lab.wait import until

# The kernel knows who holds that of dnf 5, also after the program became another one.
_HOLDER = """
import fcntl, os
os.makedirs("/var/lib/dnf", exist_ok=True)
held = open("/var/lib/dnf/system-repo.lock", "a")
fcntl.lockf(held, fcntl.LOCK_EX)
os.set_inheritable(held.fileno(), True)
print(os.getpid(), flush=True)
os.execv("/usr/bin/sleep", ["sleep", "1000000"])
"""
_DNF_LOCKS = ("/var/lib/dnf/rpmdb_lock.pid", "/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid")


class Machine(Box):
    """``key`` is its host key. Commands and files go into its namespaces directly, never through its sshd."""

    def __init__(self, name: str, address: str, key: SshKey, own: Path, process: "subprocess.Popen[bytes]") -> None:
        """See ``Box``."""
        super().__init__(name, own, process)
        self.address, self.key = address, key

    def host(self, user: str = "deploy", port: int = 0) -> Host:
        """It as an inventory tells it."""
        return Host(name=self.name, address=self.address, user=user, port=port)

    def stop_sshd(self) -> None:
        """Nobody answers at its port any more; whoever is in stays in."""
        self.run(
            "sh", "-c", 'pid=$(cat /run/sshd.pid); kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep .01; done'
        )

    def start_sshd(self) -> None:
        """Answer again."""
        # It leaves for the background before it listens, and writes its pid once it does.
        self.run(
            "sh",
            "-c",
            "rm -f /run/sshd.pid; /usr/sbin/sshd -f /etc/ssh/sshd_config; "
            "while ! [ -s /run/sshd.pid ]; do sleep .01; done",
        )

    def cut(self) -> None:
        """End all connections of those who are in; what they started without them goes on."""
        self.run("pkill", "-KILL", "-f", "^sshd: [a-z]+", check=False)

    def crash(self) -> None:
        """End every process but the first one, at once: as a reboot does, without coming back by itself."""
        self.run("sh", "-c", "kill -KILL -1", check=False)
        until(lambda: self.run("pgrep", "sshd", check=False).rc, 30, f"{self.name} to be down")

    def freeze(self) -> None:
        """Its processes stand still; the kernel goes on to take connections for them, and nothing comes back."""
        # But for the one that notices when the test is gone.
        self.run("sh", "-c", "kill -STOP -1; pkill -CONT -P 1 -x cat")

    def thaw(self) -> None:
        """They go on."""
        self.run("sh", "-c", "kill -CONT -1", check=False)

    def new_key(self) -> SshKey:
        """Give it another host key, as a host has that was set up anew. ``known_hosts`` is left as it is."""
        self.key = ssh_key()
        self.stop_sshd()
        self.put("/etc/ssh/ssh_host_ed25519_key", self.key.secret, 0o600)
        self.put("/etc/ssh/ssh_host_ed25519_key.pub", self.key.public + "\n")
        self.start_sshd()
        return self.key

    def fill(self, leave: int = 0) -> None:
        """Fill its disk, but for ``leave`` bytes."""
        free = os.statvfs(self.root / "var")
        count = free.f_bavail * free.f_frsize - leave
        self.run("fallocate", "--length", str(max(count, 1)), "/var/filler")

    def clear(self) -> None:
        """Undo ``fill``."""
        (self.root / "var/filler").unlink()

    @contextlib.contextmanager
    def locked(self, tool: str = "dnf") -> Iterator[int]:
        """Another process holds the lock of ``dnf``, ``dnf5`` or ``zypper``; yields its pid there."""
        places = {"dnf": _DNF_LOCKS, "zypper": ("/run/zypp.pid",)}.get(tool, ())
        script = "echo $$; exec sleep 1000000"
        words = ["sh", "-c", script] if tool != "dnf5" else ["python3", "-c", _HOLDER]
        with contextlib.ExitStack() as stack:
            process = subprocess.Popen([*self.inside(), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            stack.callback(process.wait)
            assert process.stdout
            stack.callback(process.stdout.close)
            pid = int(process.stdout.readline())
            stack.callback(lambda: self.run("kill", "-KILL", str(pid), check=False))
            for place in places:
                self.put(place, str(pid))
                stack.callback(lambda place=place: (self.root / place.lstrip("/")).unlink(missing_ok=True))
            yield pid
