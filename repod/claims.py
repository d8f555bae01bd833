"""The records of one repository: who creates one claims its number, and it never changes again.

So what was read or written once need not be asked of the store again: only the newest are.
"""

import contextlib
import time
from collections.abc import Callable
from threading import Lock

from repod.doors import Expect, Pause, Store
from repod.doubt import Doubts
from repod.errors import Conflict, NotFound, OutcomeUnknown
from repod.generation import Generation, record_path
from repod.package import Sha256, digest

_KEPT = 4
_CROWDED = 2  # losses in a row after which more make no more patient: else who won once would win always


class Claimed(Conflict):
    """The number is another writer's already."""


class Claims:
    """Reads and creates records. Threads may share it."""

    def __init__(self, store: Store) -> None:
        """``store``: where the repository lies."""
        self._store = store
        self._known: dict[int, tuple[Generation, Sha256]] = {}
        self._lock = Lock()  # without it, who just read a record would bring back what is being forgotten
        self._doubtful: list[Generation] = []
        self._doubts = Doubts()

    @property
    def newest(self) -> int:
        """The highest number of which the record is known; 0 where none is."""
        return max(self._known, default=0)

    def record(self, number: int) -> Generation:
        """The record of generation ``number``; ``NotFound`` where it is not there."""
        return self._one(number)[0]

    def digest(self, number: int) -> Sha256:
        """The SHA-256 of the record of generation ``number``; ``NotFound`` where it is not there."""
        return self._one(number)[1]

    def forget(self) -> None:
        """Ask the store again."""
        with self._lock:
            self._known = {}

    def found(self, number: int) -> Generation | None:
        """The record of generation ``number``, where somebody has claimed that: as the store has it now."""
        with contextlib.suppress(NotFound):
            return self._read(number)[0]
        return None

    def free(self, number: int, *, ask: bool) -> Callable[[], None]:
        """What raises ``Claimed`` where somebody has claimed ``number``; without ``ask`` it lets all pass.

        Any number of threads may call it: the first one asks, and the others wait for the answer.
        """
        lock, passed = Lock(), [True] if not ask else list[bool]()

        def check() -> None:
            with lock:
                if not passed:
                    if self.found(number):
                        msg = f"generation {number} is another writer's; plan again on it"
                        raise Claimed(msg)
                    passed.append(True)

        return check

    def claim(self, generation: Generation) -> bool:
        """Create the record; False where the number is another writer's."""
        path, data = record_path(generation.number), generation.to_json()
        try:
            self._store.write(path, data, Expect.ABSENT)
        except (Conflict, OutcomeUnknown) as error:
            # It may be ours: the answer was lost, and the write was tried again below.
            with contextlib.suppress(NotFound):
                if self._store.read(path).data == data:
                    self._kept(generation, data)
                    return True
            if isinstance(error, OutcomeUnknown):
                self._doubtful.append(generation)
            self._doubts.met(error)
            return False
        self._doubts.over()
        self._kept(generation, data)
        return True

    def begin(self) -> None:
        """What is claimed from now on is one change, tried until it is done."""
        self._doubtful = []
        self._doubts.over()

    def landed(self, current: int) -> Generation | None:
        """The generation, up to the current one, that was claimed for this change by a write whose answer was lost."""
        for one in self._doubtful:
            found = self.found(one.number) if one.number <= current else None
            if found and found.to_json() == one.to_json():
                return found
        return None

    def _one(self, number: int) -> tuple[Generation, Sha256]:
        return self._known.get(number) or self._read(number)

    def _read(self, number: int) -> tuple[Generation, Sha256]:
        data = self._store.read(record_path(number)).data
        return self._kept(Generation.from_json(data), data)

    def _kept(self, generation: Generation, data: bytes) -> tuple[Generation, Sha256]:
        known = generation, digest(data)
        with self._lock:
            self._known = dict(sorted({**self._known, generation.number: known}.items())[-_KEPT:])
        return known


class Patience:
    """How a writer stands back who lost a race: about as long as a try takes, and longer the more it loses.

    So of many writers few work in vain, and what arrives for the others becomes one generation.
    """

    def __init__(self, pause: Pause, raced: Callable[[], object]) -> None:
        """``pause`` sleeps; ``raced`` is told of each race that was lost."""
        self._pause = pause
        self._raced = raced
        self._crowd = 0
        self._began = 0.0

    def begin(self) -> None:
        """A try begins."""
        self._began = time.perf_counter()

    def won(self) -> None:
        """It was not in vain."""
        self._crowd -= self._crowd > 0

    def lost(self) -> None:
        """It was; sleep."""
        self._raced()
        self._crowd += self._crowd < _CROWDED
        self._pause(self._crowd, time.perf_counter() - self._began)
