"""What the machine has left for repod and what repod's processes take, measured without ever waiting for it.

``statvfs`` on a file system whose server is gone hangs for ever, in the kernel: so each file system is measured
by a thread of its own, and where that does not come back, what it said last stands.
"""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

_PAGE = os.sysconf("SC_PAGE_SIZE")

Place = tuple[str, str]
"""A repository, or an empty text, and what lies there: store, inbox, state."""


class Ledger(Protocol):
    """Where what is measured is written down."""

    def room(self, repository: str, place: str, free: int, size: int) -> None:
        """Free bytes, and bytes in all."""

    def forget_room(self, repository: str, place: str) -> None:
        """The place cannot be measured."""


class Rooms:
    """How much room there is in places. One thread at a time may look."""

    def __init__(self, places: Mapping[Place, Path], ledger: Ledger) -> None:
        """``places``: directories, each by what it is."""
        groups: dict[int, dict[Place, Path]] = {}
        for place, path in places.items():
            groups.setdefault(_device(path), {})[place] = path
        self._measures = [_Measure(group, ledger) for group in groups.values()]

    def look(self) -> None:
        """Have all measured; it is written down when it comes, at once or never."""
        for measure in self._measures:
            measure.begin()

    def close(self) -> None:
        """Write nothing down any more."""
        for measure in self._measures:
            measure.over = True


class _Measure:
    """Measures places of one file system, in a thread that may hang."""

    def __init__(self, places: Mapping[Place, Path], ledger: Ledger) -> None:
        self._places = places
        self._ledger = ledger
        self._thread: threading.Thread | None = None
        self.over = False

    def begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._measure, name="file system", daemon=True)
            self._thread.start()

    def _measure(self) -> None:
        for (repository, place), path in self._places.items():
            try:
                found = os.statvfs(path)
            except OSError:
                if not self.over:
                    self._ledger.forget_room(repository, place)
                continue
            if not self.over:
                self._ledger.room(repository, place, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def _device(path: Path) -> int:
    """The file system of a place, as it is now; -1 where it is not there."""
    try:
        return path.stat().st_dev
    except OSError:
        return -1


def workers() -> tuple[int, int]:
    """How many processes this one has below it, and the bytes of memory that are resident of them together."""
    found = list(_descendants(os.getpid()))
    return len(found), sum(_resident(pid) for pid in found)


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> Sequence[int]:
    """A child is listed with the thread that started it."""
    return [int(child) for text in _read(Path(f"/proc/{pid}/task").glob("*/children")) for child in text.split()]


def _resident(pid: int) -> int:
    return sum(int(text.split()[1]) * _PAGE for text in _read([Path(f"/proc/{pid}/statm")]))


def _read(paths: Iterable[Path]) -> Iterator[str]:
    """The texts of those that are there; threads and processes end at any time."""
    for path in paths:
        with contextlib.suppress(OSError):
            yield path.read_text()
