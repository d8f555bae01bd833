"""A seed becomes a schedule, a history, and a verdict."""

import hashlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from repod.doors import Store
from tests.histories import actors, scheduler
from tests.histories.actors import Deed, Person
from tests.histories.checker import Checker
from tests.histories.history import Violation
from tests.histories.process import GRACE
from tests.histories.readers import Client
from tests.histories.wire import Trouble, Wire
from tests.histories.world import Template, World
from tests.lab import validity

Broken = Callable[[Store], Store]
"""Puts a store that does not keep its promises in the place of one that does."""

_STEPS = 1500  # of a schedule, about: among these lie the changes of turn that are drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who acts: how many of each, at most."""

    daemons: int = 2
    people: int = 3
    hosts: int = 2
    deeds: int = 3


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of one schedule. ``digest`` is of all that happened in it."""

    seed: int
    violations: Sequence[Violation]
    story: Sequence[str]
    digest: str
    counts: Counter[str] = field(default_factory=Counter)


class Schedules:
    """Runs schedules in one folder. ``broken`` as in ``Broken``; ``deed`` is done by a person of its own."""

    def __init__(
        self, folder: Path, cast: Cast | None = None, broken: Broken | None = None, deed: Deed | None = None
    ) -> None:
        self._folder = folder
        self._cast = cast or Cast()
        self._broken = broken
        self._deed = deed
        self._template = Template(folder / "template")

    def run(self, seed: int) -> Result:
        """One schedule."""
        folder = Path(tempfile.mkdtemp(prefix="schedule", dir=self._folder))
        draw = random.Random(seed)
        world = World(folder, draw, scheduler.strategy(draw, _STEPS))
        violations: list[Violation] = []
        try:
            self._template.into(world)
            if self._broken:
                for place in world.places.values():
                    place.truth.door = self._broken(place.truth.inner)
            try:
                world.scheduler.run(self._works(world))
                violations += _ended(world)
            except AssertionError as error:
                violations.append(Violation(repository="prod", rule="it ends whole", text=str(error)))
            return self._judged(seed, world, violations)
        finally:
            world.close()
            shutil.rmtree(folder)

    def _judged(self, seed: int, world: World, violations: Sequence[Violation]) -> Result:
        found = list(violations)
        story: list[str] = []
        for name, place in world.places.items():
            replay = self._template.replays[name].copied()
            first = replay.head
            replay.follow(place.truth.effects)
            found += Checker(replay, world.history, first).check()
            story += [
                f"[{made.claimed:>5} .. {replay.current.get(number, '    ?'):>5}] {name} {number}: {made.actor}, "
                + " ".join([*(f"+{one.nevra}" for one in made.added), *(f"-{one.nevra}" for one in made.removed)])
                for number, made in replay.made.items()
                if number > first
            ]
        operations = world.history.operations
        story += [*map(str, operations), *(str(look) for look in world.history.looks if look.faults)]
        text = "\n".join([*world.scheduler.trace, *map(str, operations), *map(str, world.history.looks)])
        return Result(
            seed=seed,
            violations=found,
            story=sorted(story),
            digest=hashlib.sha256(text.encode()).hexdigest(),
            counts=_counts(world),
        )

    def _works(self, world: World) -> Mapping[str, Callable[[], None]]:
        """What each actor does."""
        draw, cast = world.draw, self._cast
        trouble = _trouble(draw)
        works: dict[str, Callable[[], None]] = {}
        for number in range(draw.randint(1, cast.daemons)):
            one = Person(world, f"daemon{number + 1}", "prod", trouble)
            works[one.name] = partial(one.does, actors.daemon_deeds(draw, draw.randint(1, cast.deeds)))
        for number in range(draw.randint(1, cast.people)):
            one = Person(world, f"person{number + 1}", "prod", trouble)
            works[one.name] = partial(one.does, actors.deeds(draw, draw.randint(1, cast.deeds)))
        if draw.random() < 0.4:
            one = Person(world, "dev", "dev", trouble)
            works[one.name] = partial(one.does, actors.daemon_deeds(draw, 2))
            works["ci of dev"] = partial(actors.ci, world, "dev", [("d-4-1.noarch", "")])
        if self._deed:
            works["broken"] = partial(Person(world, "broken", "prod", Trouble).does, [self._deed])
        files = draw.sample(_FILES, draw.randint(1, 4))
        works["ci"] = partial(actors.ci, world, "prod", files)
        for number in range(draw.randint(1, cast.hosts)):
            works[f"host{number + 1}"] = partial(actors.host, world, f"host{number + 1}", "prod", draw.randint(1, 4))
        return works


_FILES = (
    ("a-4-1.noarch", ""),
    ("a-3-1.noarch", ""),  # it is listed already
    ("b-3-1.noarch", ""),
    ("b-3-1.noarch", "another"),
    ("f-1-1.noarch", ""),
    ("d-2-1.noarch", ""),  # dev gives it too
)


def _trouble(draw: random.Random) -> Callable[[], Trouble]:
    """How bad things are in this schedule; for each process another."""
    fails, unknown = draw.choice(((0.0, 0.0), (0.0, 0.0), (0.01, 0.01), (0.0, 0.05), (0.03, 0.0), (0.02, 0.1)))
    dying = draw.choice((0.0, 0.3, 0.8))
    page = draw.choice((1000, 1000, 7))

    def one() -> Trouble:
        dies = int(draw.expovariate(1 / 80)) + 2 if draw.random() < dying else None
        return Trouble(fails=fails, unknown=unknown, page=page, dies=dies)

    return one


def _ended(world: World) -> Iterator[Violation]:
    """When all is over, a sound daemon begins, and leaves everything whole and nothing undone."""
    for name, place in world.places.items():
        place.truth.arrive(all_of_them=True)
        last = Person(world, "last", name, Trouble)
        for deed in (Person.start, Person.turn, Person.turn, Person.prune):
            world.scheduler.clock.now += 1
            deed(last)
            done = world.history.operations[-1]
            if done.told != "done":
                yield Violation(repository=name, rule="a sound daemon gets on", text=str(done))
        client = Client("last", Wire(place.truth, "last", world.scheduler, world.draw, Trouble()))
        for view in ("live", "mirrorlist", "metalink"):
            look = client.look(view)
            assert look
            world.history.looks.append(look)
        yield from _whole(world, name)
    world.scheduler.clock.now += GRACE


def _whole(world: World, name: str) -> Iterator[Violation]:
    """All views are the pointer's; every arrival is published, or refused with a reason."""
    place = world.places[name]
    store = place.truth.inner
    numbers = [validity.pointer(store), validity.revision(store), *validity.pointed(store)]
    if len(set(numbers)) != 1:
        text = f"pointer, live view, mirrorlist and metalink are {numbers}"
        yield Violation(repository=name, rule="all views come to the pointer", text=text)
    validity.listed(store)
    for one, listed in validity.frozen(store).items():
        if one == numbers[0] and listed != validity.listed(store):
            yield Violation(repository=name, rule="both views list the same", text=f"generation {one}")
    for left in place.inbox.files:
        yield Violation(repository=name, rule="nothing is lost", text=f"{left} is in the inbox still")


def _counts(world: World) -> Counter[str]:
    """What happened, by kinds."""
    counts = Counter[str]()
    for one in world.history.operations:
        counts["operations"] += 1
        counts[f"{one.kind} {one.told}"] += 1
    counts["looks"] = len(world.history.looks)
    counts["crashes"] = world.crashes
    counts["steps"] = world.scheduler.step
    for place in world.places.values():
        counts += place.truth.counts
        counts["changes"] += len(place.truth.effects)
    return counts


@contextmanager
def schedules(
    folder: Path | None = None, cast: Cast | None = None, broken: Broken | None = None, deed: Deed | None = None
) -> Iterator[Schedules]:
    """Schedules in a folder that is gone afterwards; in memory where the system has such a place."""
    memory = Path("/dev/shm")
    where = folder or (memory if memory.is_dir() else None)
    with tempfile.TemporaryDirectory(prefix="histories", dir=where) as inside:
        yield Schedules(Path(inside), cast, broken, deed)
