"""What a process needs for its tasks, and giving up all else."""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from repod.confinement import landlock, seccomp
from repod.confinement.hiding import hide

Mode = Literal["auto", "require", "off"]
"""As far as the kernel can; wholly or not at all; without what the kernel has for it."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_DESCRIPTORS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What tasks of one kind need. Whatever is not named here, they are not given.

    ``reads`` and ``writes`` are folders whose files they read, or change too; ``largest`` is the size of a file
    that they may write, and ``memory`` of their address space (0: as large as may be), in bytes.
    """

    reads: Sequence[Path] = ()
    writes: Sequence[Path] = ()
    largest: int = 0
    memory: int = 0
    mode: Mode = "auto"


def shield() -> None:
    """Hidden, without new privileges, and gone with its parent."""
    hide()
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # A terminal's Ctrl-C goes to the whole group; the parent decides when these end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def let_go(keep: int) -> None:
    """Close every descriptor but ``keep``, and have the standard ones lead nowhere."""
    os.closerange(3, keep)
    os.closerange(keep + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    if null > 2:  # noqa: PLR2004 - the last of the standard ones
        os.close(null)


def confine(bounds: Bounds) -> Sequence[str]:
    """Give up all that ``bounds`` do not name, for good; what of it this kernel did not do, and why."""
    files = bool(bounds.reads or bounds.writes)
    for which, most in _limits(bounds):
        resource.setrlimit(which, (most, most))
    return [] if bounds.mode == "off" else [*_files(bounds), *_calls(reads=files, writes=bool(bounds.writes))]


def _limits(bounds: Bounds) -> Iterator[tuple[int, int]]:
    if bounds.memory:
        yield resource.RLIMIT_AS, bounds.memory
    yield resource.RLIMIT_FSIZE, bounds.largest if bounds.writes else 0
    yield resource.RLIMIT_NOFILE, _DESCRIPTORS
    yield resource.RLIMIT_NPROC, 0


def _files(bounds: Bounds) -> Iterator[str]:
    try:
        landlock.restrict(read=bounds.reads, write=bounds.writes)
    except landlock.Unsupported as error:
        yield f"files: {error}"


def _calls(*, reads: bool, writes: bool) -> Iterator[str]:
    try:
        seccomp.load(reads=reads, writes=writes)
    except seccomp.Unsupported as error:
        yield f"system calls: {error}"


def allow_time(seconds: float) -> None:
    """Let this process compute for ``seconds`` more; then it is ended, though nobody may be there to do that."""
    # More than the one who waits for it allows, so that he says what happened wherever he lives.
    most = int(time.process_time() + 2 * min(seconds, sys.maxsize // 4)) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
