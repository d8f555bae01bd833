"""Faults of a disk and of a clock at an exact call of a command under test: ``diskfaults.c`` and its page.

The C part is preloaded into the command and all of its processes. It counts each call that changes a
file below one folder (``write`` and ``fsync`` as much as ``open`` and ``rename``), over all of them
together, and at the call with the right number does what the page says.
"""

import ctypes
import errno
import mmap
import os
import signal
import subprocess
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.lab.rpms import tool

_SOURCE = Path(__file__).with_suffix(".c")
_SIGNAL, _FAIL = 1, 2
HOUR = 3600


class Call(IntFlag):
    """Kinds of calls, as ``enum class`` of the C part has them."""

    CREATE = 1  # a name comes: open, mkdir, link, rename
    OPEN = 2  # for writing, what is there
    WRITE = 4
    SYNC = 8
    META = 16  # modes, times, lengths
    REMOVE = 32


_ALL = Call.CREATE | Call.OPEN | Call.WRITE | Call.SYNC | Call.META | Call.REMOVE
_KINDS = {
    "open": Call.CREATE | Call.OPEN,
    "mkdir": Call.CREATE,
    "link": Call.CREATE,
    "symlink": Call.CREATE,
    "rename": Call.CREATE,
    "fsync": Call.SYNC,
    "chmod": Call.META,
    "utime": Call.META,
    "ftruncate": Call.META,
    "unlink": Call.REMOVE,
    "rmdir": Call.REMOVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens: a signal to the command, an errno of some calls, or a clock set back.

    ``lasts``: until it is lifted, and not at the one call alone.
    """

    name: str
    signal: int = 0
    code: int = 0
    calls: Call = _ALL
    lasts: bool = True
    clock: int = 0

    def fits(self, call: str) -> bool:
        """Whether a call of that name can meet it."""
        return bool(self.calls & _KINDS.get(call, Call.WRITE))


FAULTS = (
    Fault(name="kill -9", signal=signal.SIGKILL),
    Fault(name="SIGTERM", signal=signal.SIGTERM),
    Fault(name="ENOSPC", code=errno.ENOSPC, calls=Call.CREATE | Call.WRITE),
    Fault(name="EROFS", code=errno.EROFS),
    Fault(name="EIO once", code=errno.EIO, lasts=False),
    Fault(name="EIO", code=errno.EIO),
    # Who has a file open already goes on with it.
    Fault(name="EACCES", code=errno.EACCES, calls=Call.CREATE | Call.OPEN | Call.META | Call.REMOVE),
    Fault(name="clock -1 h", clock=-HOUR),
)


class _Page(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_uint64),
        ("at", ctypes.c_uint64),
        ("kind", ctypes.c_int32),
        ("value", ctypes.c_int32),
        ("classes", ctypes.c_int32),
        ("lasts", ctypes.c_int32),
        ("command", ctypes.c_int32),
        ("fired", ctypes.c_int32),
        ("clock", ctypes.c_int64),
        ("clock_then", ctypes.c_int64),
        ("under", ctypes.c_char * 512),
        ("trace", ctypes.c_char * 512),
        ("call", ctypes.c_char * 32),
        ("path", ctypes.c_char * 1024),
        ("place", ctypes.c_char * 512),
    )


class Point(NamedTuple):
    """One call of a traced run: its number, its name and the file, below the watched folder."""

    number: int
    call: str
    path: str


@cache
def library(folder: Path) -> Path:
    """The C part, compiled into ``folder``."""
    built = folder / "diskfaults.so"
    words = [tool("gcc"), "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", built, _SOURCE, "-ldl"]
    subprocess.run(words, check=True)
    return built


class Disk:
    """The page, shared with the processes of a command that has ``environ`` in its environment."""

    def __init__(self, folder: Path) -> None:
        """``folder``: where page, trace and compiled library lie."""
        self._file = folder / "page"
        self._file.write_bytes(bytes(ctypes.sizeof(_Page)))
        self._trace = folder / "trace"
        with self._file.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._page = _Page.from_buffer(self._map)
        self.environ = {"LD_PRELOAD": str(library(folder)), "REPOD_DISKFAULTS": str(self._file)}

    def watch(self, under: Path) -> None:
        """Count from 1 what is done below ``under``; all faults are lifted, and the clock is right."""
        ctypes.memset(ctypes.addressof(self._page), 0, ctypes.sizeof(_Page))
        self._page.under = os.fsencode(under.resolve()) + b"/"

    def trace(self, under: Path) -> None:
        """The same, and remember each call for ``points``."""
        self.watch(under)
        self._trace.unlink(missing_ok=True)
        self._page.trace = os.fsencode(self._trace)

    def points(self) -> list[Point]:
        """The calls since ``trace``, in their order."""
        self._page.trace = b""
        rows = [line.split("\t") for line in self._trace.read_text().splitlines()] if self._trace.exists() else []
        under = self._page.under.decode()
        found = [Point(int(number), call, path.removeprefix(under)) for number, _pid, call, path in rows]
        return sorted(found)

    def at(self, number: int, fault: Fault, *, everywhere: bool = False) -> None:
        """Let ``fault`` happen at the call with this number; ``everywhere``: not only in the place where it began.

        A place is a folder right below the watched one, as if it were a file system of its own.
        """
        page = self._page
        page.kind = _FAIL if fault.code else _SIGNAL
        page.value = fault.code or fault.signal
        page.classes = int(fault.calls)
        page.lasts = (1 + everywhere) if fault.lasts else 0
        page.clock_then = fault.clock
        page.at = number

    def command(self, pid: int) -> None:
        """Which process signals go to."""
        self._page.command = pid

    def set_clock(self, seconds: int) -> None:
        """From now on the clock is so wrong."""
        self._page.clock = seconds

    @property
    def fired(self) -> Point | None:
        """Where it happened; None where the command did not come so far."""
        page = self._page
        if not page.fired:
            return None
        return Point(page.at, page.call.decode(), page.path.decode().removeprefix(page.under.decode()))

    def lift(self) -> None:
        """No fault any more; the clock stays as it is."""
        self._page.at = 0

    def close(self) -> None:
        """Let go of the page."""
        del self._page
        self._map.close()
