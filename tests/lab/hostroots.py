"""Hosts for what runs on them: an overlay of this machine each, with own processes, own rpm, own /run, no sshd.

``tests/lab/machines.py`` has hosts with sshd; these start in a fraction of a second.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from repod.client.fleet import HostFault, Limits, Ran, Trouble
from tests.lab.processes import environment
from tests.lab.wait import until

_BEGIN = """
set -e
mkdir -p "$1/m"
mount -t tmpfs -o size="$2" tmpfs "$1/m"
mkdir "$1/m/u" "$1/m/w" "$1/m/r"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/m/u",workdir="$1/m/w" "$1/m/r"
cd "$1/m/r"
mount -t proc proc proc
mount --rbind /dev dev
for d in run tmp var/tmp; do mount -t tmpfs tmpfs "$d"; done
(cd var && rm -rf lib/rpm lib/dnf lib/zypp lib/repod-run cache/dnf cache/zypp log/zypper.log log/dnf*.log)
rm -rf root/.rpmdb etc/yum.repos.d etc/zypp/repos.d
mkdir -p var/lib/rpm etc/rpm etc/yum.repos.d etc/zypp/repos.d
# Debian's rpm keeps the database of each user in their home; hosts have one.
printf '%%_dbpath /var/lib/rpm\n' >etc/rpm/macros
rpm --root "$PWD" --initdb --dbpath /var/lib/rpm
printf '%s' "$3" >etc/machine-id
: >root/.bashrc
touch run/ready
exec chroot . sh -c 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'
"""


_LIMITS = Limits()


class HostRoot:
    """A host, and the connection to it: root, no terminal, the locale of the contract.

    ``cut``: told before each call what is asked; true cuts the connection in its middle.
    """

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.pid = pid
        self.cut: Callable[[Sequence[str]], bool] = lambda _: False
        self.asked: list[Sequence[str]] = []

    @property
    def root(self) -> Path:
        """The host's file system as this machine sees it."""
        return Path(f"/proc/{self.pid}/root")

    def path(self, inside: str) -> Path:
        """A place on it."""
        return self.root / inside.lstrip("/")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Put a file on it."""
        place = self.path(inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def words(self, argv: Sequence[str]) -> list[str]:
        """A command of this machine that runs ``argv`` there."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--root", "--wd"]
        return [*enter, "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        root: bool = False,  # noqa: ARG002 - it always is
        data: bytes = b"",
        limits: Limits = _LIMITS,
    ) -> Ran:
        """See ``fleet.Connection``."""
        self.asked.append(argv)
        process = subprocess.Popen(
            self.words(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(Path("/root")),
            start_new_session=True,
        )
        if self.cut(argv):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(data, timeout=1.0)
            # As sshd does when its connection ends: the pipes go away, and nothing is told to what runs.
            process.kill()
            process.communicate()
            raise HostFault(Trouble.LOST, "the connection was cut")
        try:
            out, err = process.communicate(data, timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise HostFault(Trouble.TIME_LIMIT, f"{argv[:5]} took more than {limits.seconds} s") from None
        return Ran(code=process.returncode, out=out.decode(errors="replace"), err=err.decode(errors="replace"))

    def sh(self, script: str, *words: str, check: bool = True) -> str:
        """What a script on it writes; ``AssertionError`` where it fails."""
        done = self.run(["sh", "-c", script, "sh", *words], root=True)
        assert not check or done.code == 0, f"{script}: {done}"
        return done.out + done.err

    def begin(self, *argv: str) -> "subprocess.Popen[bytes]":
        """A process on it, that goes on."""
        return subprocess.Popen(
            self.words(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment(Path("/root"))
        )

    def installed(self) -> list[str]:
        """The NEVRAs that rpm tells, sorted; keys are none."""
        return sorted(
            line for line in self.sh("rpm -qa --qf '%{NEVRA}\\n'").splitlines() if not line.startswith("gpg-pubkey")
        )


@contextmanager
def host_root(
    folder: Path, *, size: str = "300m", machine: str = "0123456789abcdef0123456789abcdef"
) -> Iterator[HostRoot]:
    """A host below ``folder``; ``size``: of all that it may write."""
    folder.mkdir(parents=True, exist_ok=True)
    space = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    process = subprocess.Popen(
        [*space, "sh", "-c", _BEGIN, "sh", str(folder), size, machine],
        stdin=subprocess.DEVNULL,
        env=environment(folder),
    )
    try:
        pid = until(lambda: _ready(process), 20, "the host to start")
        yield HostRoot(folder, pid)
    finally:
        process.kill()
        process.wait(20)


def _ready(process: "subprocess.Popen[bytes]") -> int:
    assert process.poll() is None, "the host did not start"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    if not children:
        return 0
    (child,) = children
    root = Path(f"/proc/{child}/root")
    return int(child) if not root.samefile("/") and (root / "run/ready").exists() else 0
