"""The bytes of an object that is to be added, wherever its parts lie; no more in memory than are asked for."""

import bisect
import hashlib
import itertools
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from repod.doors import Extent, Part
from repod.errors import Corrupt, NotFound
from repod.package import StorePath
from repod.store.s3parts import Span

_PIECE = 1 << 20

Stream = Callable[[StorePath, int, int], Iterable[bytes]]
"""A range of a stored object, in pieces."""


class Content:
    """Parts whose lengths are known, as one object. ``size`` is that of all of them."""

    def __init__(self, parts: Sequence[Part], stream: Stream) -> None:
        """``NotFound`` where a local file is not there. ``stream``: for extents that are nowhere nearer."""
        self._parts = parts
        self._stream = stream
        lengths = [_length(part) for part in parts]
        self._starts = list(itertools.accumulate(lengths, initial=0))
        self.size = self._starts.pop()
        self.spans = [
            Span(length=length, path=part.path, offset=part.offset) if isinstance(part, Extent) else Span(length=length)
            for part, length in zip(parts, lengths, strict=True)
        ]

    def pieces(self) -> Iterator[bytes]:
        """All bytes, in order."""
        for part, span in zip(self._parts, self.spans, strict=True):
            yield from _pieces(part, 0, span.length, self._stream)

    def all(self) -> bytes:
        """All bytes at once. Many ranges of one object are fetched as one where that is not much more."""
        wanted: dict[StorePath, list[Extent]] = {}
        for part in self._parts:
            if isinstance(part, Extent) and part.local is None and part.length:
                wanted.setdefault(part.path, []).append(part)
        whole = {path: found for path, extents in wanted.items() if (found := _cover(extents, self.size))}
        fetched = {
            path: (start, b"".join(self._stream(path, start, end - start))) for path, (start, end) in whole.items()
        }

        def stream(path: StorePath, offset: int, length: int) -> Iterable[bytes]:
            if path not in fetched:
                return self._stream(path, offset, length)
            start, data = fetched[path]
            return [data[offset - start : offset - start + length]]

        return b"".join(pieces(self._parts, stream))

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` on."""
        held: list[bytes] = []
        first = bisect.bisect_right(self._starts, start) - 1
        for part, span, at in zip(self._parts[first:], self.spans[first:], self._starts[first:], strict=True):
            begin, end = max(start, at), min(start + length, at + span.length)
            if at >= start + length:
                break
            if begin < end:
                held += _pieces(part, begin - at, end - begin, self._stream)
        return b"".join(held)

    def digests(self) -> tuple[str, int]:
        """SHA-256 and CRC-32 of all bytes."""
        digest, crc = hashlib.sha256(), 0
        for piece in self.pieces():
            digest.update(piece)
            crc = zlib.crc32(piece, crc)
        return digest.hexdigest(), crc


def begun(parts: Iterable[Part], most: int) -> tuple[Sequence[Part], Iterator[Part]]:
    """The first of ``parts``, of ``most`` bytes or a little more, and the rest; a sequence is taken as it is."""
    if isinstance(parts, Sequence):
        return parts, iter(())
    rest, first, size = iter(parts), [], 0
    for part in rest:
        first.append(part)
        size += _length(part)
        if size > most:
            break
    return first, rest


def pieces(parts: Iterable[Part], stream: Stream) -> Iterator[bytes]:
    """All bytes of ``parts``, in order."""
    for part in parts:
        yield from _pieces(part, 0, _length(part), stream)


def _cover(extents: Sequence[Extent], size: int) -> tuple[int, int] | None:
    """The range that holds all of ``extents``; None where it is not worth it."""
    start, end = min(one.offset for one in extents), max(one.offset + one.length for one in extents)
    return (start, end) if len(extents) > 1 and end - start <= 2 * size else None


def _length(part: Part) -> int:
    match part:
        case bytes():
            return len(part)
        case Extent():
            return part.length
        case Path():
            try:
                return part.stat().st_size
            except FileNotFoundError as error:
                raise _missing(part) from error


def _pieces(part: Part, start: int, length: int, stream: Stream) -> Iterator[bytes]:
    match part:
        case bytes():
            yield part[start : start + length]
        case Path():
            yield from _file(part, start, length)
        case Extent(local=None):
            yield from _range(part, start, length, stream)
        case Extent(local=local) if local is not None:
            for at in range(start, start + length, _PIECE):
                yield local(at, min(_PIECE, start + length - at))


def _range(extent: Extent, start: int, length: int, stream: Stream) -> Iterator[bytes]:
    found = 0
    for piece in stream(extent.path, extent.offset + start, length):
        found += len(piece)
        yield piece
    if found != length:
        msg = f"{extent.path}: expected {length} bytes from {extent.offset + start}, found {found}"
        raise Corrupt(msg)


def _file(path: Path, start: int, length: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            end = start + length
            while start < end and (piece := os.pread(file.fileno(), min(_PIECE, end - start), start)):
                start += len(piece)
                yield piece
    except FileNotFoundError as error:
        raise _missing(path) from error
    if start < end:
        msg = f"local file {path} is shorter than it was: {end - start} bytes are missing; nothing was added"
        raise Corrupt(msg)


def _missing(path: Path) -> NotFound:
    return NotFound(f"local file {path} is not there; nothing was added")
