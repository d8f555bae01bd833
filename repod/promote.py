"""Builds of one repository are added to another: never built or uploaded again, never taken from the first.

The plan is made first and tells every reason against it, of all builds at once; nothing is written
before there is none. Then each file is proven and linked or copied, and all become one generation, on
the very one that was planned on: where another writer was faster, it is planned again. What was
copied and never published is found there when the same is promoted again.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from repod.acceptance import Rules, judge
from repod.beside import Threads, threads
from repod.builds import Built, StoredBuilds
from repod.carrying import Papers
from repod.documents import in_words
from repod.doors import Change, Clock, Edit, Repodata, Store
from repod.errors import Conflict, Corrupt, NotFound, Refused, Unavailable
from repod.generation import Document, Generation
from repod.headers import Headers
from repod.history import History
from repod.ledger import Ledger
from repod.package import UNKNOWN, Entry, Facts, Nevra, Origin, Package, Sha256
from repod.promotion import Candidate, Chosen, Gates, Move, Target, choose, decide, refused_source, siblings
from repod.publish import Publisher
from repod.relating import Relations

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_ATTEMPTS = 10
_PARALLEL = 8

Plain = Callable[[Document, str], bytes]
"""The plain text of a stored document of the generation whose frozen view lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be promoted.

    ``names`` as ``choose`` takes them. ``advisories``: ids, with the builds that they speak of. ``generation``
    of the source, None for the current one; without names and advisories, all that it lists.
    ``siblings``: also what was built from the same source packages.
    """

    names: Sequence[str] = ()
    advisories: Sequence[str] = ()
    generation: int | None = None
    siblings: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of a generation is meant."""
        return not self.names and not self.advisories


