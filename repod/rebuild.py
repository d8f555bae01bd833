"""Makes the documents of a repository anew from its packages, equal to what stood there where that is known.

Of a package that a document or the chain of records knows, its header is read and no more. Where
nothing tells what is listed, every package file in the store is read whole, and all are listed.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

from repod.doors import Change, Draft, Piece, Repodata, Rpms, Store, Unreadable
from repod.errors import Corrupt, NotFound, Refused
from repod.finding import Finding, fault, mended, note
from repod.generation import HEAD, Document, Generation, record_path, view_path
from repod.headers import Headers
from repod.holdings import Holdings, Tell, silent
from repod.objects import differs, put_back
from repod.package import Nevra, Package, Sha256, StorePath, sha256, store_path
from repod.placed import Placed, StoredDocuments
from repod.publish import Publisher
from repod.records import Records, contents, read_records
from repod.views import REPOMD

WHY = "rebuilt from the packages"
_BATCH = 2000  # packages whose entries are in memory at a time
_OWN = ("primary", "filelists", "other")
"""The documents that are made from the packages."""

# Other forms of those, and deltas between packages: repod makes none, so none is kept.
_FORMS = re.compile(r"(?:primary|filelists|other)(?:[_-].+)?|prestodelta|deltainfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild did. ``generation`` is current now; ``read`` is how many bytes of packages were read."""

    generation: Generation
    findings: Sequence[Finding]
    packages: int
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basis:
    """What is rebuilt: the generation that it stands on, and what it lists.

    ``gone`` is what it lists and what is not there. ``unknown``: what it listed cannot be told, so that
    the next one has no parent. ``carried``: carried documents must all be there.
    """

    stand: Generation
    packages: Sequence[Package]
    gone: Sequence[Package] = ()
    unknown: bool = False
    carried: bool = False


_Rank = tuple[bool, bool, str]
"""Of files with one NEVRA the one with the lowest is listed."""


