"""What breaks a promise on purpose, so that the checker is seen to find it: stores, and operations."""

import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import cast

from repod.doors import Blob, Expect, Part, Store, Stored, Version
from repod.errors import NotFound
from repod.generation import HEAD
from repod.package import Nevra, Sha256, StorePath
from tests.histories.actors import Person
from tests.histories.history import Operation


class _Through:
    """``Store`` that does all as another does."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def read(self, path: StorePath) -> Blob:
        return self.inner.read(path)

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self.inner.stream(path, offset, length)

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        return self.inner.write(path, data, expect)

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        self.inner.add(path, parts, checksum)

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        self.inner.copy(source, target, checksum, of=of)

    def list(self, prefix: str) -> Iterable[Stored]:
        return self.inner.list(prefix)

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        return self.inner.remove(path, seen=seen)

    def sweep(self) -> int:
        return self.inner.sweep()

    def prove(self) -> None:
        self.inner.prove()


class NoCompareAndSwap(_Through):
    """A store that writes whatever is there: of two writers that expect the same, both succeed."""

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        del expect
        return self.inner.write(path, data, Expect.ANY)


class LosesWrites(_Through):
    """A store that says of every 20th document that it is stored, and forgets it."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._added = 0

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        self._added += 1
        if self._added % 20:
            self.inner.add(path, parts, checksum)


class ReadsStale(_Through):
    """A store that now and then answers with what lay there before, as a cache in front of it might."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._draw = random.Random(1)
        self._before: dict[StorePath, Blob] = {}

    def read(self, path: StorePath) -> Blob:
        blob = self.inner.read(path)
        stale = self._before.get(path, blob) if self._draw.random() < 0.3 else blob
        return blob if path == HEAD else stale

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        with contextlib.suppress(NotFound):
            self._before[path] = self.inner.read(path)
        return self.inner.write(path, data, expect)


def removes_nothing(person: Person) -> None:
    """A command that says that a build is removed, and does nothing."""

    def act(operation: Operation) -> None:
        current = person.process.publisher.refresh()
        assert current
        operation.generation = current.number
        operation.removed = [Nevra.parse("c-2-1.noarch")]

    person.ask("remove", ["c-2-1.noarch"], act)


def removes_files_too_soon(person: Person) -> None:
    """A command that takes the file of a listed build away."""

    def act(_operation: Operation) -> None:
        person.process.wire.remove(cast("StorePath", "Packages/c/c-2-1.noarch.rpm"))

    person.ask("remove", ["c-2-1.noarch"], act)


def keeps_quiet(person: Person) -> None:
    """A command that is refused after it did what was asked."""

    def act(operation: Operation) -> None:
        person.process.removing.run(["c-2-1.noarch"], actor=operation.name, why="")
        raise NotFound("there is no such build")

    person.ask("remove", ["c-2-1.noarch"], act)