@dataclass(frozen=True, slots=True, kw_only=True)
class Giver:
    """The repository that builds come from; it is only read. ``headers`` describe as the taker does."""

    name: str
    store: Store
    history: History
    builds: StoredBuilds
    ledger: Ledger
    headers: Headers
    plain: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """The repository that builds come to. ``published`` are the armored certificates that its hosts trust."""

    name: str
    store: Store
    repodata: Repodata
    publisher: Publisher
    headers: Headers
    rules: Rules
    gates: Gates
    published: bytes
    relations: Relations
    plain: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a promotion does.

    ``present`` are builds that the target lists already, ``left`` those of a whole generation whose
    architecture it does not take. ``refusal`` is why nothing at all may come.
    """

    on: Generation | None
    of: Generation
    moves: Sequence[Move]
    present: Sequence[Package]
    left: Sequence[Package]
    edits: Sequence[Edit]
    refusal: str = ""

    @property
    def refusals(self) -> list[str]:
        """Every reason against it, a line each."""
        return [*([self.refusal] if self.refusal else []), *(line for move in self.moves for line in move.refused)]


class Promotion:
    """Promotes from one repository to another."""

    def __init__(
        self,
        *,
        giver: Giver,
        taker: Taker,
        papers: Papers,
        clock: Clock,
        pause: Callable[[int], None],
        threads: Threads = threads,
    ) -> None:
        """``pause`` as in ``Publisher``: between two tries after a lost race."""
        self._giver = giver
        self._taker = taker
        self._papers = papers
        self._clock = clock
        self._pause = pause
        self._threads = threads

    def plan(self, wanted: Wanted) -> Plan:
        """What would be done; nothing is written. ``NotFound`` names all that is not there, a line each."""
        on = self._taker.publisher.refresh()
        of = self._generation(wanted.generation)
        listed = list(self._giver.builds.listed(of))
        documents = {kind: self._giver.plain(document, of.view) for kind, document in of.carried.items()}
        chosen, left = self._chosen(wanted, of, listed, documents)
        there, moves = self._judged(on, chosen, whole=wanted.whole)
        return Plan(
            on=on,
            of=of,
            moves=moves,
            present=there,
            left=left,
            edits=list(self._edits(wanted, on, documents, [build.package.nevra for build in chosen])),
            refusal=refused_source(self._giver.name, self._taker.name, self._taker.gates),
        )

    def run(self, wanted: Wanted, *, actor: str, why: str) -> tuple[Plan, Generation | None]:
        """Publish; the plan that was carried out and the generation that is current then, None where it is refused.

        Raises as ``plan``; ``Conflict`` where other writers were faster too often; ``Refused`` where a file was
        pruned since it was planned.
        """
        for attempt in range(_ATTEMPTS):
            plan = self.plan(wanted)
            if plan.refusals:
                return plan, None
            if plan.on is None:
                self._taker.publisher.open(actor)
                continue
            with contextlib.suppress(Conflict):
                return plan, self._publish(plan, plan.on, actor, why)
            self._pause(attempt)
        msg = f"other writers published {self._taker.name} {_ATTEMPTS} times meanwhile; try again later"
        raise Conflict(msg)

    # ------------------------------------------------------------ what is meant

    def _generation(self, number: int | None) -> Generation:
        current = self._giver.history.current()
        if current is None:
            msg = f"{self._giver.name}: nothing was ever published there; expected builds to promote"
            raise NotFound(msg)
        if number in {None, current.number}:
            return current
        with contextlib.suppress(NotFound):
            if number and number < current.number:
                return self._giver.history.record(number)
        oldest = min(one.number for one in self._giver.history.back())
        msg = f"{self._giver.name}: no generation {number}; it keeps {oldest} to {current.number}"
        raise NotFound(msg)

    def _chosen(
        self, wanted: Wanted, of: Generation, listed: Sequence[Built], documents: Mapping[str, bytes]
    ) -> tuple[Sequence[Built], Sequence[Package]]:
        """The builds that are meant, and those of a whole generation that are left out."""
        arches = self._taker.rules.arches
        if wanted.whole:
            taken = [build for build in listed if build.package.nevra.arch in arches]
            return taken, [build.package for build in listed if build.package.nevra.arch not in arches]
        where = f"generation {of.number} of {self._giver.name}"
        named = choose(listed, wanted.names, arches, where)
        advised = self._advised(wanted.advisories, listed, documents, where)
        missing = [*named.missing, *advised.missing]
        if missing:
            raise NotFound("\n".join(missing))
        builds = {build.package.nevra: build for build in (*named.builds, *advised.builds)}
        chosen = sorted(builds.values(), key=lambda build: build.package.nevra.order)
        return siblings(listed, chosen, arches) if wanted.siblings else chosen, ()

    def _advised(
        self, ids: Sequence[str], listed: Sequence[Built], documents: Mapping[str, bytes], where: str
    ) -> Chosen:
        """The listed builds that advisories speak of, for hosts of the target."""
        if not ids:
            return Chosen(builds=(), missing=())
        advisories = self._papers.advisories(documents)
        there = f"it has: {', '.join(sorted(advisories))}" if advisories else "it has none"
        missing = [f"advisory {key}: not in {where}; {there}" for key in ids if key not in advisories]
        builds: list[Built] = []
        for key in (key for key in dict.fromkeys(ids) if key in advisories):
            of_it = [build for build in listed if build.package.nevra in advisories[key]]
            builds += [build for build in of_it if build.package.nevra.arch in self._taker.rules.arches]
            if not of_it:
                names = ", ".join(sorted(map(str, advisories[key]))) or "no package"
                missing.append(f"advisory {key}: none of its builds is in {where}; it speaks of: {names}")
        return Chosen(builds=builds, missing=missing)

    def _edits(
        self, wanted: Wanted, on: Generation | None, documents: Mapping[str, bytes], chosen: Collection[Nevra]
    ) -> Iterator[Edit]:
        if wanted.whole:
            yield from self._papers.whole(documents)
            return
        there = on.carried.get(self._papers.modules) if on else None
        present = self._taker.plain(there, on.view) if on and there else None
        streams = self._papers.with_modules(documents, chosen, present)
        if streams:
            yield streams
        if wanted.advisories:
            yield self._papers.with_advisories(documents, wanted.advisories)

    # ------------------------------------------------------------ whether it may come

    def _judged(
        self, on: Generation | None, chosen: Sequence[Built], *, whole: bool
    ) -> tuple[Sequence[Package], Sequence[Move]]:
        """The builds that are there already, and the verdicts on the others."""
        listed = self._listed({build.package.nevra.name for build in chosen})
        packages = [build.package for build in chosen]
        there = {p.nevra for p in packages if p.nevra in listed and self._same(p, listed[p.nevra])}
        coming = [package for package in packages if package.nevra not in there]
        since = self._since(coming) if self._taker.gates.min_age else {}
        labels = self._labels(coming) if self._taker.gates.label else {}
        unmet = self._unmet(on, coming) if self._taker.gates.dependencies else {}
        candidates = [
            Candidate(
                package=package,
                since=since.get(package.nevra, 0.0),
                labels=labels.get(package.pkgid, ()),
                faults=faults,
                unmet=unmet.get(package.nevra, ()),
            )
            for package, faults in zip(coming, self._each(self._faults, coming), strict=True)
        ]
        target = Target(name=self._taker.name, listed=listed, gates=self._taker.gates, now=self._clock())
        beside = [package.nevra for package in packages] if whole else ()
        moves = decide(candidates, self._giver.name, target, whole=beside)
        return [package for package in packages if package.nevra in there], moves

    def _listed(self, names: Collection[str]) -> dict[Nevra, Package]:
        """What the target lists of these names."""
        return {p.nevra: p for name in names for p in self._taker.repodata.packages(name)}

    def _same(self, package: Package, listed: Package) -> bool:
        """Whether what is listed is this build, by its bytes or signed at another time."""
        if package.pkgid == listed.pkgid:
            return True
        with contextlib.suppress(NotFound, Corrupt):
            theirs, ours = (
                headers.facts(one, self._taker.published)
                for headers, one in ((self._giver.headers, package), (self._taker.headers, listed))
            )
            return theirs.build == ours.build and bool(ours.signers)
        return False

    def _faults(self, package: Package) -> Sequence[str]:
        """What keeps a build out whatever the gates say."""
        try:
            facts = self._giver.headers.facts(package, self._taker.published)
        except NotFound:
            return [self._gone(package)]
        except Corrupt as error:
            return [f"in {self._giver.name}: {error}"]
        # Whoever signed it before it was taken in was asked then: since then there is one signature, ours.
        rules = replace(self._taker.rules, signed_by=())
        faults = [f"{self._taker.name} does not take it: {fault.text}" for fault in judge(facts, rules)]
        return [*faults, *self._signature(facts)]

    def _gone(self, package: Package) -> str:
        return (
            f"{package.href} is gone from the store of {self._giver.name}, where it was pruned; "
            f"see what is there: repod packages {self._giver.name} {package.nevra.name}"
        )

    def _signature(self, facts: Facts) -> Iterator[str]:
        if facts.signers:
            return
        keys = ", ".join(dict.fromkeys(one.key for one in facts.signatures))
        found = f"signed by {keys} only" if keys else "not signed"
        yield (
            f"{found}, expected a signature by a key that hosts of {self._taker.name} trust; "
            f"sign it anew: repod resign {self._giver.name}"
        )

    def _since(self, packages: Iterable[Package]) -> dict[Nevra, float]:
        """When the source listed each build the last time it came; where that record is pruned, what is known."""
        left = {package.nevra: package for package in packages}
        since: dict[Nevra, float] = {}
        oldest = 0.0
        for generation in self._giver.history.back():
            oldest = generation.time
            origins = generation.origins or [UNKNOWN] * len(generation.added)
            for package, origin in zip(generation.added, origins, strict=True):
                # Signed anew, it is the build that it was.
                if package.nevra in left and origin.how != "resigning":
                    since[package.nevra] = generation.time
                    del left[package.nevra]
            if not left:
                return since
        known = self._giver.ledger.all()
        for nevra, package in left.items():
            came = known[package.pkgid].came if package.pkgid in known else None
            since[nevra] = min(oldest, came.time) if came else oldest
        return since

    def _labels(self, packages: Iterable[Package]) -> dict[Sha256, Collection[str]]:
        known = self._giver.ledger.all()
        return {p.pkgid: known[p.pkgid].labels for p in packages if p.pkgid in known}

    def _unmet(self, on: Generation | None, packages: Sequence[Package]) -> Mapping[Nevra, Sequence[str]]:
        """Of those whose header can be read: the others are refused for that."""
        entries = [entry for entry in self._each(self._entry, packages) if entry]
        return self._taker.relations.unmet(on, entries)

    def _entry(self, package: Package) -> Entry | None:
        with contextlib.suppress(NotFound, Corrupt):
            return self._giver.headers.entry(package, package.nevra.location)
        return None

    def _each(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """The results in the order of ``items``, some worked on at a time."""
        with self._threads(_PARALLEL, "promote") as beside:
            yield from beside.map(work, items)

    # ------------------------------------------------------------ carrying it out

    def _publish(self, plan: Plan, on: Generation, actor: str, why: str) -> Generation:
        if not plan.moves and not plan.edits:
            return on
        bring = partial(self._bring, f"{self._giver.name}@{plan.of.number}")
        entries = list(self._each(bring, [move.package for move in plan.moves]))
        text = f"{in_words(plan.edits, entries)} promoted from {self._giver.name}" + (f": {why}" if why else "")
        return self._taker.publisher.publish(
            Change(entries=entries, edits=plan.edits),
            actor=actor,
            why=text,
            replace=self._taker.gates.replace,
            on=on.number,
        )

    def _bring(self, source: str, package: Package) -> Entry:
        """The build's file in the target's store, proven, and its entry."""
        try:
            self._prove(package)
            entry = self._placed(package)
        except NotFound as error:
            raise Refused(f"{package.nevra}: {self._gone(package)}") from error
        return replace(entry, origin=Origin(how="promotion", of=source, checksum=package.pkgid))

    def _prove(self, package: Package) -> None:
        """A link does not read what it links."""
        digest = hashlib.sha256()
        for piece in self._giver.store.stream(package.href):
            digest.update(piece)
        if digest.hexdigest() != package.pkgid:
            msg = (
                f"{package.nevra}: {package.href} was altered in the store of {self._giver.name}: expected sha256 "
                f"{package.pkgid}, found {digest.hexdigest()}; restore it from a copy (repod verify REPO)"
            )
            raise Corrupt(msg)

    def _placed(self, package: Package) -> Entry:
        """Where its usual path is taken by other bytes, on a path of its own."""
        apart = self._giver.headers.facts(package, b"").apart
        for path in (package.nevra.location, apart):
            with contextlib.suppress(Conflict):
                self._taker.store.copy(package.href, path, package.pkgid, of=self._giver.store)
                return self._giver.headers.entry(package, path)
        there = f"{apart} in the store of {self._taker.name}"
        msg = f"{there} is taken by other bytes of the same build; remove it by hand"
        raise Unavailable(msg)