class Rebuild:
    """Rebuilds one repository."""

    def __init__(
        self,
        *,
        store: Store,
        documents: StoredDocuments,
        rpms: Rpms,
        holdings: Holdings,
        scratch: Callable[[], AbstractContextManager[Repodata]],
        publisher: Callable[[Repodata], Publisher],
        changelogs: int,
        tell: Tell = silent,
    ) -> None:
        """``scratch`` opens a ``Repodata`` that stands on nothing; ``publisher`` publishes what one stands on.

        ``changelogs`` as in ``Rpms.seal``; ``tell`` hears how far it is.
        """
        self._store = store
        self._documents = documents
        self._holdings = holdings
        self._scratch = scratch
        self._publisher = publisher
        self._headers = Headers(
            store=store, rpms=rpms, changelogs=changelogs, workspace=holdings.workspace, count=self._count
        )
        self._tell = tell
        self._lock = Lock()
        self._read = 0
        self._findings: list[Finding] = []

    def restore(self, generation: Generation) -> Generation:
        """The generation that is current when its documents stand in the store again.

        It is ``generation`` itself where they come out equal, else the next one. ``Corrupt`` where a
        person must decide: nothing tells what it lists, or something of it is lost for good.
        """
        return self._made(self._known(generation))

    def documents_of(self, generation: Generation) -> None:
        """Put lost documents of any ``generation`` back; ``Corrupt`` where they do not come out as they were."""
        basis = self._known(generation)
        with self._scratch() as repodata:
            if not self._stored_again(self._draft(repodata, basis), generation):
                msg = f"the documents of generation {generation.number} do not come out of the packages as they were"
                raise Corrupt(msg)

    def _known(self, generation: Generation) -> _Basis:
        records, _ = read_records(self._store)
        listed = contents(records, self._documents, generation)
        if listed is None:
            msg = (
                f"generation {generation.number}: nothing tells which packages it lists; restore its documents from a "
                "copy of the store, or list all packages that are there: repod rebuild"
            )
            raise Corrupt(msg)
        self._begin()
        present, _ = self._present(listed.values(), drop=False)
        return _Basis(stand=generation, packages=present, carried=True)

    def run(self, *, drop: bool = False) -> Rebuilt:
        """Make all documents anew; a new generation only where they do not come out equal.

        ``drop``: packages that are listed and whose files are missing are left out, each with a line.
        """
        self._begin()
        basis = self._basis(drop=drop)
        generation = self._made(basis)
        findings = self.take_findings()
        return Rebuilt(generation=generation, findings=findings, packages=len(basis.packages), read=self._read)

    def take_findings(self) -> Sequence[Finding]:
        """What was done and found since they were last taken."""
        taken, self._findings = self._findings, []
        return taken

    def finish(self, number: int) -> None:
        """Let generation ``number``, which has a record, be the current one."""
        with self._scratch() as repodata:
            self._publisher(repodata).finish(number)
        self._findings.append(mended("pointer", HEAD, f"it names generation {number}, the newest that has a record"))

    def _begin(self) -> None:
        self._read, self._findings = 0, []

    def _basis(self, *, drop: bool) -> _Basis:
        records, _ = read_records(self._store)
        if records.current is None and records.pending:
            self.finish(records.pending)
            records, _ = read_records(self._store)
        current = records.current
        if current is None:
            return self._lost(records, drop=drop)
        listed = contents(records, self._documents, current)
        if listed is not None:
            present, gone = self._present(listed.values(), drop=drop)
            return _Basis(stand=current, packages=present, gone=gone)
        text = f"nothing tells which packages generation {current.number} listed: all that are there are listed"
        self._findings.append(note("content", "Packages/", text))
        packages = self._of_files(_removed(records))
        return _Basis(stand=current, packages=packages, unknown=True)

    def _present(self, packages: Iterable[Package], *, drop: bool) -> tuple[list[Package], list[Package]]:
        """Those whose files are there, and those that are left out; ``Corrupt`` where ``drop`` does not allow that."""
        sizes = {stored.path: stored.size for stored in self._store.list("") if stored.path.endswith(".rpm")}
        present: list[Package] = []
        lost: list[Package] = []
        for package in sorted(packages, key=lambda package: package.nevra.order):
            (present if sizes.get(package.href) == package.size else lost).append(package)
        if lost and not drop:
            msg = (
                f"{len(lost)} listed packages are missing or cut short, such as {lost[0].href}; "
                "restore them from a copy, or leave them out: repod rebuild --drop-missing"
            )
            raise Corrupt(msg)
        self._findings += [fault("package", one.href, f"{one.nevra} is missing, and left out") for one in lost]
        return present, lost

    def _lost(self, records: Records, *, drop: bool) -> _Basis:
        """Pointer or current record are gone: what an index of that generation says, else all package files."""
        number = max([0, records.head or 0, *records.known, *self._numbers()])
        if not records.known and records.head is None:
            self._refuse_sound()
        carried, listed = self._told(records.head)
        lost = f"the record of generation {records.head} is lost" if records.head else "no record is left"
        text = f"{lost}: generation {number + 1} begins anew, without a parent"
        self._findings.append(note("record", record_path(number + 1), text))
        packages = self._present(listed, drop=drop)[0] if listed else self._of_files(_removed(records))
        # No record says which documents are to come out, so that none can be stored again.
        return _Basis(stand=replace(_blank(number), documents=carried), packages=packages, unknown=True)

    def _told(self, head: int | None) -> tuple[tuple[Document, ...], list[Package]]:
        """The carried documents and the packages of generation ``head`` by its frozen or its live index.

        The live one must be of that generation; where there is no ``head``, it is all there is.
        """
        for view in (view_path(head), "") if head else ("",):
            with suppress(NotFound, Corrupt):
                revision, named = self._documents.index(self._store.read(store_path(view + REPOMD)).data)
                primary = next((one for one in named if one.type == _OWN[0]), None)
                if primary and (head is None or revision == str(head)):
                    listed = self._documents.listing(Placed(document=primary, path=store_path(view + primary.href)))
                    return tuple(one for one in named if not _FORMS.fullmatch(one.type)), list(listed)
        return (), []

    def _numbers(self) -> Iterator[int]:
        """The numbers of frozen views that are there: none is used twice."""
        for stored in self._store.list("generations/"):
            number = stored.path.split("/")[1]
            if number.isdecimal():
                yield int(number)

    def _refuse_sound(self) -> None:
        """A repository without any record whose own documents are sound is to be adopted, not rebuilt."""
        with suppress(NotFound):
            data = self._store.read(REPOMD).data
            with suppress(Corrupt):
                _, named = self._documents.index(data)
                if any(differs(self._store, one.href, one.checksum, one.size) for one in named):
                    return
            msg = (
                f"the store holds {REPOMD} and no record of a generation: another tool's repository, or its records "
                f"were lost; take it over as it is: repod adopt. To list all packages instead, remove {REPOMD}"
            )
            raise Refused(msg)

    def _of_files(self, removed: Collection[Sha256]) -> Sequence[Package]:
        """All package files that are there, read whole; of two with one NEVRA, one, by a fixed rule.

        Ours before one that our key did not sign, then one at its usual place, then the first by path.
        """
        paths = sorted(s.path for s in self._store.list("") if s.path.endswith(".rpm") and s.path[0] != ".")
        chosen: dict[Nevra, tuple[_Rank, Package]] = {}
        for done, found in enumerate(self._holdings.each(self._whole, paths)):
            self._tell("packages", done, len(paths))
            if isinstance(found, Finding):
                self._findings.append(found)
            elif found[1].pkgid not in removed:
                self._choose(chosen, found)
        return sorted((package for _, package in chosen.values()), key=lambda package: package.nevra.order)

    def _choose(self, chosen: dict[Nevra, tuple[_Rank, Package]], found: tuple[_Rank, Package]) -> None:
        nevra = found[1].nevra
        other = chosen.setdefault(nevra, found)
        if other is found:
            return
        (_, keep), (_, leave) = (found, other) if found[0] < other[0] else (other, found)
        chosen[nevra] = min(found, other, key=lambda pair: pair[0])
        text = f"a second file of {nevra}; that at {keep.href} is listed; remove this one"
        self._findings.append(note("stray", leave.href, text))

    def _whole(self, path: StorePath) -> tuple[_Rank, Package] | Finding:
        try:
            with self._holdings.copy(path) as (copy, digest):
                size = copy.stat().st_size
                facts, ours = self._holdings.examine(copy)
        except (NotFound, Unreadable) as error:
            return fault("package", path, f"left out: {error}")
        self._count(size)
        if facts.faults:
            return fault("package", path, f"left out: {facts.faults[0].text}")
        package = Package(nevra=facts.nevra, pkgid=sha256(digest), size=size, href=path)
        return (not ours, path != facts.nevra.location, str(path)), package

    def _made(self, basis: _Basis) -> Generation:
        """Store what is missing again, or publish."""
        with self._scratch() as repodata:
            draft = self._draft(repodata, basis)
            complete = len(draft.documents) == len(basis.stand.documents)
            publisher = self._publisher(repodata)
            if complete and self._stored_again(draft, basis.stand):
                publisher.settle(basis.stand)
                return basis.stand
            if basis.unknown:
                return publisher.begin_anew(basis.stand.number + 1, actor="rebuild", why=WHY)
            return publisher.republish(basis.stand, basis.gone, actor="rebuild", why=WHY)

    def _draft(self, repodata: Repodata, basis: _Basis) -> Draft:
        """Give ``repodata`` all packages of ``basis``, and its carried documents; everything is to be stored."""
        stand = basis.stand
        carried = [one for one in stand.documents if not _FORMS.fullmatch(one.type) and self._sound(one, basis)]
        repodata.load(None)
        batches = [basis.packages[start : start + _BATCH] for start in range(0, len(basis.packages), _BATCH)] or [[]]
        for number, batch in enumerate(batches, start=1):
            self._tell("headers", (number - 1) * _BATCH, len(basis.packages))
            entries = list(self._holdings.each(self._headers.entry, batch))
            draft = repodata.draft(Change(entries=entries), stand.number, 0)
            # Carried documents come last: they are kept as they are, and follow nothing here.
            documents = (*draft.documents[: len(_OWN)], *(carried if number == len(batches) else ()))
            here = replace(stand, packages=draft.packages, documents=documents, frozen=draft.frozen)
            repodata.adopt(draft, here)
        # With another time than those, all documents are to be stored.
        return repodata.draft(Change(), stand.number, stand.time + 1, whole=True)

    def _sound(self, document: Document, basis: _Basis) -> bool:
        text = differs(self._store, document.href, document.checksum, document.size)
        if text and basis.carried:
            msg = f"{document.href}: {text}; restore it from a copy, or go on without it: repod rebuild"
            raise Corrupt(msg)
        if text:
            text = f"{text}; the repository goes on without its {document.type}: put it in again"
            self._findings.append(fault("document", document.href, text))
        return not text

    def _stored_again(self, draft: Draft, generation: Generation) -> bool:
        """Put back what is not there as it was; False where the documents are not those of ``generation``."""
        made = {piece.path for piece in draft.pieces if not piece.source}
        if not made <= generation.stored.keys():
            return False
        for piece in sorted(draft.pieces, key=lambda piece: bool(piece.source)):
            text = put_back(self._store, piece.path, piece.checksum, partial(self._put, piece))
            if text:
                self._findings.append(mended("document", piece.path, f"{text}, made from the packages"))
        return True

    def _put(self, piece: Piece, path: StorePath) -> None:
        if piece.source:
            self._store.copy(piece.source, path, piece.checksum)
        else:
            self._store.add(path, piece.parts, piece.checksum)

    def _count(self, size: int) -> None:
        with self._lock:
            self._read += size


def _removed(records: Records) -> set[Sha256]:
    """The packages that the records say were taken out and did not come back."""
    removed = set[Sha256]()
    for one in reversed(records.kept):
        removed |= {package.pkgid for package in one.removed}
        removed -= {package.pkgid for package in one.added}
    return removed


def _blank(number: int) -> Generation:
    """A generation of which nothing is known but that nothing before it counts."""
    nothing = Document(
        type=_OWN[0],
        href=StorePath("repodata/nothing"),
        checksum=Sha256("0" * 64),
        size=0,
        open_checksum=Sha256("0" * 64),
        open_size=0,
        timestamp=0,
    )
    return Generation(
        number=number,
        parent=0,
        time=0,
        actor="",
        why="",
        packages=0,
        added=(),
        removed=(),
        documents=(),
        frozen=nothing,
        repomd="",
        signature="",
        frozen_repomd="",
        frozen_signature="",
    )
