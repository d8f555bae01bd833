"""A store in memory with true semantics: what use cases are tested on, and a place for trials."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

from repod.doors import Blob, Clock, Expect, Extent, Part, Store, Stored, Version
from repod.errors import Conflict, Corrupt, NotFound
from repod.package import Sha256, StorePath, store_path

_PIECE = 1 << 20


class MemoryStore:
    """``Store`` that ends with the process. Threads may share it.

    The version of an object is the SHA-256 of its bytes, as in a directory.
    """

    def __init__(self, clock: Clock) -> None:
        """``clock`` gives the time that ``list`` tells of each object."""
        self._clock = clock
        self._lock = Lock()
        self._objects: dict[StorePath, tuple[bytes, float]] = {}

    def read(self, path: StorePath) -> Blob:
        """See ``Store.read``."""
        data = self._bytes(path)
        return Blob(data=data, version=Version(_digest(data)))

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ``Store.stream``. Looks, and raises, when first asked for a piece."""
        data = self._bytes(path)
        end = len(data) if length is None else min(len(data), offset + length)
        for start in range(offset, end, _PIECE):
            yield data[start : min(end, start + _PIECE)]

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        """See ``Store.write``."""
        with self._lock:
            old = self._objects.get(store_path(path))
            found = Expect.ABSENT if old is None else Version(_digest(old[0]))
            if expect not in (Expect.ANY, found):
                wanted, there = (s.value if isinstance(s, Expect) else s for s in (expect, found))
                raise Conflict(f"{path}: expected version {wanted}, found {there}; read it and try again")
            self._objects[path] = (data, self._clock())
        return Version(_digest(data))

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        """See ``Store.add``."""
        data = b"".join(self._part(part) for part in parts)
        if _digest(data) != checksum:
            msg = f"{path}: expected bytes with SHA-256 {checksum}, got {_digest(data)}; nothing was added"
            raise Corrupt(msg)
        with self._lock:
            there, _ = self._objects.get(store_path(path), (data, 0.0))
            if there == data:
                self._objects[path] = (data, self._clock())
        if there != data:
            msg = f"{path}: expected nothing or SHA-256 {checksum}, found {_digest(there)}; it stays as it is"
            raise Conflict(msg)

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        """See ``Store.copy``."""
        self.add(target, (of or self).stream(source), checksum)

    def list(self, prefix: str) -> Iterable[Stored]:
        """See ``Store.list``."""
        with self._lock:
            objects = sorted(self._objects.items())
        for path, (data, modified) in objects:
            if path.startswith(prefix):
                yield Stored(path=path, size=len(data), modified=modified)

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        """See ``Store.remove``."""
        with self._lock:
            _, modified = self._objects.get(store_path(path), (b"", None))
            if seen and modified not in {None, seen.modified}:
                return False
            self._objects.pop(path, None)
        return True

    def sweep(self) -> int:
        """See ``Store.sweep``: nothing is ever half made."""
        return 0

    def prove(self) -> None:
        """See ``Store.prove``: nothing stands against memory."""

    def _bytes(self, path: StorePath) -> bytes:
        with self._lock:
            found = self._objects.get(store_path(path))
        if found is None:
            raise NotFound(f"{path} is not in the store in memory")
        return found[0]

    def _part(self, part: Part) -> bytes:
        match part:
            case bytes():
                return part
            case Extent():
                return self._range(part)
            case Path():
                return _local(part)

    def _range(self, extent: Extent) -> bytes:
        data = self._bytes(extent.path)[extent.offset : extent.offset + extent.length]
        if len(data) != extent.length:
            msg = f"{extent.path}: expected {extent.length} bytes from {extent.offset}, found {len(data)}"
            raise Corrupt(msg)
        return data


def _local(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"local file {path} is not there; nothing was added") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
