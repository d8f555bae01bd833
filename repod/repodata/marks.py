"""SHA-256 states kept inside a document, from which hashing goes on where what stands before did not change.

The package count stands in a document's first bytes, so this helps where it stays: a build that takes
another's place, a publish that adds as many as it prunes.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_APART = 4 << 20
"""Bytes between two marks, at least: a state takes some hundred bytes of memory."""


class Hash(Protocol):
    """A hash in progress."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Go on with ``data``."""

    def copy(self) -> "Hash":
        """The same state, to go on from apart."""

    def hexdigest(self) -> str:
        """The checksum of all that came so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """The state after the head and so many segments."""

    segments: int
    state: Hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The states of one document, in its order."""

    head: bytes
    marks: Sequence[_Mark]

    def first(self, segments: int) -> "Marks":
        """Those that speak of nothing behind the first ``segments``."""
        return Marks(head=self.head, marks=[mark for mark in self.marks if mark.segments <= segments])


NO_MARKS = Marks(head=b"", marks=())

Feed = Callable[[int, int, Callable[[memoryview], object]], object]
"""Gives the bytes of the segments ``[start, stop)`` to a function."""


def checksum(
    head: bytes, lengths: Sequence[int], feed: Feed, tail: bytes, *, known: Marks, kept: int
) -> tuple[str, Marks]:
    """The SHA-256 of a document, and its marks.

    ``known`` are the marks of the document before, of which the first ``kept`` segments are the
    first of this one too; ``lengths`` are those of this one's segments in bytes.
    """
    marks = [mark for mark in known.marks if mark.segments <= kept] if known.head == head else []
    state: Hash = marks[-1].state.copy() if marks else hashlib.sha256(head)
    for start, stop in _strides(lengths, marks[-1].segments if marks else 0):
        feed(start, stop, state.update)
        marks.append(_Mark(segments=stop, state=state.copy()))
    state.update(tail)
    return state.hexdigest(), Marks(head=head, marks=marks)


def _strides(lengths: Sequence[int], start: int) -> Iterator[tuple[int, int]]:
    """Runs of segments ``[start, stop)`` of at least ``_APART`` bytes, but the last."""
    length = 0
    for at in range(start, len(lengths)):
        length += lengths[at]
        if length >= _APART:
            yield start, at + 1
            start, length = at + 1, 0
    if start < len(lengths):
        yield start, len(lengths)
