"""One store, and the wires by which processes reach it: each call is a scheduling point, and may go wrong.

As in S3: a call may fail and nothing happened; it may be done and its answer lost; or its answer is lost and it is
done later, on the very state that it expected, or never. A listing comes in pages, and others write between two.
Every change that is really made is noted: what a checker may believe.
"""

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from repod.doors import Blob, Expect, Part, Store, Stored, Version
from repod.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from repod.package import Sha256, StorePath
from repod.store.memory import MemoryStore
from tests.histories.scheduler import Scheduler
from tests.lab.faulty import Crash

_T = TypeVar("_T")
_LATE = 0.1  # chance that something that waits on the way is done at a point


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A change that was made. ``before``: the object's bytes, None where it was not there."""

    step: int
    time: float
    by: str
    verb: Literal["write", "add", "remove"]
    path: str
    data: bytes | None
    before: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """How often a call of a wire goes wrong: chances of each call, and the calls after which a process dies."""

    fails: float = 0.0
    unknown: float = 0.0
    page: int = 1000
    dies: int | None = None


class Truth:
    """The store itself, and what was done to it.

    ``door`` is what processes get of it: a broken one, where the checker is tested.
    """

    def __init__(self, name: str, inner: Store, scheduler: Scheduler, draw: random.Random) -> None:
        self.name = name
        self.inner = inner
        self.door = inner
        self.effects: list[Effect] = []
        self.counts = Counter[str]()
        self._scheduler = scheduler
        self._draw = draw
        self._on_its_way: list[Callable[[], object]] = []

    def change(self, by: str, verb: Literal["write", "add", "remove"], path: StorePath, make: Callable[[], _T]) -> _T:
        """Make a change, and note it if it is one."""
        before, step = self.bytes(path), self._scheduler.step
        result = make()
        after = self.bytes(path)
        if before != after or verb != "remove":
            now = self._scheduler.clock.now
            self.effects.append(Effect(step=step, time=now, by=by, verb=verb, path=path, data=after, before=before))
        return result

    def bytes(self, path: StorePath) -> bytes | None:
        """What lies there."""
        try:
            return self.inner.read(path).data
        except NotFound:
            return None

    def later(self, make: Callable[[], object]) -> None:
        """A change is on its way: it is made at some time, where it fits still, or never."""
        self._on_its_way.append(make)

    def arrive(self, *, all_of_them: bool = False) -> None:
        """Now and then something that was on its way is done."""
        while self._on_its_way and (all_of_them or self._draw.random() < _LATE):
            make = self._on_its_way.pop(self._draw.randrange(len(self._on_its_way)))
            if self._draw.random() < 0.8:
                self.counts["late"] += 1
                with contextlib.suppress(Conflict, NotFound):  # where it does not fit any more
                    make()


class Wire:
    """``Store`` as one process has it."""

    def __init__(self, truth: Truth, by: str, scheduler: Scheduler, draw: random.Random, trouble: Trouble) -> None:
        self.truth = truth
        self.dead = False
        self.by = by
        self.scheduler = scheduler
        self._draw = draw
        self._trouble = trouble
        self._calls = 0

    def read(self, path: StorePath) -> Blob:
        self._look("read", path)
        return self.truth.door.read(path)

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._look("stream", path)
        yield from list(self.truth.door.stream(path, offset, length))

    def list(self, prefix: str) -> Iterable[Stored]:
        last = ""
        while True:
            self._look("list", prefix)
            page = [one for one in self.truth.door.list(prefix) if one.path > last][: self._trouble.page]
            yield from page
            if len(page) < self._trouble.page:
                return
            last = page[-1].path

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        return self._change("write", path, lambda: self.truth.door.write(path, data, expect))

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        parts = [part.read_bytes() if hasattr(part, "read_bytes") else part for part in parts]
        self._change("add", path, lambda: self.truth.door.add(path, parts, checksum))

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        data = list((of or self).stream(source))
        self._change("add", target, lambda: self.truth.door.add(target, data, checksum))

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        return self._change("remove", path, lambda: self.truth.door.remove(path, seen=seen))

    def sweep(self) -> int:
        return 0

    def prove(self) -> None:
        return

    def alive(self, what: str) -> None:
        """A scheduling point of this process, at which it may be dead."""
        self._calls += 1
        if self.dead or self._calls == self._trouble.dies:
            self.dead = True
            raise Crash
        self.scheduler.point(what)

    def _look(self, verb: str, path: str) -> None:
        self.alive(f"{verb} {path}")
        self.truth.arrive()
        if self._draw.random() < self._trouble.fails:
            raise Unavailable(f"{verb} {path}: the store does not answer")

    def _change(self, verb: Literal["write", "add", "remove"], path: StorePath, make: Callable[[], _T]) -> _T:
        self._look(verb, path)

        def change() -> _T:
            return self.truth.change(self.by, verb, path, make)

        if self._draw.random() >= self._trouble.unknown:
            return change()
        self.truth.counts["unknown"] += 1
        fate = self._draw.randrange(3)
        if fate == 0:
            change()
        elif fate == 1:
            self.truth.later(change)
        raise OutcomeUnknown(f"{verb} {path}: the connection broke before the answer came")


def cloned(inner: MemoryStore, into: MemoryStore, at: Callable[[float], object]) -> None:
    """Fill ``into`` with all that is in ``inner``; ``at`` sets the clock of ``into``."""
    for stored in inner.list(""):
        at(stored.modified)
        into.write(stored.path, inner.read(stored.path).data, Expect.ABSENT)
