"""A store that counts what is asked of it, and how much of that had to wait for something else."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from repod.doors import Blob, Expect, Part, Store, Stored, Version
from repod.package import Sha256, StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: ``depth`` is one more than that of the deepest that was over when it began."""

    name: str
    path: str
    depth: int


@dataclass(slots=True)
class CountingStore:
    """``Store`` over another. ``fetched`` are the bytes that ``stream`` gave."""

    inner: Store
    asked: list[Asked] = field(default_factory=list)
    fetched: int = 0
    _over: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """Count anew."""
        self.asked.clear()
        self.fetched = self._over = 0

    def read(self, path: StorePath) -> Blob:
        with self._asked("read", path):
            return self.inner.read(path)

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self._asked("stream", path):
            pieces = list(self.inner.stream(path, offset, length))
        with self._lock:
            self.fetched += sum(map(len, pieces))
        yield from pieces

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        with self._asked("write", path):
            return self.inner.write(path, data, expect)

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        with self._asked("add", path):
            self.inner.add(path, parts, checksum)

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        with self._asked("copy", target):
            self.inner.copy(source, target, checksum, of=of)

    def list(self, prefix: str) -> Iterable[Stored]:
        with self._asked("list", prefix):
            return [*self.inner.list(prefix)]

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        with self._asked("remove", path):
            return self.inner.remove(path, seen=seen)

    def sweep(self) -> int:
        return self.inner.sweep()

    def prove(self) -> None:
        self.inner.prove()

    @contextmanager
    def _asked(self, name: str, path: str) -> Iterator[None]:
        with self._lock:
            one = Asked(name=name, path=path, depth=self._over + 1)
            self.asked.append(one)
        try:
            yield
        finally:
            with self._lock:
                self._over = max(self._over, one.depth)
