"""Wakes whoever waits for an inbox as soon as something happens in it.

Events are hints: they are late, lost or doubled, and each means no more than "look now".
What was seen is the business of the scan.
"""

import errno
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

from repod.inbox.names import Wanted

_RETRY = (1.0, 5.0, 15.0, 60.0)
_PROVEN = 60.0  # an observer that lived so long did not die of what the one before it died of
_LIMITS = {
    errno.ENOSPC: "the limit fs.inotify.max_user_watches is reached; raise it with sysctl",
    errno.EMFILE: "the limit fs.inotify.max_user_instances, or that of open files, is reached; raise it",
}

Identity = tuple[int, int]
"""Device and inode of a directory."""

MakeObserver = Callable[[], "BaseObserver"]


class Log(Protocol):
    """As much of the logger as an inbox uses."""

    def info(self, event: str, **fields: Any) -> Any:
        """Something that should be known happened."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something is not as it should be; repod goes on."""


class Watcher:
    """Watches one directory with everything below it, by events or, where there are none, by time.

    ``tend`` and ``listen`` belong to whoever scans, ``wait`` to whoever sleeps between two
    scans; ``close`` may come from anywhere.
    """

    def __init__(
        self,
        directory: Path,
        *,
        poll: bool,
        interval: float,
        log: Log,
        wanted: Wanted,
        shared: str = "",
        observer: MakeObserver | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``interval``: seconds between two scans where no events come. ``shared``: type of a network file system.

        ``observer``: None is watchdog's, over inotify.
        """
        self._directory = directory
        self._poll = poll
        self._interval = interval
        self._log = log
        self._wanted = wanted
        self._shared = shared
        self._make = observer
        self._monotonic = monotonic
        self._hint = threading.Event()
        self._hint.set()  # nobody has looked yet
        self._lock = threading.Lock()
        self._closed = False
        self._observer: BaseObserver | None = None
        self._watched: Identity | None = None
        self._tries = 0
        self._started = self._retry = -math.inf
        self._told: int | None = None

    @property
    def mode(self) -> str:
        """``events`` while they come, else ``polling``."""
        observer = self._observer
        return "events" if observer is not None and _alive(observer) else "polling"

    @property
    def up(self) -> bool:
        """Whether the directory is watched as configured; False before the first scan."""
        return self._poll or self.mode == "events"

    def tend(self, identity: Identity) -> None:
        """Start what should run and does not. Call it before each scan with what the directory is now."""
        with self._lock:
            if self._closed or self._poll:
                return
            now = self._monotonic()
            if self._observer is not None and self._sound(self._observer, identity):
                if now - self._started > _PROVEN:
                    self._tries = 0
                return
            if self._observer is not None:
                _end(self._observer)
                self._observer = None
            if now >= self._retry:
                self._start(identity, now)

    def listen(self) -> None:
        """A scan begins: only what happens from now on is news."""
        if not self._closed:
            self._hint.clear()

    def distrust(self) -> None:
        """The directory could not be read: whatever is watched may be another one."""
        self._watched = None

    def wait(self, seconds: float, due: float = math.inf) -> bool:
        """True at once where something happened since the last scan began, or once ``due`` (monotonic) is over.

        False after ``seconds``, or sooner where no events come. True also where the events
        stopped coming: the next scan sees what they did not tell.
        """
        end = self._end_of(seconds)
        while not self._closed:
            now = self._monotonic()
            if self._hint.is_set() or now >= due or self._died():
                return True
            if now >= end:
                return False
            self._hint.wait(min(end, due, now + self._interval) - now)
        return False

    def knock(self) -> None:
        """Something arrived, which events need not tell of."""
        self._hint.set()

    def close(self) -> None:
        """Stop watching; wakes a ``wait``, and every later one returns at once."""
        with self._lock:
            self._closed = True
            self._hint.set()
            if self._observer is not None:
                _end(self._observer)
                self._observer = None

    def _end_of(self, seconds: float) -> float:
        now = self._monotonic()
        if self.mode == "events":
            return now + seconds
        end = now + min(seconds, self._interval)
        # The next scan starts the watcher again, so it should not come later than it may.
        return self._retry if not self._poll and now < self._retry < end else end

    def _died(self) -> bool:
        observer = self._observer
        return observer is not None and not _alive(observer)

    def _sound(self, observer: "BaseObserver", identity: Identity) -> bool:
        """Whether it lives and watches the directory that has the name now."""
        if not _alive(observer):
            self._log.warning("inbox watcher died, started again", inbox=str(self._directory))
            return False
        if identity != self._watched:
            # A watch follows the directory, not its name: after a mount or a new one it is deaf.
            self._tries = 0
            self._retry = -math.inf
            return False
        return True

    def _start(self, identity: Identity, now: float) -> None:
        self._started = now
        self._retry = now + _RETRY[min(self._tries, len(_RETRY) - 1)]
        self._tries += 1
        from repod.inbox import hints  # noqa: PLC0415 - watchdog is not imported where nothing is watched

        observer = None
        try:
            observer = self._make() if self._make else hints.InotifyObserver()
            hints.watch(observer, self._directory, self._hint, self._wanted)
        except (OSError, RuntimeError) as error:
            if observer is not None:
                _end(observer)
            self._failed(error)
            return
        self._observer = observer
        self._watched = identity
        self._report()

    def _failed(self, error: OSError | RuntimeError) -> None:
        number = error.errno or 0 if isinstance(error, OSError) else 0
        if number != self._told:
            self._told = number
            self._log.warning(
                "inbox is polled, since it cannot be watched",
                inbox=str(self._directory),
                interval=self._interval,
                # The kernel's own text for the first is "No space left on device".
                problem=_LIMITS.get(number, f"inotify failed: {error}"),
            )

    def _report(self) -> None:
        if self._told is not None:
            self._told = None
            self._log.info("inbox is watched again", inbox=str(self._directory))
        if self._shared:
            self._log.warning(
                "inbox lies on a network file system",
                inbox=str(self._directory),
                filesystem=self._shared,
                problem="what other hosts write there gives no events; it is found by the scan",
                interval=self._interval,
            )
            self._shared = ""


def _alive(observer: "BaseObserver") -> bool:
    """Whether all threads of the observer live: one dispatches, one per watch, and one reads (watchdog 7)."""
    reader = getattr(observer, "_inotify_fd", None)
    threads: list[threading.Thread] = [observer, *observer.emitters, *([reader] if reader else [])]
    return bool(observer.emitters) and all(thread.is_alive() for thread in threads)


def _end(observer: "BaseObserver") -> None:
    # One that is broken may fail to stop, and nothing more can be done about it.
    with suppress(Exception):
        observer.stop()
        if observer.is_alive():
            observer.join()
