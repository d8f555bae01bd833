"""One process at work on a repository of the simulated year; it dies, and another one starts."""

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from repod.acceptance import Rules
from repod.builds import HostReports
from repod.config import Repository as Settled
from repod.confinement.bounds import Bounds
from repod.doors import Change, Edit, Store
from repod.errors import NotFound, Unavailable
from repod.generation import Document, Generation
from repod.headers import Headers
from repod.history import History
from repod.ledger import Ledger
from repod.package import Entry, Nevra
from repod.promote import Giver, Promotion, Taker, Wanted
from repod.promotion import Gates
from repod.prune import Planner, Pruner
from repod.publish import Publisher
from repod.related import Related
from repod.relations.pool import RelationWorker
from repod.relations.worker import Asked
from repod.repodata.engine import SegmentedRepodata
from repod.repodata.listing import StoredListings, entries, plain
from repod.repodata.strictreader import StrictDocuments
from repod.repodata.taken import TakenDocuments
from repod.retention import Policy
from repod.retire import Elsewhere, Retirement
from repod.rollback import Rollback
from tests.lab.care import LineRpms
from tests.lab.fakes import MacSigner, armor
from tests.lab.faulty import Crash, FaultyStore, Step
from tests.lab.inline import inline
from tests.lab.pruners import Remembered
from tests.lab.site import URL
from tests.lab.stated import statements
from tests.lab.year.repository import Repository

_CALLS = (8, 30, 200)  # of the store, on average, until something happens: a publish has some sixty, a prune more


