"""watchdog, as a hint: it sets a flag for whatever may be an arrival.

The handler cannot fail: watchdog ends its thread on the first exception of one, without a word.
"""

import logging
import os
import threading
import warnings
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyObserver

from repod.inbox.names import Wanted, left_alone

# Not "opened" and "closed without writing": reading the inbox would wake its own reader for
# ever. Not "modified": a file that is being written is not ready, and its end says "closed".
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]

_SILENT = logging.NullHandler()

__all__ = ["InotifyObserver", "watch"]


class _Hints(FileSystemEventHandler):
    """Sets the flag for whatever may be an arrival."""

    def __init__(self, flag: threading.Event, wanted: Wanted) -> None:
        self._flag = flag
        self._wanted = wanted

    def dispatch(self, event: FileSystemEvent) -> None:
        name = os.fsdecode(event.dest_path or event.src_path).rpartition("/")[2]
        # repod's own renames, and uploads under a name that is not the final one, wake nobody.
        if not left_alone(name, folder=event.is_directory, wanted=self._wanted):
            self._flag.set()


def watch(observer: BaseObserver, directory: Path, flag: threading.Event, wanted: Wanted) -> None:
    """Have ``observer`` begin to set ``flag`` for what happens in ``directory`` and below it."""
    _hush()
    observer.schedule(_Hints(flag, wanted), str(directory), recursive=True, event_filter=_EVENTS)
    observer.start()


def _hush() -> None:
    """Keep watchdog from speaking past repod's log, on standard error.

    Folders made in quick succession have it warn, in its reading thread, that it watches
    one of them twice, which does no harm; where warnings are errors that thread would die.
    On closing it reports its own end as an error.
    """
    warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)
    logging.getLogger("watchdog").addHandler(_SILENT)
