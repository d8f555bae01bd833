"""Makes a repository's documents from compressed segments: a change packs only what it touches.

What stays whole per publish is the hashing of the plain and the packed text, since
repomd names both checksums and the package count stands in a document's first bytes.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from repod.doors import Change, Draft, Extent, Part, Piece, Store
from repod.errors import Corrupt, Misconfigured, Unavailable
from repod.generation import Document, Generation, view_path
from repod.package import Nevra, Package, StorePath, sha256, store_path
from repod.repodata import codec, segments, text
from repod.repodata.cache import GARBAGE, Cache, Index
from repod.repodata.carrier import After, Carrier, Form
from repod.repodata.coldstart import fits, segmented, sources
from repod.repodata.repomd import repomd
from repod.repodata.segments import Segment

_NOTHING = Index(generation=0, heads=(), tails=(), segments=())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """A segment that this draft packed, with its members still in memory."""

    segment: Segment
    members: Sequence[bytes]


_Plan = Sequence[slice | _Fresh]
"""A document's segments in order: runs of the parent's, and fresh ones between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """One column's document, how it is stored, and how long its first and last members are."""

    document: Document
    piece: Piece
    head: int
    tail: int


class SegmentedRepodata:
    """``Repodata`` over a store and a cache folder. Not thread-safe: one publisher per repository."""

    def __init__(
        self, store: Store, folder: Path, *, form: Form = lambda _: codec.SUFFIX, garbage: int = GARBAGE
    ) -> None:
        """``folder`` holds the cache; it may be lost at any time. ``garbage``: see ``Cache``.

        ``form`` says how each type of carried document is packed.
        """
        self._store = store
        self._cache = Cache(folder, text.COLUMNS, garbage)
        self._carrier = Carrier(store, form, self._cache.folder / "carried")
        # None: to be made from the generation's documents when it is next asked for. So what
        # could not be read once is never taken for an empty repository.
        self._index: Index | None = None
        self._generation: Generation | None = None
        self._drafted: tuple[Draft, Index] | None = None
        self._threads = ThreadPoolExecutor(len(text.COLUMNS), thread_name_prefix="repodata")

    def close(self) -> None:
        """Let go of the cache's files."""
        self._threads.shutdown()
        self._cache.close()

    def load(self, generation: Generation | None) -> None:
        """See ``Repodata.load``. ``Corrupt`` where the store's own documents are not sound."""
        if generation is None:
            self._refuse_lost()
        elif self._generation is None or self._generation.number != generation.number:
            self._index, self._generation = None, generation
        self._standing()

    def _standing(self) -> Index:
        """The index of the loaded generation."""
        if self._index is None:
            self._index = self._made(self._generation) if self._generation else _NOTHING
        return self._index

    def _made(self, generation: Generation) -> Index:
        index = self._cache.load()
        if index is not None and fits(index, generation):
            return index
        self._cache.clear()
        return self._saved(segmented(self._store, self._cache, generation))

    def _refuse_lost(self) -> None:
        """An empty store that was not empty when the cache was written is not a new one."""
        known = self._generation or self._cache.load()
        if known is not None:
            number = known.number if isinstance(known, Generation) else known.generation
            msg = (
                f"the store is empty, but it held generation {number} before: is it mounted? "
                f"Mount or restore it; to start anew on purpose, delete {self._cache.folder}"
            )
            raise Misconfigured(msg)

    def forget(self) -> None:
        """Drop the cache: it was found to be wrong. The next ``load`` reads the store."""
        self._cache.clear()
        self._index = None

    def find(self, nevras: Iterable[Nevra]) -> dict[Nevra, Package]:
        """See ``Repodata.find``."""
        parts = self._standing().segments
        wanted = set(nevras) if parts else set()
        places: dict[int, set[str]] = {}
        for nevra in wanted:
            place = segments.position(parts, nevra.order)
            places.setdefault(place, set()).add(nevra.name)
        listed = (
            package
            for place, names in places.items()
            for primary in [self._primary(place)]
            for name in names
            for package in text.named(primary, name)
        )
        return {package.nevra: package for package in listed if package.nevra in wanted}

    def packages(self, name: str | None = None) -> Iterator[Package]:
        """See ``Repodata.packages``."""
        parts = self._standing().segments
        start = 0 if name is None else segments.position(parts, (name, "", "", "", 0))
        for place, segment in enumerate(parts[start:], start):
            if name is not None and segment.first[0] > name:
                return
            primary = self._primary(place)
            yield from text.packages(primary) if name is None else text.named(primary, name)

    def _primary(self, place: int) -> bytes:
        """Primary's text of a segment; a damaged cache is made anew, with the same segments, from the store."""
        try:
            return self._text(0, self._standing().segments[place])
        except Corrupt:
            self.forget()
            return self._text(0, self._standing().segments[place])

    def draft(self, change: Change, number: int, time: int, *, whole: bool = False) -> Draft:
        """See ``Repodata.draft``."""
        plan, gone = self._plan(change)
        after = After(change, gone, self.find, self.packages)
        carried, pieces = self._carrier.draft(self._generation, after, time)
        if change.entries or gone or whole or self._generation is None:
            made, index = self._documents(plan, number, time, whole=whole)
            documents, frozen = tuple(one.document for one in made[:-1]), made[-1].document
            pieces = [*(one.piece for one in made), *pieces]
        else:
            index = replace(self._standing(), generation=number)
            documents, frozen = tuple(self._generation.documents[: len(text.KINDS)]), self._generation.frozen
        documents = (*documents, *carried)
        if self._generation and documents == self._generation.documents:
            pieces = []
        else:
            pieces += self._copies(number, documents, frozen, {piece.path for piece in pieces})
        draft = Draft(
            number=number,
            packages=sum(segment.packages for segment in index.segments),
            added=tuple(entry.package for entry in change.entries),
            removed=tuple(gone),
            documents=documents,
            frozen=frozen,
            pieces=pieces,
            repomd=repomd(documents, number),
            frozen_repomd=repomd([frozen, *documents[1:]], number),
        )
        self._drafted = (draft, index)
        return draft

    def _copies(
        self, number: int, documents: Sequence[Document], frozen: Document, made: set[StorePath]
    ) -> Iterator[Piece]:
        """What the frozen view shares: with the live view, and its primary with the parent's where that stays."""
        before = self._generation.view if self._generation else ""
        sources = [(frozen, before + frozen.href), *((document, document.href) for document in documents[1:])]
        for document, source in sources:
            path = store_path(view_path(number) + document.href)
            if path not in made:
                yield Piece(path=path, checksum=document.checksum, source=store_path(source))

    def _documents(self, plan: _Plan, number: int, time: int, *, whole: bool) -> tuple[list[_Made], Index]:
        """Every column's document of the segments that ``plan`` names, and their index."""
        old = self._standing().segments
        parts = [part for item in plan for part in (old[item] if isinstance(item, slice) else [item.segment])]
        make = self._maker(plan, parts, number, time, whole=whole)
        made = list(self._threads.map(make, range(len(text.COLUMNS))))
        heads, tails = [one.head for one in made], [one.tail for one in made]
        return made, Index(generation=number, heads=heads, tails=tails, segments=parts)

    def adopt(self, draft: Draft, generation: Generation) -> None:
        """See ``Repodata.adopt``."""
        if self._drafted is None or self._drafted[0] is not draft:
            msg = f"draft {draft.number} is not the last one made"
            raise ValueError(msg)
        self._index, self._generation = self._saved(self._drafted[1]), generation
        self._drafted = None

    def _saved(self, index: Index) -> Index:
        """The index as it lies in the cache now; it can be used on where a full disk, say, keeps it out."""
        with contextlib.suppress(Unavailable, Corrupt):
            return self._cache.save(index)
        return index

    def _plan(self, change: Change) -> tuple[_Plan, list[Package]]:
        """What the next documents are made of, and the packages that the change takes out."""
        added = {entry.package.nevra: entry for entry in change.entries}
        orders = [nevra.order for nevra in (*added, *change.removed)]
        gone: list[Package] = []
        plan: list[slice | _Fresh] = []
        done = 0
        old = self._standing().segments
        for run in segments.touched(old, orders):
            rows = {row.order: row for part in old[run.start : run.stop] for row in self._rows(part)}
            last = run.stop >= len(old)
            here = [nevra for nevra in added if last or nevra.order < old[run.stop].first]
            leaving = {nevra.order for nevra in (*change.removed, *here)} & rows.keys()
            gone += text.packages(b"".join(rows.pop(order).texts[0] for order in sorted(leaving)))
            rows |= {nevra.order: text.row(added.pop(nevra)) for nevra in here}
            plan.append(slice(done, run.start))
            plan += self._pack(sorted(rows.values(), key=lambda row: row.order))
            done = run.stop
        plan.append(slice(done, len(old)))
        return plan, gone

    def _pack(self, rows: list[text.Row]) -> list[_Fresh]:
        """Fresh segments of ``rows``, each read back strictly from its packed bytes."""
        cuts = [rows[cut] for cut in segments.groups([row.order for row in rows])]
        packed = self._threads.map(_packed, cuts)
        return [self._keep(cut, texts, members) for cut, (texts, members) in zip(cuts, packed, strict=True)]

    def _keep(self, rows: Sequence[text.Row], texts: Sequence[bytes], members: Sequence[bytes]) -> _Fresh:
        segment = Segment(
            first=rows[0].order,
            packages=len(rows),
            texts=[log.append(data) for log, data in zip(self._cache.texts, texts, strict=True)],
            crcs=[codec.crc(data) for data in texts],
            packs=[log.append(data) for log, data in zip(self._cache.packs, members, strict=True)],
        )
        return _Fresh(segment=segment, members=members)

    def _maker(
        self, plan: _Plan, parts: Sequence[Segment], number: int, time: int, *, whole: bool
    ) -> Callable[[int], _Made]:
        count = sum(segment.packages for segment in parts)

        def make(column: int) -> _Made:
            kind = text.KINDS[column] if column < len(text.KINDS) else text.KINDS[0]
            view = view_path(number) if column >= len(text.KINDS) else ""
            head, tail = text.head(kind, count), text.tail(kind)
            packed_head, packed_tail = codec.pack(head), codec.pack(tail)
            plain, packed = hashlib.sha256(head), hashlib.sha256(packed_head)
            self._feed_text(column, parts, plain.update)
            self._cache.packs[column].feed((s.packs[column] for s in parts), packed.update)
            plain.update(tail)
            packed.update(packed_tail)
            checksum = sha256(packed.hexdigest())
            document = Document(
                type=kind,
                href=StorePath(f"repodata/{checksum}-{kind}.xml.{codec.SUFFIX}"),
                checksum=checksum,
                size=len(packed_head) + sum(s.packs[column].length for s in parts) + len(packed_tail),
                open_checksum=sha256(plain.hexdigest()),
                open_size=len(head) + sum(s.texts[column].length for s in parts) + len(tail),
                timestamp=time,
            )
            middle = (self._member(column, part) for part in parts) if whole else self._parts(column, plan)
            piece = Piece(
                path=store_path(view + document.href),
                checksum=checksum,
                parts=[packed_head, *middle, packed_tail],
            )
            return _Made(document=document, piece=piece, head=len(packed_head), tail=len(packed_tail))

        return make

    def _parts(self, kind: int, plan: _Plan) -> Iterator[Part]:
        """The packed segments of a document: ranges of the parent's document, and fresh bytes."""
        index = self._standing()
        source = sources(self._generation)[kind] if self._generation else None
        old = index.segments
        at = index.heads[kind] if old else 0
        reached = 0
        for item in plan:
            if isinstance(item, _Fresh):
                yield item.members[kind]
                continue
            at += sum(segment.packs[kind].length for segment in old[reached : item.start])
            length = sum(segment.packs[kind].length for segment in old[item])
            if length and source:
                yield Extent(path=source[1], offset=at, length=length)
            at, reached = at + length, item.stop

    def _member(self, kind: int, segment: Segment) -> bytes:
        """A segment's packed bytes from the cache, proven to hold its text."""
        member = self._cache.packs[kind].read(segment.packs[kind])
        if codec.crc(codec.unpack(member)) != segment.crcs[kind]:
            msg = f"cached {text.COLUMNS[kind]} of {segment.first[0]} does not hold its text"
            raise Corrupt(msg)
        return member

    def _text(self, kind: int, segment: Segment) -> bytes:
        data = bytearray()
        self._feed_text(kind, [segment], data.extend)
        return bytes(data)

    def _feed_text(self, kind: int, parts: Sequence[Segment], update: Callable[[memoryview], object]) -> None:
        """Give the plain text of ``parts`` to ``update``; ``Corrupt`` at its end where it is not what was kept."""
        crc = 0

        def both(piece: memoryview) -> None:
            nonlocal crc
            crc = codec.crc(piece, crc)
            update(piece)

        self._cache.texts[kind].feed((segment.texts[kind] for segment in parts), both)
        if crc != codec.joined_crc((segment.crcs[kind], segment.texts[kind].length) for segment in parts):
            msg = f"the cached text of {text.COLUMNS[kind]} does not have its CRC"
            raise Corrupt(msg)

    def _rows(self, segment: Segment) -> list[text.Row]:
        return text.rows([self._text(kind, segment) for kind in range(len(text.COLUMNS))])


def _packed(rows: list[text.Row]) -> tuple[list[bytes], list[bytes]]:
    """Texts and members of one segment, proven: what the members unpack to lists just these packages."""
    texts = [b"".join(row.texts[kind] for row in rows) for kind in range(len(text.COLUMNS))]
    members = [codec.pack(data) for data in texts]
    unpacked = [codec.unpack(member) for member in members]
    listed = [package.nevra.order for package in text.prove(unpacked)]
    if listed != [row.order for row in rows] or text.rows(unpacked) != rows:
        msg = f"segment of {rows[0].order[0]} does not read back as it was written"
        raise Corrupt(msg)
    return texts, members
