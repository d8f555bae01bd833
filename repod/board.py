"""The board: what waits in each inbox, and what came of the last arrivals, for who asks and for who waits to hear.

It speaks of what this process saw since it began. Older answers are in the store and among the rejected.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from repod.office import Arrival, Waiting

_KEPT = 10_000

_Key = tuple[str, str]
"""Repository, and the SHA-256 of what arrived."""


class Board:
    """Any thread may write and read it."""

    def __init__(self, *, kept: int = _KEPT) -> None:
        """``kept``: how many arrivals are remembered."""
        self._kept = kept
        self._lock = threading.Lock()
        self._arrivals: OrderedDict[_Key, Arrival] = OrderedDict()
        self._names: dict[tuple[str, str], str] = {}
        self._waiting: dict[str, Sequence[Waiting]] = {}
        self._wakes: dict[_Key, list[Callable[[], object]]] = {}
        self.closed = False

    def expect(self, repository: str, checksum: str, file: str) -> None:
        """What has that SHA-256 is about to lie in the inbox as ``file``."""
        self._put(repository, Arrival(sha256=checksum, state="waiting", file=file))

    def withdraw(self, repository: str, checksum: str) -> None:
        """What was expected does not come."""
        with self._lock:
            arrival = self._arrivals.get((repository, checksum))
            if arrival is None or arrival.state != "waiting":
                return
            del self._arrivals[repository, checksum]
            if self._names.get((repository, arrival.file)) == checksum:
                del self._names[repository, arrival.file]

    def seen(self, repository: str, waiting: Sequence[Waiting]) -> None:
        """What a turn left in the inbox. What was expected under such a name waits for the same."""
        with self._lock:
            self._waiting[repository] = waiting
            for one in waiting:
                key = (repository, self._names.get((repository, one.file), ""))
                arrival = self._arrivals.get(key)
                if arrival and arrival.state == "waiting" and one.why:
                    self._arrivals[key] = replace(arrival, why=one.why)

    def settled(self, repository: str, arrival: Arrival) -> None:
        """What came of an arrival; its SHA-256 may be empty where its name tells which was expected."""
        with self._lock:
            checksum = arrival.sha256 or self._names.get((repository, arrival.file), "")
        if checksum:
            self._put(repository, replace(arrival, sha256=checksum))

    def waiting(self, repository: str) -> Sequence[Waiting] | None:
        """What the last turn left in the inbox; None before the first one."""
        return self._waiting.get(repository)

    def of(self, repository: str, checksum: str) -> Arrival | None:
        """What is known of an arrival; None where nothing is."""
        return self._arrivals.get((repository, checksum))

    def name_of(self, repository: str, file: str) -> str:
        """The SHA-256 of what was expected under that name; empty where nothing was."""
        with self._lock:
            return self._names.get((repository, file), "")

    def watch(self, repository: str, checksum: str, wake: Callable[[], object]) -> Callable[[], None]:
        """Call ``wake``, from any thread, whenever something new is known of an arrival; the return value ends that."""
        key = (repository, checksum)
        with self._lock:
            self._wakes.setdefault(key, []).append(wake)

        def leave() -> None:
            with self._lock:
                wakes = self._wakes.get(key, [])
                if wake in wakes:
                    wakes.remove(wake)
                if not wakes:
                    self._wakes.pop(key, None)

        return leave

    def close(self) -> None:
        """Wake everybody: nothing more comes."""
        self.closed = True
        with self._lock:
            wakes = [wake for some in self._wakes.values() for wake in some]
        for wake in wakes:
            wake()

    def _put(self, repository: str, arrival: Arrival) -> None:
        key = (repository, arrival.sha256)
        with self._lock:
            self._arrivals.pop(key, None)
            self._arrivals[key] = arrival
            self._names[repository, arrival.file] = arrival.sha256
            while len(self._arrivals) > self._kept:
                (of, checksum), old = self._arrivals.popitem(last=False)
                if self._names.get((of, old.file)) == checksum:
                    del self._names[of, old.file]
            wakes = list(self._wakes.get(key, ()))
        for wake in wakes:
            wake()
