"""One schedule: two repositories with a past, and actors with a program each; a seed draws everything.

``dev`` gives builds, ``prod`` takes them. Each actor is a process that may die at any of its calls; then a new one
takes its place, with the cache or without it.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from repod.errors import Misconfigured, NotFound, Refused, RepodError, Unfit
from repod.inbox.memory import MemoryInbox
from repod.repodata.reader import DocumentReader
from repod.store.memory import MemoryStore
from tests.histories.history import History, Operation
from tests.histories.process import GENERATIONS, GRACE, SIGNER, Means, Process
from tests.histories.replay import Replay
from tests.histories.scheduler import Scheduler, Strategy, Walk
from tests.histories.wire import Trouble, Truth, Wire, cloned
from tests.lab.desk import directly
from tests.lab.fakes import Clock, MacSigner, rpm

REPOSITORIES = ("prod", "dev")
START = 1_767_225_600.0  # 2026-01-01
DAY = 86400.0


def build(nevra: str, content: str = "") -> bytes:
    """The file of a build as CI made it."""
    name, version, release = nevra.removesuffix(".noarch").rsplit("-", 2)
    return rpm(nevra, f"source={name}-{version}-{release}.src.rpm {content}")


@dataclass(slots=True, kw_only=True)
class Place:
    """One repository: its store, its inbox, and all that was ever put into that."""

    truth: Truth
    inbox: MemoryInbox
    put: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


class World:
    """All places, and what is recorded. ``store`` may put another store, a broken one, in the place of each."""

    def __init__(
        self,
        folder: Path,
        draw: random.Random,
        strategy: Strategy,
    ) -> None:
        self.draw = draw
        self.scheduler = Scheduler(draw, strategy, Clock(now=START))
        self.history = History()
        self.crashes = 0
        self._folder = folder
        self._names = itertools.count(1)
        self._processes: list[Process] = []
        self.places = {name: self._place(name) for name in REPOSITORIES}

    def _place(self, name: str) -> Place:
        clock = self.scheduler.clock
        inner = MemoryStore(clock)
        inbox = MemoryInbox(clock=clock, wanted=DocumentReader(directly).knows)
        return Place(truth=Truth(name, inner, self.scheduler, self.draw), inbox=inbox)

    def process(self, by: str, repository: str, trouble: Trouble, cache: str = "") -> Process:
        """A new process; ``cache`` is one that another had before it."""
        place = self.places[repository]
        wire = Wire(place.truth, by, self.scheduler, self.draw, trouble)
        folder = self._folder / (cache or f"cache{next(self._names)}")
        means = Means(wire=wire, scheduler=self.scheduler, draw=self.draw, cache=folder, inbox=place.inbox)
        one = Process(means)
        self._processes.append(one)
        return one

    def put(self, repository: str, nevra: str, content: str = "") -> None:
        """CI puts a file into the inbox."""
        place = self.places[repository]
        place.put.append(nevra)
        name = f"{nevra}.{content}.rpm" if content else f"{nevra}.rpm"
        place.files[name] = build(nevra, content)
        place.inbox.put(name, place.files[name])

    def ask(self, kind: str, process: Process, words: list[str], act: Callable[[Operation], object]) -> Operation:
        """Let a process do something, and record what it was told; raises ``Crash`` where it died."""
        name = f"{kind}-{next(self._names)}"
        wire = process.wire
        wire.alive(f"asks for {name}")
        operation = Operation(
            name=name, kind=kind, by=wire.by, repository=wire.truth.name, words=words, began=self.scheduler.step
        )
        self.history.operations.append(operation)
        try:
            act(operation)
            operation.told = "done" if operation.told == "nothing" else operation.told
        except (Refused, NotFound, Unfit, Misconfigured) as error:
            operation.told, operation.text = "refused", str(error)
        except RepodError as error:
            operation.told, operation.text = "failed", f"{type(error).__name__}: {error}"
        operation.ended = self.scheduler.step
        return operation

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.close()


class Template:
    """The past that all schedules share: made once, and copied."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, random.Random(0), Walk(random.Random(0), 1.0))
        clock = self.world.scheduler.clock
        for name, past in (("dev", _DEV), ("prod", _PROD)):
            old = self.world.process("past", name, Trouble())
            old.signer = MacSigner("old", others=[SIGNER])
            ours = self.world.process("past", name, Trouble())
            for days, who, *nevras in past:
                clock.now = START - float(days) * DAY
                for nevra in nevras:
                    self.world.put(name, nevra)
                maker = ours if who == "ours" else old
                maker.publisher.open("past")
                maker.turns.turn("past")
        self.replays = {name: self._replay(name) for name in REPOSITORIES}
        self.world.close()

    def _replay(self, name: str) -> Replay:
        replay = Replay(name=name, grace=GRACE, generations=GENERATIONS)
        replay.follow(self.world.places[name].truth.effects)
        assert not replay.violations, replay.violations
        replay.current = dict.fromkeys(replay.current, 0)
        return replay

    def into(self, world: World) -> None:
        """Give a new world this past."""
        clock = world.scheduler.clock
        for name, place in world.places.items():
            theirs = self.world.places[name]
            cloned(theirs.truth.inner, place.truth.inner, lambda time: setattr(clock, "now", time))
        clock.now = START


_PROD = (
    (10, "ours", "a-1-1.noarch", "b-1-1.noarch"),
    (9, "ours", "a-2-1.noarch"),
    (2, "old", "c-1-1.noarch", "b-2-1.noarch"),
    (1, "ours", "a-3-1.noarch"),
    (20 / DAY, "ours", "c-2-1.noarch"),
)
_DEV = (
    (9, "ours", "a-2-1.noarch", "d-1-1.noarch"),
    (3, "ours", "d-2-1.noarch", "e-1-1.noarch"),
    (20 / DAY, "ours", "d-3-1.noarch"),
)
