"""Carries out retention: builds leave the metadata, and late, when no client may still ask for them, the store.

The plan says everything with its reason before anything is done, and a dry run shows that very plan.
The order leaves a whole repository at every step, and a stop in between to the next run:

1. builds beyond retention leave the metadata, in a generation like any other;
2. indexes of frozen views go before the documents that they name;
3. package files that no kept generation lists;
4. what the records of old generations say of builds is taken over into the ledger, and the records go
   last, the oldest first, so that until then the next run knows what is left to do.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from repod.builds import Built, StoredBuilds
from repod.doors import Store, Stored
from repod.errors import Conflict, NotFound, RepodError
from repod.generation import HEAD, Generation, Head
from repod.history import History
from repod.idle import Idle, Memory
from repod.ledger import Ledger
from repod.objects import ASIDE, SPARE
from repod.package import Nevra, Package, StorePath
from repod.removal import UNDER_WAY, Clearance, Removal, Term, clearance, may_be_due, next_expiry, packages, records
from repod.retention import Decision, Verdict, summary
from repod.retire import Retirement, Retiring
from repod.views import shown_since
from repod.wording import counted

_LOOK_AGAIN = 3600.0  # seconds after which hosts, pins and files are looked at again though nothing was published
_ASIDE_SECONDS = 30 * 86400.0
# More than these were published since the last look: looking again is as cheap.
_PUBLISHES = 20
_NAMES = 100
_LOOKS = 5

Publish = Callable[[Sequence[Nevra], str, int], Generation]
"""Publishes the generation without some builds: they, why, and the generation that this was planned on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, on which generation (0: nothing is published).

    ``stored``: bytes in the store; None where it was not looked at, since nothing can be to do.
    """

    generation: int
    retire: Sequence[Verdict] = ()
    clearance: Clearance = field(default_factory=Clearance)
    notes: Sequence[str] = ()
    stored: int | None = None

    @property
    def removals(self) -> Sequence[Removal]:
        """The objects that go, in this order."""
        return self.clearance.removals

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.retire or self.removals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was done of a plan.

    ``generation`` is the one without the builds ``retired``, None where there were none. ``left`` says
    what was left to the next run, and why; ``error`` is what stopped the removing, if anything did.
    """

    plan: Plan
    generation: Generation | None
    retired: Sequence[Verdict]
    removed: Sequence[Removal]
    left: Sequence[str]
    error: RepodError | None = None

    @property
    def size(self) -> int:
        """Bytes removed from the store."""
        return sum(removal.size for removal in self.removed)

    @property
    def stored(self) -> int | None:
        """Bytes in the store afterwards; None where it was not looked at."""
        return None if self.plan.stored is None else self.plan.stored - self.size


class Planner:
    """Plans what is pruned of one repository. Nothing is changed by it."""

    def __init__(
        self,
        *,
        store: Store,
        builds: StoredBuilds,
        retirement: Retirement,
        generations: int,
        grace: float,
        since: Callable[[], float],
        crowded: Callable[[str], bool] = lambda _name: True,
        hooks: Collection[str] = (),
        memory: Memory,
    ) -> None:
        """``generations``: how many are kept at the least; ``grace`` in seconds.

        ``since`` tells when the repository became repod's, in seconds since 1970. ``crowded`` says of
        a name whether the current generation lists more builds of it than are kept at the least.
        ``hooks`` are the names of those that are told of the repository.
        """
        self._store = store
        self._since = since
        self._builds = builds
        self._retirement = retirement
        aside = {ASIDE: max(grace, _ASIDE_SECONDS), SPARE: max(grace, UNDER_WAY)}
        self._term = Term(generations=generations, grace=grace, aside=aside, hooks=hooks)
        self._history = History(store)
        self._crowded = crowded
        self._memory = memory

    def plan(self, now: float) -> Plan:
        """What is to be done now; looked at anew where something goes while it is read.

        What cannot be read (a host's report, another repository, a document) stops it with the error.
        """
        idle = self._idle(now)
        if idle:
            return Plan(generation=idle.generation, stored=idle.stored)
        for _ in range(_LOOKS - 1):
            # Another prune of the repository, by hand or by another daemon, removes what was listed a moment ago.
            with suppress(NotFound):
                return self._looked(now)
        return self._looked(now)

    def _looked(self, now: float) -> Plan:
        # In this order: what is stored after this is in no list of what may go.
        listed = list(self._store.list(""))
        current = self._history.current()
        size = sum(stored.size for stored in listed)
        if current is None:
            return Plan(generation=0, stored=size)
        look = _Look(self._history, self._builds, current, listed)
        retiring = self._retiring(look, now)
        going = retiring.decision.going
        cleared = self._cleared(look, now)
        plan = Plan(generation=current.number, retire=going, clearance=cleared, notes=retiring.notes, stored=size)
        until = min(now + _LOOK_AGAIN, next_expiry(listed, self._term))
        room = self._term.generations - len(records(listed))
        found = Idle(generation=current.number, until=until, room=room if room >= 0 else None, stored=size)
        self._memory.save(None if plan else found)
        return plan

    def _idle(self, now: float) -> Idle | None:
        """What is remembered, if it still holds: between two looks only what was published can push a build out."""
        idle = self._memory.load()
        if idle is None or now >= idle.until:
            return None
        after = self._still(idle, self._pointed())
        if after and after != idle:
            self._memory.save(after)
        return after

    def _still(self, idle: Idle, pointed: int) -> Idle | None:
        """``idle`` as it is at generation ``pointed``; None where a look is needed."""
        come = pointed - idle.generation
        if come == 0:
            return idle
        if come < 0 or come > _PUBLISHES or (idle.room is not None and come > idle.room):
            return None
        try:
            published = [self._history.record(number) for number in range(idle.generation + 1, pointed + 1)]
        except NotFound:
            return None
        names = {package.nevra.name for one in published for package in one.added}
        if len(names) > _NAMES or any(map(self._crowded, sorted(names))):
            return None
        return replace(idle, generation=pointed, room=None if idle.room is None else idle.room - come)

    def _pointed(self) -> int:
        try:
            return Head.from_json(self._store.read(HEAD).data).generation
        except NotFound:
            return 0

    def _retiring(self, look: "_Look", now: float) -> Retiring:
        if not look.current.packages:
            return Retiring(decision=Decision())
        return self._retirement.decide(look.current, look.built, lambda: look.generations, now)

    def _cleared(self, look: "_Look", now: float) -> Clearance:
        files = packages(look.listed)
        shown = {package.href for package in look.packages(look.current)} if files else set[StorePath]()
        if not may_be_due(look.listed, shown, self._term, now):
            return Clearance()
        return clearance(
            look.generations,
            look.listed,
            look.packages,
            ahead=look.ahead,
            term=self._term,
            since=self._since(),
            # Where the one before stays anyway, that is not asked.
            shown=now if self._term.generations > 1 else shown_since(self._store, look.current),
            now=now,
        )


