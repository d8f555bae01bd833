"""Mends what an audit found, where that can be done without inventing; what cannot is told, with what to do.

The records say what there was: pointer, live and frozen indexes are written from them again. A
document comes from another copy of the same bytes, else from the cache, else from the packages.
Every object is proven before it takes the place of another. A daemon may run beside: whatever
both write is compared and swapped.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial

from repod.doors import Change, Piece, Repodata, Store
from repod.errors import Corrupt, NotFound, RepodError, Unavailable
from repod.finding import Finding, fault, mended
from repod.generation import Document, Generation
from repod.history import History
from repod.objects import ASIDE, SPARE, differs, put_back
from repod.package import StorePath
from repod.rebuild import Rebuild
from repod.records import Records, read_records
from repod.views import Views

_OWN = {"primary", "filelists", "other"}


class Repair:
    """Mends one repository."""

    def __init__(
        self,
        *,
        store: Store,
        views: Views,
        cached: Callable[[], AbstractContextManager[Repodata]],
        rebuild: Rebuild,
        write_host_files: Callable[[], object],
    ) -> None:
        """``cached`` opens the documents with the daemon's cache."""
        self._store = store
        self._views = views
        self._cached = cached
        self._rebuild = rebuild
        self._write_host_files = write_host_files

    def mend(self, findings: Collection[Finding]) -> Iterator[Finding]:
        """One line for each repair that was made, and for each that was tried in vain."""
        broken = {what: [f for f in findings if f.what == what] for what in ("document", "frozen", "host")}
        records, _ = read_records(self._store)
        if records.pending:
            # Whoever finds a record without the pointer carries on with it.
            self._rebuild.finish(records.pending)
            yield from self._rebuild.take_findings()
            records, _ = read_records(self._store)
        if records.current is None:
            return
        yield from self._mend_documents(records, [finding.path for finding in broken["document"]])
        yield from self._frozen(records, {finding.path for finding in broken["frozen"]})
        yield from self._live([finding for finding in findings if finding.what == "live"])
        if broken["host"]:
            self._write_host_files()
            for finding in broken["host"]:
                yield mended("host", finding.path, "written again from the settings")

    def _mend_documents(self, records: Records, paths: Sequence[str]) -> Iterator[Finding]:
        left: dict[int, list[StorePath]] = {}
        for path, document, generation in self._named(records, set(paths)):
            twin = self._twin(records, document, path)
            if twin is None:
                left.setdefault(generation.number, []).append(path)
                continue
            text = put_back(self._store, path, document.checksum, partial(self._copied, twin, document))
            yield mended("document", path, f"{text or 'it is right again'}, from {twin}")
        for number in sorted(left, reverse=True):
            yield from self._remade(records, records.known[number], left[number])

    def _named(self, records: Records, paths: Collection[str]) -> Iterator[tuple[StorePath, Document, Generation]]:
        """Each of ``paths`` with its document and the newest generation that names it."""
        seen = set[StorePath]()
        for generation in records.kept:
            for path, document in generation.stored.items():
                if path in paths and path not in seen:
                    seen.add(path)
                    yield path, document, generation

    def _twin(self, records: Records, document: Document, path: StorePath) -> StorePath | None:
        """Another object that has the bytes of ``document``, proven."""
        places = {place for one in records.kept for place, d in one.stored.items() if d.checksum == document.checksum}
        kept = {StorePath(f"{SPARE}{document.checksum}")}
        kept |= {stored.path for stored in self._store.list(f"{ASIDE}{document.checksum}-")}
        for place in sorted((places | kept) - {path}):
            if not differs(self._store, place, document.checksum, document.size):
                return place
        return None

    def _copied(self, twin: StorePath, document: Document, path: StorePath) -> None:
        if path != twin:
            self._store.copy(twin, path, document.checksum)

    def _remade(self, records: Records, generation: Generation, paths: Sequence[StorePath]) -> Iterator[Finding]:
        """Documents of a generation of which no copy is left: from the cache, else from the packages."""
        for path in paths:
            document = generation.stored[path]
            if document.type not in _OWN:
                text = f"no other copy of this {document.type} is in the store: restore it, or put it in again; "
                yield fault("document", path, text + "repod rebuild goes on without it")
        own = [path for path in paths if generation.stored[path].type in _OWN]
        if not own:
            return
        if generation is records.current:
            yield from self._from_cache(generation)
        if not any(self._wrong(generation, path) for path in own):
            return
        try:
            if generation is records.current:
                yield from self._from_packages(generation)
            else:
                self._rebuild.documents_of(generation)
                yield from self._rebuild.take_findings()
        except RepodError as error:
            for path in own:
                yield fault("document", path, f"could not be mended: {error}")

    def _from_packages(self, generation: Generation) -> Iterator[Finding]:
        now = self._rebuild.restore(generation)
        yield from self._rebuild.take_findings()
        if now.number != generation.number:
            text = f"generation {generation.number} does not come out of its packages as it was; "
            yield mended("document", now.view, f"{text}generation {now.number} has its content")

    def _wrong(self, generation: Generation, path: StorePath) -> bool:
        document = generation.stored[path]
        return bool(differs(self._store, path, document.checksum, document.size))

    def _from_cache(self, generation: Generation) -> Iterator[Finding]:
        with suppress(Corrupt, NotFound, Unavailable), self._cached() as repodata:
            repodata.load(generation)
            # With another time than theirs, all documents are to be stored.
            draft = repodata.draft(Change(), generation.number, generation.time + 1, whole=True)
            pieces: Mapping[StorePath, Piece] = {piece.path: piece for piece in draft.pieces if not piece.source}
            if pieces.keys() <= generation.stored.keys():
                for path, piece in pieces.items():
                    text = put_back(self._store, path, piece.checksum, partial(self._added, piece))
                    if text:
                        yield mended("document", path, f"{text}, from the cache")
                for path, document in generation.stored.items():
                    live = StorePath(document.href)
                    if path != live and live in pieces and self._wrong(generation, path):
                        text = put_back(self._store, path, document.checksum, partial(self._copied, live, document))
                        yield mended("document", path, f"{text}, from {live}")

    def _added(self, piece: Piece, path: StorePath) -> None:
        self._store.add(path, piece.parts, piece.checksum)

    def _frozen(self, records: Records, paths: Collection[str]) -> Iterator[Finding]:
        for generation in records.kept:
            here = [path for path in paths if path.startswith(generation.view)]
            if here:
                self._views.freeze(generation)
            for path in sorted(here):
                yield mended("frozen", path, "written again from its record")

    def _live(self, wrong: Sequence[Finding]) -> Iterator[Finding]:
        """What clients read first follows last: by then everything that it names is there."""
        self._views.follow(History(self._store).current)
        for finding in wrong:
            yield mended("live", finding.path, "written again from the record of the current generation")
