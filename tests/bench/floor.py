"""What one publish takes at least on this machine: nothing but the hashing and copying that its documents need."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PIECE = bytes(1 << 20)
_ROUNDS = 5
_PROCESSORS = 2


def floor(folder: Path, plain: Sequence[int], packed: Sequence[int]) -> float:
    """Seconds: SHA-256 of ``plain`` and once of ``packed`` bytes, and a durable copy of the packed ones.

    Each document's hash is the work of one processor; two are busy. The best of some rounds.
    """
    source = folder / "floor"
    source.write_bytes(bytes(max(packed)))
    target = folder / "floor-copy"

    def once() -> float:
        start = time.perf_counter()
        _shared(_hash, plain)
        _shared(_hash, packed)
        for size in packed:
            _copy(source, target, size)
        return time.perf_counter() - start

    return min(once() for _ in range(_ROUNDS))


def _shared(work: Callable[[int], object], sizes: Sequence[int]) -> None:
    with ThreadPoolExecutor(_PROCESSORS) as threads:
        list(threads.map(work, sorted(sizes, reverse=True)))


def _hash(size: int) -> None:
    digest = hashlib.sha256()
    for start in range(0, size, len(_PIECE)):
        digest.update(_PIECE[: size - start])


def _copy(source: Path, target: Path, size: int) -> None:
    with source.open("rb") as read, target.open("wb") as written:
        while size > 0 and (piece := read.read(min(size, len(_PIECE)))):
            written.write(piece)
            size -= len(piece)
        written.flush()
        os.fsync(written.fileno())
