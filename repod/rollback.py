"""What a repository listed at one generation is published again, as a new generation.

The plan is made first and tells every file that is missing; nothing is written before it is sound.
Then each file that comes back is proven, and counts as stored now, so that no prune that is under
way takes it. The change is published on the generation that it was planned on, and on no other.
"""

import contextlib
import itertools
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from repod.beside import Threads, threads
from repod.doors import Change, Find, Repodata, Store
from repod.errors import Conflict, Corrupt, NotFound, Refused
from repod.generation import RETENTION, Document, Generation
from repod.ledger import Ledger, comings
from repod.package import Entry, Nevra, Origin, Package
from repod.placed import StoredDocuments
from repod.publish import Publisher
from repod.records import Records, contents, read_records

_ATTEMPTS = 10
_PARALLEL = 8

Entries = Callable[[Generation, Collection[Package]], Sequence[Entry]]
"""The metadata entries of packages as the documents of a generation have them.

``NotFound`` or ``Corrupt`` where those are not sound.
"""

Plain = Callable[[Document, str], bytes]
"""The plain text of a stored document of the generation whose frozen view lies there; ``NotFound`` where it is lost."""

Describe = Callable[[Package], Entry]
"""The metadata entry of a stored package, from its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """The edit that sets a carried document as a whole, byte for byte; ``data`` None takes it away."""

    type: str
    data: bytes | None = field(repr=False)

    @property
    def what(self) -> str:
        """See ``Edit.what``."""
        return self.type

    @property
    def size(self) -> int:
        """See ``Edit.size``."""
        return len(self.data or b"")

    def apply(self, _present: bytes | None, _find: Find) -> bytes | None:
        """See ``Edit.apply``."""
        return self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What brings ``to`` back on top of ``on``.

    ``before`` and ``after`` are all packages listed then. ``back`` are those to list again, ``gone``
    those to list no more (another build of a NEVRA that comes back is not among them). ``documents``
    are types of carried documents that differ; ``edits`` set all, so that none follows the packages.
    ``pinned`` are those of ``gone`` that a person wanted to be kept: their files are.
    """

    on: Generation
    to: Generation
    before: Sequence[Package]
    after: Sequence[Package]
    back: Sequence[Package]
    gone: Sequence[Package]
    documents: Sequence[str]
    edits: Sequence[Put]
    pinned: Sequence[Nevra]

    @property
    def exchanged(self) -> list[tuple[Package, Package]]:
        """What is listed and what comes back in its place: other bytes of a NEVRA."""
        before = {package.nevra: package for package in self.before}
        return [(before[package.nevra], package) for package in self.back if package.nevra in before]

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.back or self.gone or self.documents)


