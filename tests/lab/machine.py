"""One host of ``tests/lab/machines.py``, as one who stands before it: its files, its commands, its cables."""

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from repod.client.fleet import Host
from tests.lab.clients import Completed
from tests.lab.sshkeys import SshKey, ssh_key
from tests.lab.wait import until

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": _PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""What processes of hosts start with: no mark of the test run, since they end with their host."""

_QUERY = r"%{NAME}-%{EVR}.%{ARCH} %{SHA256HEADER}\n"
_DNF_LOCKS = ("/var/lib/dnf/rpmdb_lock.pid", "/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid")


class Machine:
    """``key`` is its host key. Commands and files go into its namespaces directly, never through its sshd."""

    def __init__(self, name: str, address: str, key: SshKey, own: Path, process: "subprocess.Popen[bytes]") -> None:
        """``process`` holds the namespaces: its one child is the first process of the host."""
        self.name, self.address, self.key = name, address, key
        self._own, self._process = own, process
        self._pid = 0

    def host(self, user: str = "deploy", port: int = 0) -> Host:
        """It as an inventory tells it."""
        return Host(name=self.name, address=self.address, user=user, port=port)

    @property
    def pid(self) -> int:
        """The first process of the host, as seen from outside."""
        if not self._pid:
            pid = self._process.pid
            self._pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
        return self._pid

    @property
    def root(self) -> Path:
        """Its root, as seen from outside while it runs; symbolic links in it lead astray, so use ``run`` for those."""
        return Path(f"/proc/{self.pid}/root")

    def await_up(self) -> None:
        """Until its sshd listens."""
        up = self._own / "up"
        until(lambda: up.exists() or self._process.poll() is not None, 60, f"{self.name} to be up")
        # The first process goes into its root just after it said so.
        until(lambda: not up.exists() or (self.root / "run/sshd").exists(), 10, f"{self.name} to be in its root")
        assert up.exists(), (self._own / "log").read_text()

    def end(self) -> None:
        """Switch it off."""
        if self._process.stdin:
            self._process.stdin.close()

    def wait(self) -> None:
        """Until nothing of it is left."""
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _words(self, user: str) -> list[str]:
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--pid", "--root", "--wd"]
        return enter if user == "root" else [*enter, "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]

    def run(self, *words: str, data: bytes = b"", user: str = "root", check: bool = True) -> Completed:
        """A command inside, to its end; with ``check`` it must end with 0. Its output and errors as one text."""
        done = subprocess.run(
            [*self._words(user), *words],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            timeout=120,
            check=False,
        )
        out = done.stdout.decode(errors="replace")
        assert not check or done.returncode == 0, f"{self.name}: {words} ended with {done.returncode}:\n{out}"
        return Completed(done.returncode, out)

    def put(self, place: str, data: bytes | str, mode: int = 0o644) -> None:
        """A file of root's, with the folders above it."""
        path = self.root / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)

    def read(self, place: str) -> str:
        """A file's text."""
        return (self.root / place.lstrip("/")).read_text()

    def subscribe(self, text: str, name: str = "lab") -> None:
        """Put a ``.repo`` file there, for dnf and for zypper."""
        self.put(f"/etc/yum.repos.d/{name}.repo", text)
        self.put(f"/etc/zypp/repos.d/{name}.repo", text)

    def installed(self, *names: str) -> dict[str, str]:
        """NEVRA (an epoch where there is one) of these packages, or of all, with the SHA-256 of their headers."""
        done = self.run("rpm", "-q", *(names or ("-a",)), "--qf", _QUERY, check=False)
        rows = [line.split() for line in done.out.splitlines() if not line.startswith(("gpg-pubkey", "lab-base"))]
        return {row[0]: row[1] for row in rows if len(row) == 2}

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
        until(lambda: self.run("pgrep", "sshd", check=False).rc, 10, f"{self.name} to be down")

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
        """Another process holds the lock of ``dnf``, ``zypper`` or ``rpm`` (its database); yields its pid there."""
        places = {"dnf": _DNF_LOCKS, "zypper": ("/run/zypp.pid",), "rpm": ()}[tool]
        script = "echo $$; exec sleep 1000000"
        with contextlib.ExitStack() as stack:
            process = subprocess.Popen(
                [*self._words("root"), "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            )
            stack.callback(process.wait)
            assert process.stdout
            stack.callback(process.stdout.close)
            pid = int(process.stdout.readline())
            stack.callback(lambda: self.run("kill", "-KILL", str(pid), check=False))
            for place in places:
                self.put(place, str(pid))
                stack.callback(lambda place=place: (self.root / place.lstrip("/")).unlink(missing_ok=True))
            if tool == "rpm":
                held = stack.enter_context((self.root / "var/lib/rpm/.rpm.lock").open("w"))
                fcntl.lockf(held, fcntl.LOCK_EX)
            yield pid
