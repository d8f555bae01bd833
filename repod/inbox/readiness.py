"""Whether a file in an inbox is whole: who writes to it, what its header promises, how old it is."""

import fcntl
import math
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from repod.rpmhead import head_size, promised_size

_F_SETSIG = 10
_HEAD = 1 << 13
# Format 6 keeps its promise in the main header, which holds every file name of the package.
_LONGEST_HEAD = 1 << 24
_SHORTEST_WAIT = 0.05
_ONE_DROP = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why a file is not ready. ``seconds`` until age alone makes it ready; None where age does not."""

    why: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many seconds a file must be unchanged before it is taken as it is.

    ``settle``: where nothing tells whether it is whole. ``incomplete_after``: where its own
    header says that it is not, or there is nothing in it yet.
    """

    settle: float
    incomplete_after: float

    def judge(self, head: bytes, size: int, age: float, *, writer: bool | None, rpm: bool) -> Wait | None:
        """None where the file is ready to be taken. ``writer``: somebody has it open for writing; None: unknown.

        ``rpm``: its name says that it is one; any other file promises no length.
        """
        if writer:
            return Wait(why="open for writing")
        limit, why = self._doubt(head, size, certain=writer is not None) if rpm else self._unpromised(size)
        return None if age >= limit else Wait(why=why, seconds=limit - age)

    def _unpromised(self, size: int) -> tuple[float, str]:
        if not size:
            return self.incomplete_after, "empty; it may still be written"
        return self.settle, "changed a moment ago; it may still be written"

    def _doubt(self, head: bytes, size: int, *, certain: bool) -> tuple[float, str]:
        needed = head_size(head)
        if needed is None:
            return self.settle, "does not begin like an RPM; it may still be written"
        if size < needed:
            return self.incomplete_after, f"incomplete: {size} bytes, its header alone has {needed} or more"
        promised = promised_size(head)
        if promised is not None and size < promised:
            return self.incomplete_after, f"incomplete: {size} of {promised} bytes"
        # What nobody writes to any more is whole, or will not become so by waiting.
        return (0.0, "") if certain else (self.settle, "changed a moment ago; it may still be written")


def next_look(dues: Iterable[float]) -> float:
    """Seconds until a look finds ready what age alone makes ready in ``dues`` seconds; infinite where it makes nothing.

    What was dropped together is found together, so that it becomes one generation and not one for each file.
    """
    waits = sorted(dues) or [math.inf]
    return max(_SHORTEST_WAIT, *(due for due in waits if due <= waits[0] + _ONE_DROP))


def read_head(file: int) -> bytes:
    """As much of the file's beginning as its promise needs."""
    head = os.pread(file, _HEAD, 0)
    while (needed := head_size(head)) is not None and len(head) < needed <= _LONGEST_HEAD:
        longer = os.pread(file, needed, 0)
        if len(longer) <= len(head):
            break
        head = longer
    return head


def has_writer(file: int) -> bool | None:
    """Whether anybody has the file open for writing; None where the kernel does not tell.

    The kernel grants a read lease only on a file that nobody has open for writing. It is
    asked for and given back at once: a writer that opens the file in between waits some
    microseconds. Not told: the file is another user's and repod lacks CAP_LEASE, or the
    file system has no leases.
    """
    try:
        # The signal that tells of a writer must be one that ends nothing where nobody handles it.
        fcntl.fcntl(file, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