class Rollback:
    """Rolls one repository back."""

    def __init__(
        self,
        *,
        store: Store,
        documents: StoredDocuments,
        repodata: Repodata,
        publisher: Publisher,
        ledger: Ledger,
        plain: Plain,
        entries: Entries,
        describe: Describe,
        pause: Callable[[int], None],
        threads: Threads = threads,
    ) -> None:
        """``pause`` as in ``Publisher``: between two tries after a lost race."""
        self._store = store
        self._documents = documents
        self._repodata = repodata
        self._publisher = publisher
        self._ledger = ledger
        self._plain = plain
        self._entries = entries
        self._describe = describe
        self._pause = pause
        self._threads = threads

    def plan(self, to: int | None) -> Plan:
        """What would be done; nothing is written.

        ``to``: a generation's number; None: see ``last_other``. ``Refused`` where it is not kept, or
        with every file that is missing, a line each.
        """
        return self._planned(to)[0]

    def run(self, to: int | None, *, actor: str, why: str) -> tuple[Plan, Generation]:
        """Publish; the plan that was carried out, and the generation that is current then.

        Where another writer was faster, it is planned again for the same generation. ``Refused`` as in
        ``plan``, ``Conflict`` where that happened too often.
        """
        for attempt in range(_ATTEMPTS):
            plan, records = self._planned(to)
            if not plan:
                return plan, plan.on
            to = plan.to.number
            with contextlib.suppress(Conflict):
                self._secure(plan)
                self._ledger.follow(self._ledger.same(plan.exchanged))
                change = Change(
                    entries=self._returning(plan, records),
                    removed=[package.nevra for package in plan.gone],
                    edits=plan.edits,
                )
                text = f"rolled back to generation {to}" + (f": {why}" if why else "")
                return plan, self._publisher.publish(change, actor=actor, why=text, replace=True, on=plan.on.number)
            self._pause(attempt)
        msg = f"other writers published {_ATTEMPTS} times meanwhile; try again later"
        raise Conflict(msg)

    def _planned(self, to: int | None) -> tuple[Plan, Records]:
        on = self._publisher.refresh()
        if on is None:
            msg = "nothing was ever published: there is no generation to roll back to"
            raise Refused(msg)
        records, _ = read_records(self._store)
        # What another writer published meanwhile is not what was meant.
        kept = [generation for generation in records.kept if generation.number <= on.number]
        target = last_other(kept) if to is None else _one(records, to)
        before = {package.nevra: package for package in self._repodata.packages()}
        after = contents(records, self._documents, target)
        if after is None:
            msg = f"generation {target.number}: its documents are damaged, so that it is not known what it listed"
            raise Corrupt(f"{msg}; restore them from a copy of the store, or try: repod verify REPO")
        back = [package for nevra, package in after.items() if before.get(nevra) != package]
        edits, lost = self._edits(on, target)
        missing = [*self._missing(back), *lost]
        if missing:
            head = f"generation {target.number} cannot come back, since of its files {len(missing)} are gone or altered"
            raise Refused("\n".join([f"{head}; choose a newer one, see: repod history", *missing]))
        gone = [package for nevra, package in before.items() if nevra not in after]
        pins = {pkgid for pkgid, known in self._ledger.all().items() if known.pin} if gone else set()
        plan = Plan(
            on=on,
            to=target,
            before=list(before.values()),
            after=list(after.values()),
            back=back,
            gone=gone,
            documents=_differing(on, target),
            edits=edits,
            pinned=[package.nevra for package in gone if package.pkgid in pins],
        )
        return plan, records

    def _edits(self, on: Generation, target: Generation) -> tuple[list[Put], list[str]]:
        """What makes the carried documents those of ``target``, and a line for each that is not there."""
        edits, lost = [], []
        for kind in sorted({*target.carried, *on.carried}):
            wanted = target.carried.get(kind)
            try:
                edits.append(Put(type=kind, data=self._plain(wanted, target.view) if wanted else None))
            except NotFound as error:
                lost.append(f"{kind}: {error}")
        return edits, lost

    def _missing(self, packages: Iterable[Package]) -> list[str]:
        """Of these packages, what is not there as it was listed; a line each."""
        folders = sorted({posixpath.dirname(package.href) for package in packages})
        sizes = {s.path: s.size for folder in folders for s in self._store.list(f"{folder}/" if folder else "")}
        lines = []
        for package in sorted(packages, key=lambda package: package.href):
            found = sizes.get(package.href)
            if found is None:
                lines.append(f"{package.href}: {package.nevra} is not there any more")
            elif found != package.size:
                lines.append(f"{package.href}: {package.nevra}: expected {package.size} bytes, found {found}")
        return lines

    def _secure(self, plan: Plan) -> None:
        """Prove what comes back, and let it count as stored now."""

        def secure(package: Package) -> str:
            try:
                self._store.copy(package.href, package.href, package.pkgid)
            except NotFound:
                return f"{package.href}: {package.nevra} is not there any more"
            except (Conflict, Corrupt) as error:
                return f"{package.nevra} is altered: {error}"
            return ""

        with self._threads(_PARALLEL, "rollback") as beside:
            faults = [fault for fault in beside.map(secure, plan.back) if fault]
        if faults:
            raise Refused("\n".join([f"generation {plan.to.number} cannot come back", *faults]))

    def _returning(self, plan: Plan, records: Records) -> list[Entry]:
        """The entries of what comes back, each with how it first came."""
        came = {pkgid: coming.origin for pkgid, coming in comings(records.kept).items()}
        # What the ledger holds is from records older than those that are kept.
        came |= {pkgid: known.came.origin for pkgid, known in self._ledger.all().items() if known.came}
        unknown = Origin(how="rollback", of=str(plan.to.number))
        return [
            replace(entry, origin=_known(came.get(entry.package.pkgid), unknown)) for entry in self._described(plan)
        ]

    def _described(self, plan: Plan) -> Iterator[Entry]:
        """The entries of what comes back: as they were, or from the packages where that is lost."""
        found: dict[Package, Entry] = {}
        if plan.back:
            with contextlib.suppress(NotFound, Corrupt):
                found = {entry.package: entry for entry in self._entries(plan.to, plan.back)}
        yield from found.values()
        with self._threads(_PARALLEL, "rollback") as beside:
            yield from beside.map(self._describe, [package for package in plan.back if package not in found])


def _known(origin: Origin | None, otherwise: Origin) -> Origin:
    return otherwise if origin is None or origin.how == "unknown" else origin


def _one(records: Records, number: int) -> Generation:
    try:
        return records.one(number)
    except NotFound as error:
        raise Refused(str(error)) from error


def last_other(kept: Sequence[Generation]) -> Generation:
    """The generation that one means by rolling back the last change; ``kept`` stand newest first.

    It is the one before the last that retention did not make, and lists something else than the
    current one. ``Refused`` where there is none, and where the current one lists again what an older
    one did: then it may be a rollback itself, and twice the same command must not go back twice.
    """
    now = _content(kept[0])
    others = list(itertools.dropwhile(lambda one: _content(one) == now, kept))
    again = next((one for one in others if _content(one) == now), None)
    if again is not None:
        what = f"generation {kept[0].number}, by {kept[0].actor}, lists again what generation {again.number} did"
        msg = f'{what}: it went back or forth already; say to which one: --to N, over HTTP {{"to": N}}'
        raise Refused(msg)
    made = list(itertools.dropwhile(lambda one: one.actor == RETENTION, kept))[1:]
    found = next((one for one in made if _content(one) != now), None)
    if found is None:
        msg = f"no generation is kept that lists something else than {kept[0].number}, the current one"
        raise Refused(msg)
    return found


def _differing(one: Generation, other: Generation) -> list[str]:
    """Types of the carried documents that are not the same in both."""
    texts = [{kind: document.open_checksum for kind, document in each.carried.items()} for each in (one, other)]
    return sorted(kind for kind in {*texts[0], *texts[1]} if texts[0].get(kind) != texts[1].get(kind))


def _content(generation: Generation) -> Mapping[str, str]:
    """What a generation lists, by the checksums of its plain documents."""
    return {document.type: document.open_checksum for document in generation.documents}
