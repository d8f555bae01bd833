"""Where a document is cut into segments: by the packages alone, never by history.

Packages stand in the order of ``Nevra.order``; a package whose hash says so starts a new
segment. So equal content has equal segments, and a change touches only its neighbours.
"""

import bisect
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from repod.package import Order

SPREAD = 48
"""Packages per segment, on average."""


def starts(order: Order) -> bool:
    """Whether the package with this key starts a segment."""
    return zlib.crc32("\0".join(map(str, order)).encode()) % SPREAD == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of bytes in one of the cache's files."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment: its first package, how many there are, and where its bytes lie.

    ``texts``, ``crcs`` and ``packs`` have one item per document: where the plain text lies,
    its CRC-32, and where the compressed member lies. Documents that are one stream have no ``packs``.
    """

    first: Order
    packages: int
    texts: Sequence[Span]
    crcs: Sequence[int]
    packs: Sequence[Span]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring segments ``[start, stop)`` that a change rewrites together."""

    start: int
    stop: int


def position(segments: Sequence[Segment], order: Order) -> int:
    """Index of the segment that holds, or would hold, the package with this key."""
    return max(0, bisect.bisect_right(segments, order, key=lambda segment: segment.first) - 1)


def touched(segments: Sequence[Segment], orders: Iterable[Order]) -> Iterator[Run]:
    """The runs of segments that adding or removing packages with these keys rewrites.

    The neighbour before is taken in where the key is that of a segment's first package:
    without it the segment may have to join the one before.
    """
    indexes = set[int]()
    for order in orders:
        index = position(segments, order)
        indexes.add(index)
        if segments and index and order == segments[index].first:
            indexes.add(index - 1)
    if not segments:
        if indexes:
            yield Run(start=0, stop=0)
        return
    start = previous = -1
    for index in sorted(indexes):
        if start < 0:
            start = index
        elif index != previous + 1:
            yield Run(start=start, stop=previous + 1)
            start = index
        previous = index
    if start >= 0:
        yield Run(start=start, stop=previous + 1)


def groups(orders: Sequence[Order]) -> Iterator[slice]:
    """Cut sorted keys into segments."""
    start = 0
    for index, order in enumerate(orders):
        if index > start and starts(order):
            yield slice(start, index)
            start = index
    if start < len(orders):
        yield slice(start, len(orders))
