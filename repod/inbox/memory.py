"""Inbox: in memory, for tests of what uses one. It decides as the directory does."""

import hashlib
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repod.doors import Arrival, Clock
from repod.errors import Conflict, NotFound, Unavailable
from repod.inbox.folders import new_file
from repod.inbox.names import REASON, Wanted, path_left_alone, shown
from repod.inbox.readiness import Patience
from repod.inbox.rejected import as_json, candidates, reason
from repod.package import Fault, Sha256, is_rpm, sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    data: bytes
    number: int
    changed: float
    writer: bool


class MemoryInbox:
    """An ``Inbox`` of bytes. ``rejected`` maps names to bytes, reason files included.

    ``broken``: while it is not empty, ``scan`` raises ``Unavailable`` with it.
    """

    def __init__(self, *, clock: Clock, wanted: Wanted, settle: float = 0.0, incomplete_after: float = 0.0) -> None:
        """By default nothing waits to become whole: any bytes are ready at once."""
        self._clock = clock
        self._wanted = wanted
        self._patience = Patience(settle=settle, incomplete_after=incomplete_after)
        self._files: dict[str, _File] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._hint = threading.Event()
        self._hint.set()  # nobody has looked yet
        self._closed = False
        self.rejected: dict[str, bytes] = {}
        self.broken = ""

    def put(self, name: str, data: bytes, *, writing: bool = False) -> None:
        """A file appears or takes another's place. ``writing``: whoever wrote it still has it open."""
        with self._lock:
            changed = self._clock()
            self._files[name] = _File(data=data, number=next(self._numbers), changed=changed, writer=writing)
        self._hint.set()

    def delete(self, name: str) -> None:
        """A file goes away."""
        with self._lock:
            del self._files[name]

    @property
    def files(self) -> dict[str, bytes]:
        """What lies in the inbox, whatever it is."""
        with self._lock:
            return {name: file.data for name, file in self._files.items()}

    def scan(self) -> Sequence[Arrival]:
        """As in ``Inbox``: oldest first."""
        if not self._closed:
            self._hint.clear()
        if self.broken:
            raise Unavailable(self.broken)
        with self._lock:
            files = sorted(self._files.items(), key=lambda item: (item[1].changed, item[0]))
        return [self._arrival(name, file) for name, file in files if not path_left_alone(name, self._wanted)]

    def take(self, arrival: Arrival, target: Path) -> Sha256:
        """As in ``Inbox``."""
        with self._lock:
            data = self._now(arrival).data
        with new_file(target) as copy:
            copy.write(data)
        return sha256(hashlib.sha256(data).hexdigest())

    def remove(self, arrival: Arrival) -> None:
        """As in ``Inbox``; one that is gone already is success."""
        with self._lock:
            file = self._files.get(arrival.name)
            if file and str(file.number) == arrival.mark:
                del self._files[arrival.name]

    def reject(self, arrival: Arrival, faults: Sequence[Fault], checksum: str, time: float) -> str:
        """As in ``Inbox``; returns the name in ``rejected``."""
        with self._lock:
            data = self._now(arrival).data
            base = arrival.name.rpartition("/")[2]
            name = next(n for n in candidates(base) if self.rejected.get(n, data) == data)
            said = reason(arrival, "memory", checksum=checksum, time=time, faults=faults) | {"file": shown(name)}
            self.rejected |= {name: data, name + REASON: as_json(said)}
            del self._files[arrival.name]
        return name

    def wait(self, seconds: float) -> bool:
        """As in ``Inbox``: True at once where something was put since the last scan began."""
        return self._hint.wait(seconds) and not self._closed

    def close(self) -> None:
        """As in ``Inbox``."""
        self._closed = True
        self._hint.set()

    def _arrival(self, name: str, file: _File) -> Arrival:
        age = max(0.0, self._clock() - file.changed)
        wait = self._patience.judge(file.data, len(file.data), age, writer=file.writer, rpm=is_rpm(name))
        waiting = wait.why if wait else ""
        return Arrival(name=name, size=len(file.data), mark=str(file.number), age=age, waiting=waiting)

    def _now(self, arrival: Arrival) -> _File:
        file = self._files.get(arrival.name)
        if file is None:
            raise NotFound(f"{shown(arrival.name)} is no longer in the inbox")
        if str(file.number) != arrival.mark:
            raise Conflict(f"{shown(arrival.name)} changed after it was seen; it is looked at again")
        return file
