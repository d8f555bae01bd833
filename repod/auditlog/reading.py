"""The audit log read: its files in their order, rotated ones too, proven and searched."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from repod.auditlog.chain import Head, Walk, record
from repod.auditlog.file import HEAD, looked_at
from repod.errors import NotFound, Unavailable

_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_LONGEST = 1 << 20  # bytes of a line; what is longer is read in pieces, and none is a record


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proving showed: the first record and the last, how many, and every fault in a line."""

    first: int
    last: Head
    count: int
    faults: Sequence[str]


def files_of(path: Path) -> Sequence[Path]:
    """The file of the audit log and those that it was rotated into, oldest record first.

    They lie beside it and have its name with more at the end, or before the suffix: ``audit.jsonl.2.gz``,
    ``audit-20261126.jsonl``. ``Unavailable`` where one cannot be read.
    """
    beside = {*path.parent.glob(f"{_plain(path.name)}*"), *path.parent.glob(f"{_plain(path.stem)}-*{path.suffix}*")}
    found = [one for one in beside if one.is_file() and one.suffix != HEAD]
    return sorted(found, key=lambda one: (_first(one), one == path, one.name))


def prove(paths: Sequence[Path], known: Sequence[Head], current: Path | None = None) -> Proof:
    """Whether the files hang together, in this order, and have the records ``known``.

    ``current``: the one that is written to, whose head lies beside it. ``Unavailable`` where one cannot be read.
    """
    hashes = {one.n: one.hash for one in known if one.n}
    size = None
    if current is not None:
        # What is written from here on is not looked at, nor a line that is half written.
        with _named(current), looked_at(current) as (file, head):
            size = os.fstat(file).st_size if file is not None else None
            if head is not None and head.n:
                hashes.setdefault(head.n, head.hash)
    walk = Walk(hashes)
    faults: list[str] = []
    for path in paths:
        for number, line in enumerate(_lines(path, size if path == current else None), 1):
            faults += walk.step(line, f"{path.name} line {number}")
    faults += walk.end()
    return Proof(first=walk.first, last=walk.last, count=walk.count, faults=faults)


def records(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """All records, in the order of the files; what is none is left out."""
    for path in paths:
        for line in _lines(path):
            found = record(line)
            if found is not None:
                yield found


def _lines(path: Path, size: int | None = None) -> Iterator[bytes]:
    with _named(path), _opened(path) as file:
        left = size
        while line := file.readline(_LONGEST if left is None else min(_LONGEST, left)):
            left = None if left is None else left - len(line)
            yield line


def _opened(path: Path) -> IO[bytes]:
    opener = _OPENERS.get(path.suffix)
    return opener(path, "rb") if opener else path.open("rb")


def _first(path: Path) -> int:
    for line in _lines(path):
        found = record(line)
        if found is not None:
            return int(found["n"])
    return 0


def _plain(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the system, as ours."""
    try:
        yield
    except FileNotFoundError as error:
        msg = f"{path} is not there; expected a file of the audit log"
        raise NotFound(msg) from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"{path} cannot be read ({reason}); run it as a user who may, or give another file"
        raise Unavailable(msg) from error
