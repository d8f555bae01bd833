"""Other programs: without a shell, bounded in time, and never cut off with the agent."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repod.hosts.faults import Unreachable, bare

_GRACE = 30.0
_KEPT = 4000  # bytes of the end of what was written


@dataclass(frozen=True)
class Ended:
    """How a program ended; ``out`` is the end of what it wrote, without the passwords of URLs.

    ``late``: it was ended, as its time was over.
    """

    code: int
    out: str
    late: bool = False

    @property
    def last(self) -> str:
        """The last line that says something."""
        return next((line.strip() for line in reversed(self.out.splitlines()) if line.strip()), "it wrote nothing")


def ask(words: Sequence[str], seconds: float) -> str:
    """What a short program that changes nothing writes, whatever its exit status; ``Unreachable`` without an end."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{words[0]}: no end within {seconds:g} s; see what holds it, such as a lock of rpm's database"
        raise Unreachable(msg) from error
    return done.stdout.decode("utf-8", "replace")


def run(
    words: Sequence[str],
    seconds: float,
    log: Path,
    more: Mapping[str, str],
    began: Callable[[int], object] = lambda _pid: None,
) -> Ended:
    """Run a program to its end. ``more`` is set in its environment; ``began`` hears its process id.

    It writes into ``log`` and is in a session of its own: where the agent is killed it goes on to its end.
    """
    # What programs write may be for root alone.
    with open(log, "wb", opener=_private) as out:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment(more),
                start_new_session=True,
            )
        except OSError as error:
            return Ended(127, f"{words[0]}: {error.strerror}")
    began(process.pid)
    late = False
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        late = True
        _end(process)
    return Ended(process.returncode, _tail(log), late)


def environment(more: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Of all programs: their words are read here, so they speak English."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C", **(more or {})}


def mark(pid: int) -> str:
    """When a process began, which tells it from a later one of that number; empty where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    parts = text.rpartition(")")[2].split()
    return "" if parts[0] in {"Z", "X"} else parts[19]


def wait_for(pid: int, begun: str, seconds: float) -> bool:
    """Wait for the end of a process of an earlier run; False where it did not come in time."""
    deadline = time.monotonic() + seconds
    while begun and mark(pid) == begun:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _private(path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(handle, 0o600)
    return handle


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(process.pid, number)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            continue
        return
    process.wait()


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _KEPT))
        # Package tools name URLs that they cannot read as the .repo file has them.
        return bare(file.read().decode("utf-8", "replace"))
