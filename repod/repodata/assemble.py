"""The documents of a generation from their segments: checksums, sizes, and the parts to store them from.

Most of a publish is the hashing of the plain text, since repomd names its checksum and the package
count stands in a document's first bytes. It goes on beside all else: each document can be stored as
soon as the checksum of its packed bytes is known.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from repod.beside import finished
from repod.doors import Extent, Part, Piece, Ready
from repod.errors import Corrupt
from repod.generation import Document, Generation, view_path
from repod.package import StorePath, sha256, store_path
from repod.repodata import codec, text
from repod.repodata.cache import Cache, Index
from repod.repodata.codec import Packing
from repod.repodata.coldstart import sources
from repod.repodata.marks import NO_MARKS, Marks, checksum
from repod.repodata.revise import Fresh, Plan
from repod.repodata.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the engine stands on: a generation, its index, and the marks of its documents by column."""

    generation: Generation | None
    index: Index
    opened: Sequence[Marks]
    packed: Sequence[Marks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Which documents are to be made. ``whole``: without any stored one."""

    number: int
    time: int
    plan: Plan
    parts: Sequence[Segment]
    whole: bool

    @property
    def kept(self) -> int:
        """How many of the parent's segments are the first ones still."""
        first = self.plan[0]
        return first.stop if isinstance(first, slice) and first.start == 0 else 0

    def frame(self, column: int) -> tuple[bytes, bytes]:
        """Head and tail of a document."""
        kind = text.COLUMNS[column]
        return text.head(kind, sum(segment.packages for segment in self.parts)), text.tail(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """A document's packed bytes: how they are stored, and how long they and the first and last members are.

    The first of ``pieces`` is the document, any other a copy of it for the frozen view.
    """

    pieces: Sequence[Piece]
    href: StorePath
    size: int
    head: int
    tail: int
    marks: Marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """The documents by column, their pieces, and what to stand on once they are a generation's."""

    documents: Sequence[Document]
    pieces: Sequence[Piece]
    index: Index
    opened: Sequence[Marks]
    packed: Sequence[Marks]


class Assembler:
    """Makes documents of segments that lie in the cache."""

    def __init__(self, cache: Cache, packing: Packing, threads: Executor) -> None:
        """``threads``: as many as there are processors."""
        self._cache = cache
        self._packing = packing
        self._threads = threads

    def assemble(self, standing: Standing, job: Job, ready: Ready) -> Assembled:
        """The documents of ``job``; each one's pieces are given to ``ready`` before its plain text is hashed."""
        columns = range(len(text.COLUMNS))
        lengths = [sum(segment.texts[column].length for segment in job.parts) for column in columns]
        # A checksum is the work of one processor: the longest begins first, then what others wait for.
        longest, *others = sorted(columns, key=lambda column: -lengths[column])
        opened = {longest: self._threads.submit(self._opened, standing, job, longest)}
        pack = self._stream if self._packing.stream else self._members
        packed = {c: self._threads.submit(self._ready, pack, standing, job, c, ready) for c in (longest, *others)}
        opened |= {c: self._threads.submit(self._opened, standing, job, c) for c in others}
        finished([*opened.values(), *packed.values()])
        return self._assembled(job, [opened[c] for c in columns], [packed[c] for c in columns])

    def _ready(
        self, pack: Callable[[Standing, Job, int], _Packed], standing: Standing, job: Job, column: int, ready: Ready
    ) -> _Packed:
        packed = pack(standing, job, column)
        for piece in packed.pieces:
            ready(piece)
        return packed

    def _assembled(
        self, job: Job, opened: Sequence[Future[tuple[str, Marks]]], packed: Sequence[Future[_Packed]]
    ) -> Assembled:
        stored = [one.result() for one in packed]
        plain = [one.result() for one in opened]
        index = Index(
            generation=job.number,
            packing=self._packing.name,
            checksums=[one.pieces[0].checksum for one in stored],
            heads=[one.head for one in stored],
            tails=[one.tail for one in stored],
            segments=job.parts,
        )
        return Assembled(
            documents=[self._document(job, c, stored[c], plain[c][0]) for c in range(len(text.COLUMNS))],
            pieces=[*(one.pieces[0] for one in stored), *(copy for one in stored for copy in one.pieces[1:])],
            index=index,
            opened=[marks for _, marks in plain],
            packed=[one.marks for one in stored],
        )

    def _document(self, job: Job, column: int, packed: _Packed, opened: str) -> Document:
        return Document(
            type=_kind(column),
            href=packed.href,
            checksum=packed.pieces[0].checksum,
            size=packed.size,
            open_checksum=sha256(opened),
            open_size=_length(job, column),
            timestamp=job.time,
        )

    def _opened(self, standing: Standing, job: Job, column: int) -> tuple[str, Marks]:
        """The checksum of a document's plain text."""
        head, tail = job.frame(column)

        def feed(start: int, stop: int, update: Callable[[memoryview], object]) -> None:
            self._cache.feed_text(column, job.parts[start:stop], update)

        lengths = [segment.texts[column].length for segment in job.parts]
        return checksum(head, lengths, feed, tail, known=standing.opened[column], kept=job.kept)

    def _members(self, standing: Standing, job: Job, column: int) -> _Packed:
        """A document in members, of which most are the parent's."""
        head, tail = map(self._packing.codec.pack, job.frame(column))
        spans = [segment.packs[column] for segment in job.parts]

        def feed(start: int, stop: int, update: Callable[[memoryview], object]) -> None:
            self._cache.packs[column].feed(spans[start:stop], update)

        lengths = [span.length for span in spans]
        digest, kept = checksum(head, lengths, feed, tail, known=standing.packed[column], kept=job.kept)
        middle = (
            (self._member(column, part) for part in job.parts) if job.whole else self._parts(standing, job.plan, column)
        )
        size = len(head) + sum(lengths) + len(tail)
        pieces, href = self._pieces(job, column, digest, [head, *middle, tail])
        return _Packed(pieces=pieces, href=href, size=size, head=len(head), tail=len(tail), marks=kept)

    def _parts(self, standing: Standing, plan: Plan, column: int) -> Iterator[Part]:
        """The packed segments of a document: ranges of the parent's document, and fresh bytes."""
        source = sources(standing.generation)[column][1] if standing.generation else None
        old = standing.index.segments
        log = self._cache.packs[column]
        at = standing.index.heads[column] if old else 0
        reached = 0
        for item in plan:
            if isinstance(item, Fresh):
                yield item.members[column]
                continue
            if item.start == item.stop:
                continue
            at += sum(segment.packs[column].length for segment in old[reached : item.start])
            spans = [segment.packs[column] for segment in old[item]]
            length = sum(span.length for span in spans)
            if length and source:
                yield Extent(path=source, offset=at, length=length, local=log.fetcher(spans))
            at, reached = at + length, item.stop

    def _member(self, column: int, segment: Segment) -> bytes:
        """A segment's packed bytes from the cache, proven to hold its text."""
        member = self._cache.packs[column].read(segment.packs[column])
        if codec.crc(self._packing.codec.unpack(member)) != segment.crcs[column]:
            msg = f"cached {text.COLUMNS[column]} of {segment.first[0]} does not hold its text"
            raise Corrupt(msg)
        return member

    def _stream(self, _: Standing, job: Job, column: int) -> _Packed:
        """A document as one stream, read back."""
        head, tail = job.frame(column)
        packer = self._packing.codec.stream(_length(job, column))
        packed = [packer.compress(head)]
        self._cache.feed_text(column, job.parts, lambda piece: packed.append(packer.compress(piece)))
        packed += [packer.compress(tail), packer.flush()]
        crc = 0
        for read in self._packing.codec.texts(packed):
            crc = codec.crc(read, crc)
        crcs = [(segment.crcs[column], segment.texts[column].length) for segment in job.parts]
        if crc != codec.joined_crc([(codec.crc(head), len(head)), *crcs, (codec.crc(tail), len(tail))]):
            msg = f"{text.COLUMNS[column]} does not read back as it was written"
            raise Corrupt(msg)
        digest = hashlib.sha256()
        for data in packed:
            digest.update(data)
        pieces, href = self._pieces(job, column, digest.hexdigest(), packed)
        return _Packed(pieces=pieces, href=href, size=sum(map(len, packed)), head=0, tail=0, marks=NO_MARKS)

    def _pieces(self, job: Job, column: int, digest: str, parts: Sequence[Part]) -> tuple[list[Piece], StorePath]:
        proven = sha256(digest)
        href = StorePath(f"repodata/{proven}-{_kind(column)}.xml.{self._packing.codec.suffix}")
        in_view = store_path(view_path(job.number) + href)
        if column >= len(text.KINDS):
            return [Piece(path=in_view, checksum=proven, parts=parts)], href
        document = Piece(path=href, checksum=proven, parts=parts)
        if column == 0:  # the frozen view has a primary of its own
            return [document], href
        return [document, Piece(path=in_view, checksum=proven, source=href)], href


def _kind(column: int) -> str:
    """The type of a column's document: the frozen view's primary is one too."""
    return text.KINDS[column] if column < len(text.KINDS) else text.KINDS[0]


def _length(job: Job, column: int) -> int:
    return sum(map(len, job.frame(column))) + sum(segment.texts[column].length for segment in job.parts)
