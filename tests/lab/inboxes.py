"""Inboxes for tests: the directory and its twin under one set of handles, a log that remembers, losing observers."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

from repod.doors import Arrival, Inbox
from repod.inbox.directory import DirectoryInbox
from repod.inbox.memory import MemoryInbox
from repod.package import Fault
from tests.lab.wait import until

SETTLE, INCOMPLETE_AFTER = 20.0, 600.0
FAULT = Fault(code="arch", text="arch is sparc, expected x86_64")
_NOBODY = 65534


def wanted(name: str) -> bool:
    """The documents of these tests."""
    return name.endswith((".doc", ".json"))


class Lines:
    """A log that remembers: ``lines`` are (level, event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def of(self, event: str) -> list[dict[str, Any]]:
        """The fields of all lines of that event."""
        return [fields for _, said, fields in self.lines if said == event]

    @property
    def warnings(self) -> list[str]:
        """The events of all warnings."""
        return [event for level, event, _ in self.lines if level == "warning"]


class Time:
    """The real time plus what a test added."""

    def __init__(self) -> None:
        self.added = 0.0

    def __call__(self) -> float:
        return time.time() + self.added


class Place(Protocol):
    """An inbox with handles that stand for the world around it."""

    clock: Time

    @property
    def inbox(self) -> Inbox:
        """The inbox itself."""

    def put(self, name: str, data: bytes, *, earlier: float = 0.0) -> None:
        """Let a whole file appear, or replace another, ``earlier`` seconds before now."""

    def delete(self, name: str) -> None:
        """Let a file go away."""

    def writing(self, name: str, data: bytes) -> Callable[[], None]:
        """Let somebody write ``data`` and keep the file open; call the answer to have it closed."""

    def lying(self) -> dict[str, bytes]:
        """All files in the inbox."""

    def rejected(self) -> dict[str, bytes]:
        """All files among the rejected ones."""

    def break_it(self) -> None:
        """Make the inbox unreadable."""


class MemoryPlace:
    """The twin in memory."""

    def __init__(self, _: Path) -> None:
        self.clock = Time()
        self.inbox = MemoryInbox(clock=self.clock, wanted=wanted, settle=SETTLE, incomplete_after=INCOMPLETE_AFTER)

    def put(self, name: str, data: bytes, *, earlier: float = 0.0) -> None:
        self.clock.added -= earlier
        self.inbox.put(name, data)
        self.clock.added += earlier

    def delete(self, name: str) -> None:
        self.inbox.delete(name)

    def writing(self, name: str, data: bytes) -> Callable[[], None]:
        self.inbox.put(name, data, writing=True)
        return lambda: self.inbox.put(name, data)

    def lying(self) -> dict[str, bytes]:
        return self.inbox.files

    def rejected(self) -> dict[str, bytes]:
        return self.inbox.rejected

    def break_it(self) -> None:
        self.inbox.broken = "the inbox is broken by a test"


class DirectoryPlace:
    """The directory ``folder/inbox`` with ``folder/rejected`` beside it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.root = folder / "inbox"
        self.root.mkdir(exist_ok=True)
        self.clock = Time()
        self.log = Lines()
        self.observers: Observers | None = settings.get("observer")
        self.inbox = open_directory(self.root, clock=self.clock, log=self.log, **settings)

    def put(self, name: str, data: bytes, *, earlier: float = 0.0) -> None:
        aside = self.folder / secrets.token_hex(8)
        aside.write_bytes(data)
        if earlier:
            os.utime(aside, (time.time() - earlier,) * 2)
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(target)

    def delete(self, name: str) -> None:
        (self.root / name).unlink()

    def writing(self, name: str, data: bytes) -> Callable[[], None]:
        file = (self.root / name).open("wb")
        file.write(data)
        file.flush()
        return file.close

    def lying(self) -> dict[str, bytes]:
        return files_below(self.root)

    def rejected(self) -> dict[str, bytes]:
        return files_below(self.folder / "rejected")

    def break_it(self) -> None:
        self.root.rename(self.folder / "elsewhere")


def open_directory(root: Path, **settings: Any) -> DirectoryInbox:
    """A directory inbox with the tests' settings where none are given."""
    given: dict[str, Any] = {
        "rejected": root.parent / "rejected",
        "watch": "auto",
        "scan_interval": 0.2,
        "settle": SETTLE,
        "incomplete_after": INCOMPLETE_AFTER,
        "clock": time.time,
        "log": Lines(),
        "wanted": wanted,
    }
    return DirectoryInbox(root, **given | settings)


def files_below(root: Path) -> dict[str, bytes]:
    """Names, relative to ``root``, and bytes of all regular files; what somebody moves meanwhile may miss."""
    found = {}
    for folder, _, files in os.walk(root):
        for path in (Path(folder, name) for name in files):
            with suppress(FileNotFoundError):
                if path.is_file():
                    found[str(path.relative_to(root))] = path.read_bytes()
    return found


def names(arrivals: Sequence[Arrival]) -> list[str]:
    """The arrivals' names."""
    return [arrival.name for arrival in arrivals]


def only(inbox: Inbox) -> Arrival:
    """The one arrival that there must be."""
    (arrival,) = inbox.scan()
    return arrival


def collect(inbox: Inbox, count: int, seconds: float) -> set[str]:
    """The names of all ready arrivals as a daemon sees them: wait, scan, remove; until there were ``count``."""
    seen = set[str]()

    def enough() -> bool:
        for arrival in inbox.scan():
            if not arrival.waiting:
                seen.add(arrival.name)
                inbox.remove(arrival)
        return len(seen) >= count or (inbox.wait(0.2) and False)

    until(enough, seconds, f"{count} arrivals")
    return seen


class Observers:
    """Makes real observers and remembers them. ``fail``: what the next ones raise as they start.

    ``names``: of the files of which events came, whether they were delivered or not.
    """

    def __init__(self, keep: Callable[[int], bool] = lambda _: True) -> None:
        """``keep`` says of each event, by its number, whether it is delivered."""
        self.made: list[InotifyObserver] = []
        self.fail: OSError | RuntimeError | None = None
        self.dropped = 0
        self.names: list[str] = []
        self._keep = keep
        self._count = 0

    def __call__(self) -> InotifyObserver:
        observers = self

        class Observer(InotifyObserver):
            def start(self) -> None:
                if observers.fail:
                    raise observers.fail
                super().start()

            def schedule(self, event_handler: FileSystemEventHandler, *words: Any, **settings: Any) -> Any:
                return super().schedule(_Losing(event_handler, observers), *words, **settings)

        self.made.append(Observer())
        return self.made[-1]

    def pass_on(self) -> bool:
        """Whether the next event is delivered."""
        self._count += 1
        keep = self._keep(self._count)
        self.dropped += not keep
        return keep


class _Losing(FileSystemEventHandler):
    def __init__(self, inner: FileSystemEventHandler, observers: Observers) -> None:
        self._inner = inner
        self._observers = observers

    def dispatch(self, event: FileSystemEvent) -> None:
        if self._observers.pass_on():
            self._inner.dispatch(event)
        self._observers.names.append(Path(os.fsdecode(event.src_path)).name)


def watch_threads() -> int:
    """How many threads of watchdog run in this process."""
    return sum(type(thread).__module__.startswith("watchdog") for thread in threading.enumerate())


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without the rights of root, where the tests have them."""
    if os.geteuid():
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
