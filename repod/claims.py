"""The records of one repository: who creates one claims its number, and it never changes again.

So what was read or written once need not be asked of the store again: only the newest are.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

from repod.doors import Expect, Pause, Store
from repod.doubt import Doubts
from repod.errors import Conflict, NotFound, OutcomeUnknown
from repod.generation import Generation, record_path

_KEPT = 4
_CROWDED = 2  # losses in a row after which more make no more patient: else who won once would win always


class Claimed(Conflict):
    """The number is another writer's already."""


class Claims:
    """Reads and creates records. Threads may share it."""

    def __init__(self, store: Store) -> None:
        """``store``: where the repository lies."""
        self._store = store
        self._known: dict[int, Generation] = {}
        self._doubts = Doubts()

    @property
    def newest(self) -> int:
        """The highest number of which the record is known; 0 where none is."""
        return max(self._known, default=0)

    def record(self, number: int) -> Generation:
        """The record of generation ``number``; ``NotFound`` where it is not there."""
        return self._known.get(number) or self._kept(self._read(number))

    def forget(self) -> None:
        """Ask the store again."""
        self._known = {}

    def found(self, number: int) -> Generation | None:
        """The record of generation ``number``, where somebody has claimed that: as the store has it now."""
        with contextlib.suppress(NotFound):
            return self._kept(self._read(number))
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
                    self._kept(generation)
                    return True
            self._doubts.met(error)
            return False
        self._doubts.over()
        self._kept(generation)
        return True

    def _read(self, number: int) -> Generation:
        return Generation.from_json(self._store.read(record_path(number)).data)

    def _kept(self, generation: Generation) -> Generation:
        newest = sorted({**self._known, generation.number: generation}.items())[-_KEPT:]
        self._known = dict(newest)
        return generation


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


def beside(threads: ThreadPoolExecutor, *calls: Callable[[], Any]) -> Sequence[Any]:
    """What each of ``calls`` returns, made beside each other; none is under way any more where one raises."""
    futures = [threads.submit(call) for call in calls]
    wait(futures)
    return [future.result() for future in futures]
