"""Proves that what a repository shows is what it holds: rules 1 to 3, object by object.

First what clients read first: pointer and records, live and frozen views, their documents; then
what those documents say; then every package. Only reads, and may run beside a daemon: what moves
on meanwhile is no finding.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from repod.doors import Clock, Store, Stored
from repod.errors import Corrupt, NotFound
from repod.finding import Finding, fault, note
from repod.generation import HEAD, Generation, Head, record_path
from repod.holdings import Held, Holdings, Tell, silent
from repod.hostfiles import ZYPPER_KEY
from repod.ledger import FOLDER, Ledger, comings
from repod.objects import ASIDE, SPARE, differs
from repod.package import Nevra, Package, Sha256, StorePath, store_path
from repod.placed import Placed, StoredDocuments
from repod.records import Contents, Records, contents, read_records, undo
from repod.rings import ROLLOUT, envelope, read
from repod.statement import STATEMENT
from repod.stating import Statements
from repod.times import stamp
from repod.views import REPOMD, SIGNATURE, current, frozen
from repod.welcome import PAGE, mark
from repod.wording import counted

VerifySignature = Callable[[bytes, bytes], bool]
"""Whether an armored signature (second) over data (first) is by the published key."""

_COPY = "restore it from a copy of the store"
_REPAIR = "repod verify REPO --repair"
_DOCUMENT = re.compile(r"(?:generations/[0-9]+/)?repodata/[0-9a-f]{64}-.+")
_ALTERNATES = re.compile(rb"<mm0:alternates>.*</mm0:alternates>", re.DOTALL)
_UNDER_WAY = 3600.0  # seconds that a publish may take until its record names what it stored
_LOOKS = 6  # at a live view that a publish may be changing


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a repository from outside its store. ``url`` has a slash at its end.

    ``host_files`` are what hosts need beside the metadata; ``statements``: what says what is current, signed.
    """

    url: str
    host_files: Mapping[StorePath, bytes]
    verify_signature: VerifySignature
    statements: Statements | None = None


