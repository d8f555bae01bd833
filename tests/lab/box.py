"""A root of its own under an overlay, in namespaces of its own: what is written in it is gone with it.

The network is shared with this machine, so that it reads what a test serves on loopback. All processes in it, those too
that became daemons, end with its first one, and that one ends with the test, however the test ends.
"""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.clients import Completed
from tests.lab.wait import until

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": _PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""What processes inside start with: no mark of the test run, since they end with the first one."""

_SCRIPT = Path(__file__).with_name("machine.sh")
_SPACES = ("--mount", "--uts", "--pid", "--fork", "--kill-child")
_QUERY = r"%{NAME}-%{EVR}.%{ARCH} %{SHA256HEADER}\n"


def start(
    own: Path, name: str, *, base: Path = Path("/"), lower: Path, size: str, folders: Sequence[Path] = ()
) -> "subprocess.Popen[bytes]":
    """Start one, see ``machine.sh``; the process holds the namespaces, and lives until its input is closed."""
    (own / "files").mkdir(parents=True, exist_ok=True)
    words = ["unshare", *_SPACES, "sh", _SCRIPT, own, size, base, lower, name, *folders]
    with (own / "log").open("wb") as log:
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=ENVIRONMENT, cwd="/")


class Box:
    """Commands and files go into its namespaces directly."""

    def __init__(self, name: str, own: Path, process: "subprocess.Popen[bytes]") -> None:
        """``process`` holds the namespaces: its one child is the first process inside."""
        self.name = name
        self._own, self._process = own, process
        self._pid = 0

    @property
    def pid(self) -> int:
        """The first process inside, as seen from outside."""
        if not self._pid:
            pid = self._process.pid
            self._pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
        return self._pid

    @property
    def root(self) -> Path:
        """Its root, as seen from outside while it runs; symbolic links in it lead astray, so use ``run`` for those."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def changes(self) -> Path:
        """What was written since it began, as a tree: the files of its root that differ, and their folders."""
        return Path(f"/proc/{self._process.pid}/root{self._own}/disk/upper")

    def await_up(self) -> None:
        """Until it is in its root, and its sshd, where it has one, listens."""
        up = self._own / "up"
        until(lambda: up.exists() or self._process.poll() is not None, 60, f"{self.name} to be up")
        # The first process goes into its root just after it said so.
        until(lambda: not up.exists() or (self.root / "run/sshd").exists(), 30, f"{self.name} to be in its root")
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

    def inside(self, user: str = "root") -> list[str]:
        """The words before a command that have it run inside."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--pid", "--root", "--wd"]
        return enter if user == "root" else [*enter, "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]

    def run(self, *words: str, data: bytes = b"", user: str = "root", check: bool = True) -> Completed:
        """A command inside, to its end; with ``check`` it must end with 0. Its output and errors as one text."""
        done = subprocess.run(
            [*self.inside(user), *words],
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


@contextlib.contextmanager
def box(own: Path, base: Path, *folders: Path, size: str = "256m") -> Iterator[Box]:
    """A box over ``base``, a root; no sshd runs there. It sees this machine's ``folders`` where they are.

    ``own`` is an empty folder for its mounts; ``size``: of what is written in it, which lies in memory.
    """
    lower = own / "lower"
    lower.mkdir(parents=True)
    made = Box("box", own, start(own, "box", base=base, lower=lower, size=size, folders=folders))
    try:
        made.await_up()
        yield made
    finally:
        made.end()
        made.wait()
