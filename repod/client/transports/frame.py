"""What is handed to a host's shell, and how what comes back is told from all else that comes with it.

A login shell may be any shell, may write before anything runs and after it ended. So it is handed one fixed line that
all of them read alike, which has ``sh`` read the first line of standard input and carry it out. That line holds the
arguments, each quoted once; what follows it is the command's own input. The command runs between two marks on each of
its streams, which nobody can know before: what lies outside of them is not its output.
"""

import re
import shlex
from collections.abc import Sequence

from repod.client.fleet import HostFault, Ran, Trouble
from repod.client.transports.kept import Kept, last_line

READER = 'sh -c \'IFS= read -r line && eval "$(printf %b "$line")"\''
"""For any login shell: single quotes with nothing in them that fish, csh or zsh read in another way than sh."""

_NOISE = 4096  # bytes before the mark that are kept, to say what is wrong where it never comes
_MARKED = """\
mark=$1
shift
printf '%s-begin\\n' "$mark"
printf '%s-begin\\n' "$mark" >&2
"$@"
code=$?
printf '%s-end %s\\n' "$mark" "$code"
printf '%s-end %s\\n' "$mark" "$code" >&2
exit "$code"
"""
_AS_ROOT = """\
[ "$(id -u)" = 0 ] && exec "$@"
exec sudo -n -- "$@"
"""
_LOCALE = ("env", "LC_ALL=C.UTF-8")


def marked(argv: Sequence[str], mark: str, *, root: bool) -> Sequence[str]:
    """The program and arguments that run ``argv`` between marks, as root where asked.

    The marks are written as root, so that what sudo itself says, and where it says no, lies before them.
    """
    inner = [*_LOCALE, "sh", "-c", _MARKED, "repoctl", mark, *argv]
    return [*_LOCALE, "sh", "-c", _AS_ROOT, "repoctl", *inner] if root else inner


def line(argv: Sequence[str]) -> bytes:
    """The first line of what ``READER`` reads. ``ValueError`` where an argument has a NUL, which no argument can."""
    text = "exec " + shlex.join(argv)
    if "\0" in text:
        msg = f"an argument has a NUL byte: {argv!r:.200}"
        raise ValueError(msg)
    escaped = text.replace("\\", "\\\\").replace("\n", "\\0012")
    return escaped.encode("utf-8", "surrogateescape") + b"\n"


def ran(out: "Stream", err: "Stream") -> Ran:
    """The command of two streams of which both had their last mark."""
    return Ran(code=out.code or 0, out=out.kept.text(), err=err.kept.text(), cut=out.kept.cut or err.kept.cut)


def late(host: str, program: str, seconds: float, out: "Stream", err: "Stream") -> HostFault:
    """That it did not end in time; what it wrote last may be a prompt, which has no line end."""
    for stream in (out, err):
        stream.close()
    last = err.kept.last() or out.kept.last() or err.noise or out.noise
    said = f"it wrote last: {last_line(last.encode())}" if last else "it wrote nothing"
    return HostFault(Trouble.TIME_LIMIT, f"{host}: {program} did not end within {seconds:g} s; {said}", output=last)


def no_sudo(host: str, user: str, said: str) -> HostFault:
    """That sudo did not run the command: it wants a password, or ``user`` may not use it."""
    rule = f"{user} ALL=(root) NOPASSWD: ALL"
    why = f"sudo needs a password for {user}" if "password" in said else f"sudo does not let {user} be root ({said})"
    text = f"{why}; with visudo, give it the rule: {rule}"
    return HostFault(Trouble.SUDO, f"{host}: {text}", output=said)


class Stream:
    """One of a command's streams: what lies between its marks, as far as it is kept."""

    def __init__(self, mark: str, limit: int) -> None:
        """``mark``: of this command alone. ``limit``: bytes that are kept."""
        self.kept = Kept(limit)
        self.begun = False
        self.code: int | None = None
        """How the command ended, known when its last mark came."""
        self._begin = f"{mark}-begin\n".encode()
        self._end = re.compile(f"{mark}-end ([0-9]{{1,3}})\n".encode())
        self._held = b""  # what may be part of a mark; before the first one, the noise
        self._most = len(mark) + len("-end 255\n") - 1

    def feed(self, data: bytes) -> None:
        """Take what came next."""
        if self.code is not None:
            return
        data = self._held + data
        if not self.begun:
            before, found, data = data.partition(self._begin)
            if not found:
                self._held = before[-_NOISE:]
                return
            self.begun = True
        match = self._end.search(data)
        if match:
            self.kept.add(data[: match.start()])
            self._held = b""
            self.code = int(match[1])
        else:
            cut = max(len(data) - self._most, 0)
            self.kept.add(data[:cut])
            self._held = data[cut:]

    def close(self) -> None:
        """No more comes: what might have been a mark was none."""
        if self.begun:
            self.kept.add(self._held)
            self._held = b""

    @property
    def noise(self) -> str:
        """What came before the first mark, where that never came: who says no says why there."""
        return "" if self.begun else " ".join(self._held.decode(errors="replace").split())