class Audit:
    """Reads a whole repository and compares."""

    def __init__(
        self,
        *,
        store: Store,
        documents: StoredDocuments,
        holdings: Holdings,
        known: Known,
        clock: Clock,
        pause: Callable[[int], None],
        tell: Tell = silent,
    ) -> None:
        """Nothing is written. ``pause`` as in ``Publisher``; ``tell`` hears how far it is."""
        self._store = store
        self._documents = documents
        self._holdings = holdings
        self._known = known
        self._clock = clock
        self._pause = pause
        self._tell = tell

    def verify(self) -> Iterator[Finding]:
        """Everything that is not as it should be; nothing where all is well."""
        findings = list(self.structure())
        yield from findings
        yield from self.packages(strict=all(finding.what != "document" for finding in findings))

    def structure(self) -> Iterator[Finding]:
        """Pointer, records, views and documents: all that is made from the packages."""
        records, findings = read_records(self._store)
        yield from findings
        generation = records.current
        if generation is None:
            yield from self._lost(records)
            return
        yield from self._live(generation, records.known.get(generation.parent))
        yield from self._stated(generation)
        kept = records.kept
        seen = set[StorePath]()
        for done, one in enumerate(kept):
            self._tell("documents", done, len(kept))
            breaches = [*self._frozen(one, newest=one is generation), *self._broken(one, seen)]
            if breaches and one is not generation and self._pruned(one):
                continue
            yield from breaches
        for path, data in self._known.host_files.items():
            if self._bytes(path) != data:
                yield fault("host", path, f"not as the settings say; restart repod, or: {_REPAIR}")
        yield from self._rings()
        yield from self._strays(kept)

    def packages(self, *, strict: bool = True) -> Iterator[Finding]:
        """What the documents say, and every package that a kept generation lists.

        ``strict``: the documents are all there, so that they are compared package by package.
        """
        stored = [one.path for one in self._store.list("Packages/")]
        records, _ = read_records(self._store)
        generation = records.current
        if generation is None:
            return
        listing = (yield from self._compared(generation)) if strict else None
        if listing is None:
            listing = contents(records, self._documents, generation)
        if listing is None:
            text = f"nothing tells which packages generation {generation.number} lists; {_COPY}, or: repod rebuild"
            yield fault("content", "repodata", text)
            return
        held, findings = self._held(records, generation, listing)
        yield from findings
        yield from self._holdings.check(held, self._tell, self._modular(generation))
        here = {package.nevra: package for package in listing.values()}
        yield from self._holdings.check_unlisted((path for path in stored if path not in held), here)

    def _lost(self, records: Records) -> Iterator[Finding]:
        """What is to be done about a repository without a current generation."""
        if records.head is not None:
            return  # its record is missing or unreadable, and that was told
        if records.known:
            text = f"missing or unreadable; {_REPAIR} lets it name the newest generation that has a record"
        elif any(self._store.list(REPOMD)):
            text = "missing: another tool's repository, or its records were lost; repod adopt takes it over as it is"
        elif any(self._store.list("Packages/")):
            text = "missing: only packages are left; repod rebuild makes a repository of them"
        else:
            text = "no generation; start repod to create one"
        yield fault("pointer", HEAD, text)

    def _live(self, generation: Generation, parent: Generation | None) -> Iterator[Finding]:
        wanted = current(generation, parent, self._known.url)
        exact = parent is not None or not generation.parent
        for attempt in range(_LOOKS):
            wrong = [path for path, data in wanted.items() if not _as_wanted(self._bytes(path), data, exact=exact)]
            if not wrong or self._moved(generation):
                break
            self._pause(attempt)  # a publish writes these after the pointer
        else:
            for path in wrong:
                text = f"not that of generation {generation.number}; restart repod, or: {_REPAIR}"
                yield fault("live", path, text)
        yield from self._index(generation, generation.repomd, generation.signature, REPOMD)

    def _stated(self, generation: Generation) -> Iterator[Finding]:
        """Whether clients can tell the live view from an old one."""
        if self._known.statements is None:
            return
        for attempt in range(_LOOKS):
            text = self._known.statements.fault(generation, self._bytes(STATEMENT))
            if not text or self._moved(generation):
                return
            self._pause(attempt)  # a publish writes it last
        yield fault("live", STATEMENT, f"{text}; restart repod, or: {_REPAIR}")

    def _frozen(self, generation: Generation, *, newest: bool) -> Iterator[Finding]:
        for path, data in frozen(generation).items():
            if self._bytes(path) != data:
                yield fault("frozen", path, f"not as its record says; {_REPAIR}")
        if newest:
            index = generation.view + REPOMD
            yield from self._index(generation, generation.frozen_repomd, generation.frozen_signature, index)

    def _index(self, generation: Generation, repomd: str, signature: str, path: str) -> Iterator[Finding]:
        """Whether an index is signed by the published key, and names just what its record does."""
        if not self._known.verify_signature(repomd.encode(), signature.encode()):
            text = "the index's signature does not verify with the configured key; publish again with that key"
            yield fault("record", f"{path}.asc", text)
        first = generation.documents[0] if path == REPOMD else generation.frozen
        documents = {document.type: document for document in (first, *generation.documents[1:])}
        try:
            revision, named = self._documents.index(repomd.encode())
        except Corrupt as error:
            yield fault("record", path, str(error))
            return
        if len(named) != len(documents) or any(documents.get(one.type) != one for one in named):
            yield fault("record", path, f"it does not name just the documents of its record; {_COPY}")
        if revision != str(generation.number):
            yield fault("record", path, f"its revision is {revision!r}, expected {generation.number}; {_COPY}")

    def _broken(self, generation: Generation, seen: set[StorePath]) -> Iterator[Finding]:
        """The documents of both views that are missing or altered; generations share some: ``seen`` grows."""
        for path, document in generation.stored.items():
            if path not in seen:
                seen.add(path)
                text = differs(self._store, path, document.checksum, document.size)
                if text:
                    yield fault("document", path, f"{text}; {_REPAIR}")

    def _pruned(self, generation: Generation) -> bool:
        return self._bytes(record_path(generation.number)) is None

    def _moved(self, generation: Generation) -> bool:
        with contextlib.suppress(NotFound, Corrupt):
            return Head.from_json(self._store.read(HEAD).data).generation != generation.number
        return False

    def _rings(self) -> Iterator[Finding]:
        """Whether hosts in pull mode can follow the rollout file, where there is one."""
        data = self._bytes(ROLLOUT)
        if data is None:
            return
        try:
            held = envelope(data)
            file = read(held.document)
        except Corrupt as error:
            yield fault("rings", ROLLOUT, str(error))
            return
        if not self._known.verify_signature(held.document.encode(), held.signature.encode()):
            text = "its signature does not verify with the configured key; repod once signs it anew, if it is repod's"
            yield fault("rings", ROLLOUT, text)
        elif self._clock() >= file.expires:
            yield fault("rings", ROLLOUT, f"expired at {stamp(file.expires)}; repod run or once signs it anew")

    def _strays(self, kept: Sequence[Generation]) -> Iterator[Finding]:
        """Objects in the places of documents that no kept generation names."""
        views = {path for one in kept for path in frozen(one)}
        named = {path for one in kept for path in one.stored} | views | {REPOMD, SIGNATURE, ZYPPER_KEY, STATEMENT}
        young = self._clock() - _UNDER_WAY
        for place in ("repodata/", "generations/"):
            for stored in self._store.list(place):
                if stored.path not in named and not (_DOCUMENT.fullmatch(stored.path) and stored.modified > young):
                    yield self._stray(stored)
        page = self._bytes(PAGE)
        if page is not None and mark(page) is None:
            yield note("page", PAGE, "not repod's, so it stays as it is; remove it to get a front page")
        for place in (ASIDE, SPARE):
            for stored in self._store.list(place):
                yield note("stray", stored.path, "left by a repair; remove it when nobody needs it")

    def _stray(self, stored: Stored) -> Finding:
        if _DOCUMENT.fullmatch(stored.path):
            return note("stray", stored.path, "no kept generation names it; pruning removes it")
        return note("stray", stored.path, "nobody's: no kept generation names it; remove it if you do not need it")

    def _modular(self, generation: Generation) -> Collection[Nevra] | None:
        """The packages that the modules here name; None where that cannot be read, which is told elsewhere."""
        document = generation.carried.get("modules")
        if document is None:
            return ()
        with contextlib.suppress(Corrupt, NotFound):
            return self._documents.modular(Placed(document=document, path=document.href))
        return None

    def _compared(self, generation: Generation) -> Generator[Finding, None, Contents | None]:
        """What the current generation lists, by its documents, strictly read; None where they cannot be."""
        listing: Contents = {}
        try:
            yield from self._strict(generation, listing)
        except (Corrupt, NotFound) as error:
            yield fault("content", "repodata", f"{error}; {_REPAIR}")
            return None
        for kind in generation.documents[3:]:
            try:
                self._documents.carried(Placed(document=kind, path=kind.href))
            except (Corrupt, NotFound) as error:
                yield fault("content", kind.href, f"hosts may not read it: {error}")
        return listing

    def _strict(self, generation: Generation, listing: Contents) -> Iterator[Finding]:
        """Compare the documents package by package; ``listing`` receives what primary lists."""
        frozen_primary = Placed(document=generation.frozen, path=store_path(generation.view + generation.frozen.href))
        live = [Placed(document=document, path=document.href) for document in generation.documents[:3]]
        once: Mapping[str, set[object]] = {"pkgid": set(), "href": set()}
        for done, item in enumerate(self._documents.compare([*live, frozen_primary])):
            self._tell("metadata", done, generation.packages)
            if isinstance(item, str):
                yield fault("content", "repodata", f"{item}; repod rebuild makes them anew")
                continue
            if item.nevra in listing:
                yield fault("content", item.href, f"{item.nevra} is listed twice; repod rebuild makes the listing anew")
            listing[item.nevra] = item
            for what, seen in once.items():
                value = getattr(item, what)
                if value in seen:
                    yield fault("content", item.href, f"{item.nevra}: its {what} {value} is listed twice")
                seen.add(value)
        if len(listing) != generation.packages:
            wanted = counted(generation.packages, "package")
            text = f"expected {wanted}, found {len(listing)}; repod rebuild makes them anew"
            yield fault("content", generation.documents[0].href, text)

    def _held(
        self, records: Records, newest: Generation, listing: Contents
    ) -> tuple[Mapping[StorePath, Held], Sequence[Finding]]:
        """Every package that a kept generation lists, and where the records contradict each other."""
        held: dict[StorePath, Held] = {}
        findings: list[Finding] = []
        adopted = self._adopted(records, findings)
        _hold(held, listing.values(), newest, adopted, findings, past=False)
        back = dict(listing)
        for one in records.kept:
            wrong = undo(back, one)
            findings += [fault("record", record_path(one.number), f"{text}; {_COPY}") for text in wrong[:3]]
            parent = records.known.get(one.parent)
            if wrong or parent is None or parent.number != one.number - 1:
                break
            if len(back) != parent.packages:
                text = f"generation {parent.number} follows from its content with {counted(len(back), 'package')}, "
                text += f"and its record says {parent.packages}; {_COPY}"
                findings.append(fault("record", record_path(one.number), text))
                break
            _hold(held, one.removed, parent, adopted, findings, past=True)
        return held, findings

    def _adopted(self, records: Records, findings: list[Finding]) -> Collection[Sha256]:
        """What was taken over as it was, by the records and, beyond those that are kept, by the ledger."""
        came = comings(records.kept)
        try:
            came |= {known.pkgid: known.came for known in Ledger(self._store, self._pause).all().values() if known.came}
        except Corrupt as error:
            findings.append(fault("ledger", FOLDER, str(error)))
        # Records of before there were origins say it by their actor.
        return {pkgid for pkgid, one in came.items() if one.actor == "adopt" or one.origin.how == "adoption"}

    def _bytes(self, path: StorePath) -> bytes | None:
        with contextlib.suppress(NotFound):
            return self._store.read(path).data
        return None


def _as_wanted(found: bytes | None, wanted: bytes, *, exact: bool) -> bool:
    """Equal, or but for the alternates of a metalink: one is of the parent, which may be pruned since."""
    if found is None or exact:
        return found == wanted
    return _ALTERNATES.sub(b"", found) == _ALTERNATES.sub(b"", wanted)


def _hold(
    held: dict[StorePath, Held],
    packages: Collection[Package],
    generation: Generation,
    adopted: Collection[Sha256],
    findings: list[Finding],
    *,
    past: bool,
) -> None:
    for package in packages:
        other = held.setdefault(
            package.href,
            Held(
                package=package,
                generation=generation.number,
                adopted=package.pkgid in adopted,
                past=past,
            ),
        )
        if other.package.pkgid != package.pkgid:
            text = f"generations {other.generation} and {generation.number} list other bytes under this path"
            findings.append(fault("record", package.href, text))
