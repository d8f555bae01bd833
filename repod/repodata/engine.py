"""Makes a repository's documents from compressed segments: a change packs only what it touches.

What stays whole per publish is the hashing of the plain and the packed text, since
repomd names both checksums and the package count stands in a document's first bytes.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from repod.beside import Threads, threads
from repod.doors import Change, Draft, Piece, Ready, Store
from repod.errors import Corrupt, Misconfigured, NotFound, Unavailable
from repod.generation import Document, Generation, view_path
from repod.package import Nevra, Package, StorePath, store_path
from repod.repodata import codec, segments, text
from repod.repodata.assemble import Assembled, Assembler, Job, Standing
from repod.repodata.cache import GARBAGE, Cache, Index
from repod.repodata.carrier import After, Carrier, Form
from repod.repodata.catchup import Catchup, patch
from repod.repodata.codec import Packing
from repod.repodata.coldstart import fits, segmented
from repod.repodata.marks import NO_MARKS, Marks
from repod.repodata.repomd import repomd
from repod.repodata.revise import Plan, Reviser

_TASKS = 2 * len(text.COLUMNS)
"""A checksum of the plain and of the packed text of each column."""

_Marks = tuple[Sequence[Marks], Sequence[Marks]]
"""Those of the plain and those of the packed documents, by column."""
_NO_MARKS: _Marks = ([NO_MARKS] * len(text.COLUMNS), [NO_MARKS] * len(text.COLUMNS))


class SegmentedRepodata:
    """``Repodata`` over a store and a cache folder. Not thread-safe: one publisher per repository."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        compression: str = codec.GZ.name,
        single_stream: bool = False,
        form: Form = lambda _: codec.GZ.suffix,
        garbage: int = GARBAGE,
        threads: Threads = threads,
    ) -> None:
        """``folder`` holds the cache; it may be lost at any time. ``garbage``: see ``Cache``.

        ``compression`` is the name of a codec. ``single_stream``: each document is one member, for
        clients that stop after the first; it is packed as a whole at every publish. Where either
        changes, the next publish makes all documents anew. ``form`` says how each type of carried
        document is packed.
        """
        self._store = store
        self._cache = Cache(folder, text.COLUMNS, garbage)
        self._carrier = Carrier(store, form, self._cache.folder / "carried")
        # None: to be made from the generation's documents when it is next asked for. So what
        # could not be read once is never taken for an empty repository.
        self._index: Index | None = None
        self._generation: Generation | None = None
        self._marks = _NO_MARKS
        self._drafted: tuple[Draft, Index, _Marks] | None = None
        self._saving: Future[Index] | None = None
        # What was stood on before: the cache holds it still.
        self._left: Index | None = None
        # As many as can work at once, and two at least: one may wait for the disk. More than the
        # tasks of one draft would do nothing, and each holds a buffer.
        processors = len(os.sched_getaffinity(0))
        self._threads = threads(min(max(2, processors), _TASKS), "repodata")
        self._packing = Packing(codec=codec.CODECS[compression], stream=single_stream)
        self._catchup = Catchup(store, self._cache, self._packing, threads)
        self._reviser = Reviser(self._cache, self._packing, self._threads)
        self._assembler = Assembler(self._cache, self._packing, self._threads)

    def close(self) -> None:
        """Let go of the cache's files."""
        self._threads.shutdown()
        self._catchup.close()
        self._cache.close()

    def load(self, generation: Generation | None) -> None:
        """See ``Repodata.load``. ``Corrupt`` where the store's own documents are not sound."""
        if generation is None:
            self._refuse_lost()
        elif self._generation is None or self._generation.number != generation.number:
            self._settle()
            self._left = self._index or self._left
            self._index, self._generation = None, generation
        self._standing()

    def _standing(self) -> Index:
        """The index of the loaded generation."""
        self._settle()
        if self._index is None:
            self._index = self._found(self._generation) if self._generation else self._nothing()
        return self._index

    def _nothing(self) -> Index:
        return Index(generation=0, packing=self._packing.name, checksums=(), heads=(), tails=(), segments=())

    def _found(self, generation: Generation) -> Index:
        index = self._left or self._cache.load()
        if index is not None and fits(index, generation):
            return index
        caught = self._catchup.caught_up(index, self._marks[1], generation) if index else None
        if caught:
            index = caught.index
            self._marks = [marks.first(caught.kept) for marks in self._marks[0]], caught.packed
        else:
            self._forget()
            index = segmented(self._store, self._cache, generation)
        self._left = None
        with contextlib.suppress(Unavailable, Corrupt):
            return self._cache.save(index)
        return index

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
        self._stand(None, self._generation)
        self._forget()

    def _forget(self) -> None:
        """Empty the cache, whose generation is to be stood on."""
        self._left, self._marks = None, _NO_MARKS
        self._cache.clear()

    def _stand(self, index: Index | None, generation: Generation | None, marks: _Marks = _NO_MARKS) -> None:
        self._settle()
        self._index, self._generation, self._marks, self._left = index, generation, marks, None

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
            return self._cache.text(0, self._standing().segments[place])
        except Corrupt:
            self.forget()
            return self._cache.text(0, self._standing().segments[place])

    def draft(
        self, change: Change, number: int, time: int, *, whole: bool = False, ready: Ready = lambda _: None
    ) -> Draft:
        """See ``Repodata.draft``."""
        before = self._standing()
        anew = before.packing != self._packing.name
        plan, gone = self._reviser.plan(before.segments, change, anew=anew)
        carried, pieces = self._carrier.draft(self._generation, After(change, gone, self.find, self.packages), time)
        for piece in pieces:
            ready(piece)
        if change.entries or gone or whole or anew or self._generation is None:
            own = self._made(plan, number, time, whole=whole, ready=ready)
            index, marks = own.index, (own.opened, own.packed)
            documents, frozen = tuple(own.documents[:-1]), own.documents[-1]
            pieces = [*own.pieces, *pieces]
        else:
            index, marks = replace(self._standing(), generation=number), self._marks
            documents, frozen = tuple(self._generation.documents[: len(text.KINDS)]), self._generation.frozen
        documents = (*documents, *carried)
        if self._generation and documents == self._generation.documents:
            pieces = []
        else:
            made = {piece.path for piece in pieces}
            copies = [*(self._returned(carried, made) if whole else ()), *self._copies(number, documents, frozen, made)]
            for piece in copies:
                ready(piece)
            pieces += copies
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
            patch=None if anew or self._packing.stream else patch(plan, before, index),
        )
        self._drafted = (draft, index, marks)
        return draft

    def _made(self, plan: Plan, number: int, time: int, *, whole: bool, ready: Ready) -> Assembled:
        """Every column's document of the segments that ``plan`` names."""
        index = self._standing()
        old = index.segments
        parts = [part for item in plan for part in (old[item] if isinstance(item, slice) else [item.segment])]
        opened, packed = self._marks
        standing = Standing(generation=self._generation, index=index, opened=opened, packed=packed)
        job = Job(number=number, time=time, plan=plan, parts=parts, whole=whole)
        return self._assembler.assemble(standing, job, ready)

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

    def _returned(self, carried: Sequence[Document], made: set[StorePath]) -> Iterator[Piece]:
        """The carried documents that the live view lost, from the parent's frozen view."""
        if self._generation:
            for document in carried:
                kept = document in self._generation.documents and document.href not in made
                if kept and not self._is_stored(document.href):
                    source = store_path(self._generation.view + document.href)
                    yield Piece(path=document.href, checksum=document.checksum, source=source)

    def _is_stored(self, path: StorePath) -> bool:
        try:
            return any(self._store.stream(path, 0, 1))
        except NotFound:
            return False

    def adopt(self, draft: Draft, generation: Generation) -> None:
        """See ``Repodata.adopt``."""
        if self._drafted is None or self._drafted[0] is not draft:
            msg = f"draft {draft.number} is not the last one made"
            raise ValueError(msg)
        _, index, marks = self._drafted
        self._stand(index, generation, marks)
        # Beside what follows the pointer: nothing that clients read waits for it.
        self._saving = self._threads.submit(self._cache.save, index)
        self._drafted = None

    def _settle(self) -> None:
        """Stand on the index as it lies in the cache; it can be used on where a full disk, say, keeps it out."""
        saving, self._saving = self._saving, None
        if saving is not None:
            with contextlib.suppress(Unavailable, Corrupt):
                self._index = saving.result()