class Pruner:
    """Carries out the plans of one repository."""

    def __init__(
        self,
        *,
        planner: Planner,
        store: Store,
        ledger: Ledger,
        publish: Publish,
        settle: Callable[[], Generation | None],
    ) -> None:
        """``publish`` lets builds leave the metadata.

        ``settle`` finishes what a stopped writer began, until clients see what the pointer says; that generation.
        """
        self._planner = planner
        self._store = store
        self._ledger = ledger
        self._publish = publish
        self._settle = settle

    def prune(self, now: float, enough: Callable[[], bool] = lambda: False) -> Pruned:
        """Make a plan and carry it out. Raises where there is no plan, or the metadata cannot be published.

        Where ``enough`` says so, package files are left to the next run.
        """
        plan = self._settled(now)
        generation, left, stopped = None, list[str](), None
        if plan.retire:
            nevras = [verdict.build.nevra for verdict in plan.retire]
            try:
                generation = self._publish(nevras, summary(plan.retire), plan.generation)
            except Conflict as error:
                left.append(f"{counted(len(nevras), 'build')}, in the metadata until the next run: {error}")
        removed = list[Removal]()
        try:
            removed.extend(self._remove(plan, enough, left))
            self._store.sweep()
        except RepodError as error:
            stopped = error
        return Pruned(
            plan=plan,
            generation=generation,
            retired=plan.retire if generation else (),
            removed=removed,
            left=left,
            error=stopped,
        )

    def _settled(self, now: float) -> Plan:
        """A plan on what clients see: those of a writer that was stopped may still read what it left behind."""
        plan = self._planner.plan(now)
        if not plan:
            return plan
        current = self._settle()
        return plan if current and current.number == plan.generation else self._planner.plan(now)

    def _remove(self, plan: Plan, enough: Callable[[], bool], left: list[str]) -> Iterator[Removal]:
        """Remove what was not stored again since the plan was made: a writer may be about to name that."""
        cleared, staying = plan.clearance, set[StorePath]()
        for removal in cleared.views:
            if self._store.remove(removal.path, seen=removal.stored):
                yield removal
        for done, removal in enumerate(cleared.packages):
            if enough():
                left.append(
                    f"{counted(len(cleared.packages) - done, 'file')}: this took long enough, the next run goes on"
                )
                return
            if self._store.remove(removal.path, seen=removal.stored):
                yield removal
            else:
                staying.add(removal.path)
                left.append(f"{removal.path}: it was stored again meanwhile")
        if cleared.packages or cleared.records:
            gone = [removal.package for removal in cleared.packages if removal.package]
            self._ledger.fold(cleared.folding)
            self._ledger.drop(one for one in (*gone, *cleared.forgotten) if one.href not in staying)
        for removal in cleared.records:
            if self._store.remove(removal.path, seen=removal.stored):
                yield removal


class _Look:
    """What the store holds at one moment; what takes time is read when it is asked for, once."""

    def __init__(self, history: History, builds: StoredBuilds, current: Generation, listed: Sequence[Stored]) -> None:
        self._history = history
        self._builds = builds
        self.current = current
        self.listed = listed

    @cached_property
    def built(self) -> Sequence[Built]:
        """What the current generation lists."""
        return list(self._builds.listed(self.current)) if self.current.packages else []

    @cached_property
    def generations(self) -> Sequence[Generation]:
        """The generations up to the current one, newest first."""
        # Not those alone that were listed: more may have become current since, and name what was listed.
        oldest = min(records(self.listed), default=self.current.number)
        found = [self.current]
        for number in reversed(range(oldest, self.current.number)):
            with suppress(NotFound):  # another prune has just taken it, the last of what it named; or it was lost
                found.append(self._history.record(number))
        return found

    @property
    def ahead(self) -> Sequence[Generation]:
        """Those that have a record and are not current yet."""
        return [self._history.record(number) for number in records(self.listed) if number > self.current.number]

    def packages(self, generation: Generation) -> Iterator[Package]:
        """What a generation lists."""
        if generation.number == self.current.number:
            return (one.package for one in self.built)
        return (one.package for one in self._builds.listed(generation))