class Trouble:
    """The plan by which a process dies at one of its next calls of the store, or one of these fails.

    A dead process does nothing more, in none of its threads.
    """

    def __init__(self, watch: Callable[[Step], None]) -> None:
        self._watch = watch
        self._left = -1
        self._fatal = False
        self._dead = False

    def arm(self, calls: int, *, fatal: bool) -> None:
        """Something happens at the ``calls``-th call from now on."""
        self._left, self._fatal = calls, fatal

    def disarm(self) -> None:
        """Nothing happens any more."""
        self._left = -1

    def __call__(self, step: Step) -> None:
        if self._dead:
            raise Crash
        self._watch(step)
        if self._left < 0:
            return
        self._left -= 1
        if self._left < 0 and self._fatal:
            self._dead = True
            raise Crash
        if self._left < 0 and step.moment == "before":
            raise Unavailable(f"{step}: the disk is full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Who beside people needs builds of a repository: hosts by their reports, and repositories."""

    reports: HostReports | None = None
    max_age: float = 0
    elsewhere: Elsewhere = field(default_factory=dict)


class Inline(RelationWorker):
    """Asks libsolv in this process, where nothing is hostile."""

    def __init__(self) -> None:
        super().__init__(timeout=60, bounds=Bounds())

    def _ask(self, task: Callable[..., Asked], *arguments: object) -> Asked:
        return task(*arguments)


class Daemon:
    """A process with the cache in ``cache``, over its own view of the store."""

    def __init__(self, repository: Repository, cache: Path, needs: Needs) -> None:
        self.repository = repository
        self.cache = cache
        self.trouble = Trouble(repository.plan)
        self.store = FaultyStore(repository.inner, self.trouble)
        self.repodata = SegmentedRepodata(self.store, cache, threads=inline)
        self.signer = MacSigner()
        self.ledger = Ledger(self.store, _pause)
        self.publisher = Publisher(
            store=self.store,
            url=URL,
            repodata=self.repodata,
            signer=self.signer,
            armor=armor,
            clock=repository.clock,
            pause=_pause,
            statements=statements(self.store, self.signer, repository.clock),
            threads=inline,
        )
        workspace = cache.parent / f"{cache.name}-work"
        workspace.mkdir(parents=True, exist_ok=True)
        self.headers = Headers(store=self.store, rpms=LineRpms(), changelogs=10, workspace=workspace)
        self.relations = Related(
            repository=Settled(name=repository.name, inbox="-", store="-"),
            store=self.store,
            worker=Inline(),
            folder=workspace,
            bases=list,
        )
        self.pruner = self._pruner(needs)

    def _pruner(self, needs: Needs) -> Pruner:
        repository, builds = self.repository, StoredListings(self.store)
        retirement = Retirement(
            policy=Policy(keep=repository.keep),
            builds=builds,
            ledger=self.ledger,
            reports=needs.reports,
            max_age=needs.max_age,
            elsewhere=needs.elsewhere,
            relations=lambda: nullcontext(self.relations),
        )
        planner = Planner(
            store=self.store,
            builds=builds,
            retirement=retirement,
            generations=repository.generations,
            grace=repository.grace,
            since=lambda: 0.0,
            memory=Remembered(),
        )
        settle = self.publisher.refresh
        return Pruner(planner=planner, store=self.store, ledger=self.ledger, publish=self._retire, settle=settle)

    def open(self) -> None:
        """As at its start: what a stopped one had begun is finished."""
        self.publisher.open("repod")

    def close(self) -> None:
        """Let go of the cache."""
        self.repodata.close()

    def add(self, came: Iterable[Entry], actor: str, why: str, removed: Iterable[Nevra] = ()) -> None:
        """Publish stored packages, and take others out."""
        self.publisher.publish(Change(entries=list(came), removed=list(removed)), actor=actor, why=why)

    def edit(self, edit: Edit) -> None:
        """Publish an edit of a carried document."""
        self.publisher.publish(Change(edits=[edit]), actor="desk", why=edit.what)

    def promote(self, giver: "Daemon", packages: Iterable[Nevra], *, force: bool) -> bool:
        """Take builds of another repository, as far as its process sees that; False where a gate is shut."""
        name = giver.repository.name
        taker = Taker(
            name=self.repository.name,
            store=self.store,
            repodata=self.repodata,
            publisher=self.publisher,
            headers=self.headers,
            rules=Rules(arches=["x86_64", "noarch", "src"]),
            gates=Gates(sources=[name], dependencies=True, force=force),
            published=self.signer.public_key,
            relations=self.relations,
            plain=partial(_plain, self.store),
        )
        promotion = Promotion(
            giver=Giver(
                name=name,
                store=giver.store,
                history=History(giver.store),
                builds=StoredListings(giver.store),
                ledger=giver.ledger,
                headers=giver.headers,
                plain=partial(_plain, giver.store),
            ),
            taker=taker,
            papers=TakenDocuments(),
            clock=self.repository.clock,
            pause=_pause,
            threads=inline,
        )
        wanted = Wanted(names=[str(nevra) for nevra in packages])
        return promotion.run(wanted, actor="anna", why="it passed")[1] is not None

    def prune(self) -> None:
        """As the loop and ``repod prune`` do."""
        pruned = self.pruner.prune(self.repository.clock())
        if pruned.error:
            raise pruned.error

    def _retire(self, going: Sequence[Nevra], why: str, on: int) -> Generation:
        return self.publisher.publish(Change(removed=going), actor="retention", why=why, on=on)

    def roll_back(self, number: int) -> None:
        """Publish an older generation's content again."""
        Rollback(
            store=self.store,
            documents=StrictDocuments(self.store),
            repodata=self.repodata,
            publisher=self.publisher,
            ledger=self.ledger,
            plain=partial(_plain, self.store),
            entries=partial(entries, self.store),
            describe=self.headers.entry,
            pause=_pause,
            threads=inline,
        ).run(number, actor="anna", why="it broke")


def _plain(store: Store, document: Document, view: str) -> bytes:
    try:
        return plain(store, document)
    except NotFound:
        return plain(store, document, view)


def _pause(_attempt: int) -> None:
    """Nobody else writes, so there is nobody to wait for."""


def draw_trouble(draw: random.Random) -> tuple[int, bool]:
    """After how many calls something happens, and whether the process dies of it."""
    return int(draw.expovariate(1 / draw.choice(_CALLS))), draw.random() < 0.8
