"""Which builds of a repository are to leave its metadata: the decision, with all that it goes by gathered.

Pins, dates, hosts and other repositories are looked at only where the rules alone would let something
go. What cannot be read then stops the whole: a failed look never means that nobody needs a build.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from repod.builds import Built, HostReports, StoredBuilds
from repod.generation import Generation
from repod.ledger import Book, Ledger, Mark, comings
from repod.needed import Needs, by_hosts, by_repositories, by_rings, joined
from repod.package import Nevra, Sha256
from repod.relating import Relations
from repod.retention import Build, Decision, Policy, decide
from repod.rings import Ring

OpenRelations = Callable[[], AbstractContextManager[Relations]]
"""Opens what packages require of each other, for as long as it is needed."""

Elsewhere = Mapping[str, Callable[[], Collection[Nevra]]]
"""What other repositories list now, by their names; each may raise what says why that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiring:
    """The decision, and what a person should know about how it came about."""

    decision: Decision
    notes: Sequence[str] = ()


class Retirement:
    """Decides for one repository."""

    def __init__(
        self,
        *,
        policy: Policy,
        builds: StoredBuilds,
        ledger: Ledger,
        relations: OpenRelations,
        reports: HostReports | None = None,
        max_age: float = 0,
        elsewhere: Elsewhere | None = None,
        rings: Callable[[], Mapping[str, Ring]] = dict,
    ) -> None:
        """``max_age``: seconds after which a host's report does not count any more; ``rings`` reads those there are."""
        self._policy = policy
        self._builds = builds
        self._ledger = ledger
        self._reports = reports
        self._max_age = max_age
        self._elsewhere = elsewhere or {}
        self._relations = relations
        self._rings = rings

    def decide(
        self,
        generation: Generation,
        listed: Sequence[Built],
        kept: Callable[[], Sequence[Generation]],
        now: float,
        *,
        whole: bool = False,
    ) -> Retiring:
        """What is to go of ``listed``, all that ``generation`` lists; ``kept`` reads the generations there are.

        Where nothing goes there may be no verdicts; ``whole``: each build has its own.
        """
        names = Counter(one.package.nevra.name for one in listed)
        if max(names.values(), default=0) <= self._policy.keep and not whole:
            return Retiring(decision=Decision())
        streams = self._builds.streams(generation)
        builds = [
            Build(
                package=one.package,
                source_rpm=one.source_rpm,
                built=one.time,
                streams=streams.get(one.package.nevra, frozenset()),
            )
            for one in listed
        ]
        by_rules = decide(builds, replace(self._policy, keep_days=0), now).going
        if not by_rules and not whole:
            return Retiring(decision=Decision())
        known = self._ledger.all()
        if self._policy.keep_days:
            since = _since(known, kept())
            builds = [replace(build, since=since(build.package.pkgid)) for build in builds]
        everything = [one.nevra for one in builds]
        needs, notes = self._needs(everything if whole else [one.build.nevra for one in by_rules], now)
        needs = joined(needs, by_rings(everything, self._rings()))
        pins = {pkgid: _pinned(one.pin) for pkgid, one in known.items() if one.pin}
        with self._relations() as relations:
            broken = partial(relations.broken, generation)
            decision = decide(builds, self._policy, now, pins=pins, needs=needs, broken=broken)
        return Retiring(decision=decision, notes=notes)

    def _needs(self, builds: Sequence[Nevra], now: float) -> tuple[Needs, Sequence[str]]:
        listed = {name: listing() for name, listing in self._elsewhere.items()}
        needs = by_repositories(builds, listed)
        if self._reports is None:
            return needs, ()
        running = by_hosts(builds, self._reports.read(), now=now, max_age=self._max_age)
        return joined(needs, running.needs), running.notes


def _pinned(pin: Mark) -> str:
    return f"pinned by {pin.actor}" + (f": {pin.why}" if pin.why else "")


def _since(known: Book, kept: Sequence[Generation]) -> Callable[[Sha256], float]:
    """When each build was listed first; what no record knows any more was there before the oldest of them."""
    came = comings(kept)
    oldest = min((generation.time for generation in kept), default=0)

    def since(pkgid: Sha256) -> float:
        book = known.get(pkgid)
        coming = (book.came if book else None) or came.get(pkgid)
        return coming.time if coming else oldest

    return since
