"""The segments of a generation that another daemon published, from those of an older one and what changed since.

Each record says which of its parent's segments it rewrote, and how long the fresh ones are. So the
places of all segments in the newest documents are known before anything of those is read, and only
what is not in the cache is fetched. Whatever the records say: the result is taken only where its
packed bytes have the checksums of the documents.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from repod.beside import Threads, threads
from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.generation import Generation, Patch, Rewritten, record_path
from repod.package import StorePath
from repod.repodata import text
from repod.repodata.cache import Cache, Index
from repod.repodata.codec import Packing
from repod.repodata.coldstart import fits, kept, sources
from repod.repodata.marks import Marks, checksum
from repod.repodata.revise import Fresh, Plan
from repod.repodata.segments import Segment

_FAR = 256
"""Generations behind, at most: beyond, reading the records costs as much as reading the documents."""
_GAP = 16 << 10
"""Bytes between two ranges that are read with them: a request costs more."""
_PIECE = 4 << 20
"""Bytes of one request, about, at most, so that much is fetched side by side too."""
_SIDE_BY_SIDE = 8

_COLUMNS = range(len(text.COLUMNS))


def patch(plan: Plan, before: Index, after: Index) -> Patch | None:
    """What a record says of documents made by ``plan``; None where less than half of the segments stayed."""
    runs, fresh, reached, stayed = list[Rewritten](), list[Sequence[int]](), 0, 0
    for item in plan:
        if isinstance(item, Fresh):
            fresh.append(tuple(map(len, item.members)))
            continue
        if fresh or item.start > reached:
            runs.append(Rewritten(start=reached, stop=item.start, packed=tuple(fresh)))
        fresh, reached, stayed = [], item.stop, stayed + item.stop - item.start
    if 2 * stayed < max(len(before.segments), len(after.segments)):
        return None
    return Patch(heads=tuple(after.heads), tails=tuple(after.tails), runs=tuple(runs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """An index that was brought to a generation.

    ``packed`` are the marks of its packed documents by column; of the older index's segments the
    first ``kept`` are its first ones still.
    """

    index: Index
    packed: Sequence[Marks]
    kept: int


_Item = Segment | Sequence[int]
"""A segment that the cache holds, or how long one is that it does not hold, by column."""


class Catchup:
    """Brings indexes of one cache to newer generations. Not thread-safe, as the cache is not."""

    def __init__(self, store: Store, cache: Cache, packing: Packing, threads: Threads = threads) -> None:
        """``packing``: how the documents are packed, so far as this process knows."""
        self._store = store
        self._cache = cache
        self._packing = packing
        # Kept, since a store may hold a connection for each thread.
        self._readers = threads(_SIDE_BY_SIDE, "catch-up")
        self._hashers = threads(min(len(os.sched_getaffinity(0)), len(text.COLUMNS)), "checksum")

    def close(self) -> None:
        """Let go of the threads."""
        self._readers.shutdown()
        self._hashers.shutdown()

    def caught_up(self, index: Index, marks: Sequence[Marks], generation: Generation) -> Caught | None:
        """``index`` brought to ``generation``; None where it must be made from the whole documents.

        ``marks``: those of the packed documents of ``index``. Raises what the store raises, but
        ``NotFound`` and ``Corrupt``: the whole documents tell more.
        """
        moved = replace(index, generation=generation.number)
        if fits(moved, generation):
            return Caught(index=moved, packed=marks, kept=len(index.segments))
        if index.packing != self._packing.name or generation.patch is None:
            return None
        with contextlib.suppress(NotFound, Corrupt, LookupError, ValueError):
            items = self._items(index, generation)
            found = self._fetched(items, generation, generation.patch)
            return self._proven(index, marks, generation, found)
        return None

    def _items(self, index: Index, generation: Generation) -> Sequence[_Item]:
        """The segments of ``generation`` in order; ``ValueError`` where the records do not lead there."""
        items: list[_Item] = list(index.segments)
        for record in self._records(index.generation, generation):
            if record.patch is None or record.parent != record.number - 1:
                msg = f"generation {record.number} does not say what it rewrote"
                raise ValueError(msg)
            # From the end, so that the numbers of those before stay true.
            bound = len(items)
            for run in reversed(record.patch.runs):
                if not 0 <= run.start <= run.stop <= bound:
                    msg = f"generation {record.number} rewrote segments that are none"
                    raise ValueError(msg)
                items[run.start : run.stop] = run.packed
                bound = run.start
        return items

    def _records(self, number: int, generation: Generation) -> Sequence[Generation]:
        """The records after ``number``, up to ``generation``."""
        between = range(number + 1, generation.number)
        if not number < generation.number <= number + _FAR:
            msg = f"generation {generation.number} is too far from {number}"
            raise ValueError(msg)
        return [*self._readers.map(self._record, between), generation]

    def _record(self, number: int) -> Generation:
        return Generation.from_json(self._store.read(record_path(number)).data)

    def _fetched(self, items: Sequence[_Item], generation: Generation, patch: Patch) -> Sequence[Segment]:
        """The segments, with those that were missing put into the cache."""
        columns = [
            self._column(items, column, patch.heads[column], document.size - patch.tails[column], path)
            for column, (document, path) in enumerate(sources(generation))
        ]
        rows = zip(*columns, strict=True)
        unpack = self._packing.codec.unpack
        segments = list[Segment]()
        for item in items:
            if isinstance(item, Segment):
                segments.append(item)
            else:
                members = next(rows)
                segments.append(kept(self._cache, [unpack(member) for member in members], members))
        return segments

    def _column(self, items: Sequence[_Item], column: int, start: int, end: int, path: StorePath) -> Sequence[bytes]:
        """The missing members of one document, whose segments lie from ``start`` to ``end``, in order."""
        missing, at = list[range](), start
        for item in items:
            length = item.packs[column].length if isinstance(item, Segment) else item[column]
            if not isinstance(item, Segment):
                missing.append(range(at, at + length))
            at += length
        if at != end:
            msg = f"{path} is not as long as its segments"
            raise ValueError(msg)
        fetched = self._readers.map(partial(self._range, path), groups := list(_grouped(missing)))
        return [
            data[one.start - group[0].start : one.stop - group[0].start]
            for group, data in zip(groups, fetched, strict=True)
            for one in group
        ]

    def _range(self, path: StorePath, group: Sequence[range]) -> bytes:
        return b"".join(self._store.stream(path, group[0].start, group[-1].stop - group[0].start))

    def _proven(
        self, index: Index, marks: Sequence[Marks], generation: Generation, segments: Sequence[Segment]
    ) -> Caught | None:
        """What was put together; None where it is not what the documents are."""
        pairs = zip(index.segments, segments, strict=False)
        same = next(
            (at for at, (old, new) in enumerate(pairs) if old is not new), min(len(index.segments), len(segments))
        )
        documents = [document for document, _ in sources(generation)]
        found = list(self._hashers.map(partial(self._checksum, generation, segments, marks, same), _COLUMNS))
        if [digest for digest, _ in found] != [document.checksum for document in documents]:
            return None
        if sum(segment.packages for segment in segments) != generation.packages or generation.patch is None:
            return None
        return Caught(
            index=Index(
                generation=generation.number,
                packing=self._packing.name,
                checksums=[document.checksum for document in documents],
                heads=generation.patch.heads,
                tails=generation.patch.tails,
                segments=segments,
            ),
            packed=[marks for _, marks in found],
            kept=same,
        )

    def _checksum(
        self, generation: Generation, segments: Sequence[Segment], marks: Sequence[Marks], same: int, column: int
    ) -> tuple[str, Marks]:
        """The checksum of a document as the cache has it.

        Head and tail are packed here: where another daemon's library packs them otherwise, nothing
        is proven, and the documents are read whole.
        """
        kind = text.COLUMNS[column]
        head, tail = map(self._packing.codec.pack, (text.head(kind, generation.packages), text.tail(kind)))
        spans = [segment.packs[column] for segment in segments]

        def feed(start: int, stop: int, update: Callable[[memoryview], object]) -> None:
            self._cache.packs[column].feed(spans[start:stop], update)

        return checksum(head, [span.length for span in spans], feed, tail, known=marks[column], kept=same)


def _grouped(ranges: Sequence[range]) -> Iterator[Sequence[range]]:
    """Ranges in order, those together that are to be read at once."""
    group = list[range]()
    for one in ranges:
        if group and (one.start - group[-1].stop > _GAP or one.stop - group[0].start > _PIECE):
            yield group
            group = []
        group.append(one)
    if group:
        yield group
