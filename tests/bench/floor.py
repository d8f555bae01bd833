"""What a publish cannot do without, measured: ``python -m tests.bench.floor FOLDER FILE…``.

The files are the documents that a publish writes. Their open texts are hashed, since repomd
states their checksums; their packed bytes are copied, hashed and synced. Nothing else is done: nothing
is packed, signed, read back or planned. All cores work, the longest task first. Prints milliseconds.
"""

import hashlib
import mmap
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

_ROUNDS = 5
_PIECE = 1 << 20


def measure(work: Path, documents: Sequence[Path]) -> float:
    """Median seconds; ``work`` must lie on the file system of the store, and is left empty."""
    opened = [_unpacked(path, work / f"{number}.open") for number, path in enumerate(documents)]
    hashing = sorted([*opened, *documents], key=lambda path: path.stat().st_size, reverse=True)
    rounds = [_round(work, hashing, documents) for _ in range(_ROUNDS)]
    for path in opened:
        path.unlink()
    return statistics.median(rounds)


def _round(work: Path, hashing: Sequence[Path], documents: Sequence[Path]) -> float:
    # As many hash as there are cores; the disk is waited for beside them.
    with ThreadPoolExecutor(os.cpu_count()) as cores, ThreadPoolExecutor(len(documents)) as disk:
        start = time.perf_counter()
        writes = [disk.submit(_copy, path, work / f"{number}.new") for number, path in enumerate(documents)]
        wait([*writes, *(cores.submit(_hash, path) for path in hashing)])
        seconds = time.perf_counter() - start
    for write in writes:
        write.result().unlink()
    return seconds


def _hash(path: Path) -> str:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return hashlib.sha256(data).hexdigest()


def _copy(source: Path, target: Path) -> Path:
    with source.open("rb") as old, target.open("wb", buffering=0) as new:
        while os.copy_file_range(old.fileno(), new.fileno(), _PIECE):
            pass
        os.fsync(new.fileno())
    return target


def _unpacked(path: Path, target: Path) -> Path:
    words = {".gz": ["gunzip", "-c"], ".zst": ["zstd", "-dcq"]}[path.suffix]
    with target.open("wb") as file:
        subprocess.run([*words, str(path)], stdout=file, check=True)
    return target


def small_write(work: Path, rounds: int = 20) -> float:
    """Median seconds of one small durable write: file, rename, folder."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        _durable(work)
        seconds.append(time.perf_counter() - start)
    (work / "small").unlink()
    return statistics.median(seconds)


def _durable(work: Path) -> None:
    new = work / "small.new"
    with new.open("wb", buffering=0) as file:
        file.write(b"x" * 2000)
        os.fsync(file.fileno())
    new.rename(work / "small")
    fd = os.open(work, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


if __name__ == "__main__":
    folder, *files = map(Path, sys.argv[1:])
    print(f"{measure(folder, files) * 1000:.1f} {small_write(folder) * 1000:.2f}")
