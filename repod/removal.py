"""Which stored objects may go: pure, each with its reason, in the order in which they are to be removed.

Nothing goes that a kept generation names or lists; kept are the newest ones and those that were current
within grace, so that a client with an index of that time finds everything it names.
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from repod.doors import Stored
from repod.generation import Generation, record_number
from repod.package import Package, Sha256, StorePath, is_rpm
from repod.wording import counted

_DOCUMENT = re.compile(r"(?:generations/[0-9]+/)?repodata/[0-9a-f]{64}-.+")
_VIEW = re.compile(r"generations/([0-9]+)/.+")
# Where repod itself puts a package: its usual place, and that apart from it.
_OWN_PACKAGE = re.compile(r"Packages/[^/]/(?:[0-9a-f]{16}/)?[^/]+\.rpm")
_OUTBOX = re.compile(r"\.repod/outbox/([^/]+)/.+")
_FROZEN = "generations/"
_OTHERS = ("repodata/", _FROZEN, ".repod/")

UNDER_WAY = 3600.0
"""Seconds that an intake or a publish may take until a record names what it stored."""

Listing = Callable[[Generation], Iterable[Package]]
"""What a generation lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """How long things are kept: ``generations`` newest at the least, and ``grace`` seconds.

    ``aside`` says of prefixes how many seconds what lies there stays. ``hooks`` are the names of those that there
    are; what waits for others goes after ``unheard`` seconds.
    """

    generations: int
    grace: float
    aside: Mapping[str, float]
    hooks: Collection[str] = ()
    unheard: float = 30 * 86400.0

    def orphaned(self, now: float) -> float:
        """What was stored before this time, and no record names, belongs to nothing that is under way."""
        return now - max(self.grace, UNDER_WAY)

    @property
    def beyond(self) -> str:
        """Why an old generation goes."""
        return f"beyond the newest {counted(self.generations, 'generation')}, and older than grace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One object to be removed, as it was listed, and why.

    ``package`` is set where it is a package that records know.
    """

    stored: Stored
    why: str
    package: Package | None = None

    @property
    def path(self) -> StorePath:
        """Where it lies."""
        return self.stored.path

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.stored.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """What may go, in the order of removal: indexes, documents, packages, things laid aside, and records last.

    ``folding``: the generations whose records go, with those of their packages that are listed still;
    ``forgotten``: packages that only they know of.
    """

    views: Sequence[Removal] = ()
    packages: Sequence[Removal] = ()
    records: Sequence[Removal] = ()
    folding: Sequence[Generation] = ()
    forgotten: Sequence[Package] = ()

    @property
    def removals(self) -> Sequence[Removal]:
        """All of them."""
        return [*self.views, *self.packages, *self.records]


def records(listed: Iterable[Stored]) -> dict[int, Stored]:
    """The records that are stored, by number."""
    return {number: stored for stored in listed if (number := record_number(stored.path)) is not None}


def packages(listed: Iterable[Stored]) -> list[Stored]:
    """The package files."""
    return [stored for stored in listed if is_rpm(stored.path) and not stored.path.startswith(_OTHERS)]


def may_be_due(listed: Collection[Stored], shown: Collection[StorePath], term: Term, now: float) -> bool:
    """False where nothing can go, whatever the records say; one that added 10,000 packages takes 0.1 s to read.

    ``shown`` are the places of what the current generation lists.
    """
    known, orphaned = records(listed), term.orphaned(now)
    young = len(known) <= term.generations or all(one.modified >= now - term.grace for one in known.values())
    return not young or any(
        stored.modified < orphaned and stored.path not in shown
        for stored in listed
        if is_rpm(stored.path) or stored.path.startswith(_OTHERS)
    )


def expired(generations: Sequence[Generation], keep: int, grace: float, now: float, shown: float) -> list[Generation]:
    """Those that may go: beyond the newest ``keep``, and not seen by clients within the last ``grace`` seconds.

    ``generations`` stand newest first; since ``shown`` clients see the first. When a record was made says nothing
    of that: its writer may have been stopped, for days, before clients could see it. But whoever begins a
    generation has seen to it that they see its parent, and its record says when. They go from the oldest on: one that
    stays keeps all newer ones, since records hang together.
    """
    ends = zip(generations[1:], [shown, *map(_shown, generations)], strict=False)  # when clients stopped seeing each
    seen = [count for count, (_, end) in enumerate(ends, start=2) if end >= now - grace]
    return list(generations[max([1, keep, *seen]) :])


def _shown(generation: Generation) -> float:
    """When clients were seen to see the parent."""
    return generation.shown or generation.time + 1


def next_expiry(listed: Iterable[Stored], term: Term) -> float:
    """No generation expires before this time, unless one is published meanwhile."""
    known = records(listed).values()
    if len(known) <= term.generations:
        return float("inf")
    return min(stored.modified for stored in known) + term.grace


def clearance(
    generations: Sequence[Generation],
    listed: Sequence[Stored],
    listing: Listing,
    *,
    ahead: Sequence[Generation],
    term: Term,
    since: float,
    shown: float,
    now: float,
) -> Clearance:
    """What may go.

    ``generations`` stand newest first, the current one before all; ``ahead`` are those that have a record
    and are not current yet: whoever publishes next makes them so. ``shown`` as in ``expired``. ``listed`` are
    all objects of the store, listed before the records were read. ``listing`` is asked of the current generation,
    and of others where the records do not tell what they listed. ``since`` is when the repository became
    repod's: a package that lay there before, and that nothing lists, was left out by whoever let repod
    take it over, and stays.
    """
    going = expired(generations, term.generations, term.grace, now, shown)
    numbers = {generation.number for generation in going}
    kept = [generation for generation in generations if generation.number not in numbers]
    files = packages(listed)
    places = _places(kept, listing) if files else {}
    places |= {package.href: package.pkgid for one in ahead for package in one.added}
    bytes_listed = set(places.values())
    return Clearance(
        views=[
            *_indexes(listed, [*ahead, *generations], numbers, term, now),
            *_documents(listed, generations, [*ahead, *kept], term, now),
        ],
        packages=[
            *_packages(files, generations, places, term, now, since=since),
            *_aside(listed, term, now),
            *_unheard(listed, term, now),
        ],
        records=[
            Removal(stored=stored, why=f"record of a generation {term.beyond}")
            for number, stored in sorted(records(listed).items())
            if number in numbers
        ],
        folding=[_still_listed(generation, places) for generation in going],
        forgotten=[
            package for generation in going for package in generation.removed if package.pkgid not in bytes_listed
        ],
    )


def _places(kept: Sequence[Generation], listing: Listing) -> dict[StorePath, Sha256]:
    """Where the packages lie that any of ``kept`` lists, and their bytes."""
    found = {package.href: package.pkgid for package in listing(kept[0])}
    for newer, older in itertools.pairwise(kept):
        # An older one listed what the newer one lists or took out, unless the chain was begun anew between them.
        of_older = newer.removed if newer.parent == older.number else listing(older)
        found.update((package.href, package.pkgid) for package in of_older)
    return found


def _indexes(
    listed: Iterable[Stored], generations: Iterable[Generation], going: Collection[int], term: Term, now: float
) -> Iterator[Removal]:
    known = {generation.number for generation in generations}
    for stored in listed:
        match = _VIEW.fullmatch(stored.path)
        if match is None or _DOCUMENT.fullmatch(stored.path):
            continue
        if int(match[1]) in going or (int(match[1]) not in known and stored.modified < term.orphaned(now)):
            yield Removal(stored=stored, why=f"index of a frozen view {term.beyond}")


def _documents(
    listed: Iterable[Stored], generations: Sequence[Generation], kept: Iterable[Generation], term: Term, now: float
) -> Iterator[Removal]:
    staying = {path for generation in kept for path in generation.stored}
    # Until when each was named: the newest generation that did so was current until the next one.
    named = {path: newer.time for newer, older in reversed([*itertools.pairwise(generations)]) for path in older.stored}
    # One that no record names may belong to a publish that is under way, or to the repository
    # that was adopted in its place: hosts may hold that one's index as long as any other.
    began = min((generation.time for generation in generations), default=now)
    for stored in listed:
        if not _DOCUMENT.fullmatch(stored.path) or stored.path in staying:
            continue
        orphan = max(stored.modified, began) < term.orphaned(now)
        # A frozen view's are never stored again, though a shared file may make them look so; one of the
        # live view that was, since it was named last, may be what a publish under way is about to name.
        frozen = stored.path.startswith(_FROZEN)
        if stored.path in named and (frozen or orphan or stored.modified < named[stored.path] + 1):
            yield Removal(stored=stored, why="a document that no kept generation names")
        elif orphan:
            yield Removal(stored=stored, why="a document that no generation names, left by a publish that was stopped")


def _packages(
    files: Iterable[Stored],
    generations: Sequence[Generation],
    shown: Collection[StorePath],
    term: Term,
    now: float,
    *,
    since: float,
) -> Iterator[Removal]:
    left = {package.href: (one, package) for one in reversed(generations) for package in one.removed}
    began = min((generation.time for generation in generations), default=now)
    for stored in files:
        if stored.path in shown:
            continue
        orphan = max(stored.modified, began) < term.orphaned(now)
        generation, package = left.get(stored.path, (None, None))
        # One that was touched since it left may be on its way back.
        if generation and (orphan or stored.modified < generation.time + 1):
            why = f"a package that no kept generation lists: it left metadata with generation {generation.number}"
        elif orphan and stored.modified >= since and _OWN_PACKAGE.fullmatch(stored.path):
            why = "a package that no generation lists, left by an intake that was stopped"
        else:
            continue
        yield Removal(stored=stored, why=why, package=package)


def _aside(listed: Iterable[Stored], term: Term, now: float) -> Iterator[Removal]:
    for stored in listed:
        for prefix, seconds in term.aside.items():
            if stored.path.startswith(prefix) and stored.modified < now - seconds:
                why = "laid aside by a repair long ago"
                yield Removal(stored=stored, why=why)


def _unheard(listed: Iterable[Stored], term: Term, now: float) -> Iterator[Removal]:
    for stored in listed:
        match = _OUTBOX.fullmatch(stored.path)
        if match and match[1] not in term.hooks and stored.modified < now - term.unheard:
            yield Removal(stored=stored, why=f"of hook {match[1]}, which is not in the settings")


def _still_listed(generation: Generation, shown: Collection[StorePath]) -> Generation:
    """The generation as if it had added only what is listed still: the rest is forgotten with its bytes."""
    places = [place for place, package in enumerate(generation.added) if package.href in shown]
    return replace(
        generation,
        added=tuple(generation.added[place] for place in places),
        origins=tuple(generation.origins[place] for place in places) if generation.origins else (),
    )
