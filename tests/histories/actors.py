"""What the actors of a schedule do: daemons, people at a command line, CI, and hosts that read."""

import random
from collections.abc import Callable, Sequence

from repod.errors import Refused
from repod.history import History
from repod.ledger import Mark
from repod.package import Nevra
from repod.promote import Wanted
from repod.repodata.listing import packages
from repod.selection import select
from tests.histories.history import Operation
from tests.histories.readers import Client, View
from tests.histories.wire import Trouble, Wire
from tests.histories.world import World
from tests.lab.faulty import Crash

Deed = Callable[["Person"], object]
_VIEWS: Sequence[View] = ("live", "mirrorlist", "metalink")


class Person:
    """An actor with a process of its own; one that died is followed by another."""

    def __init__(self, world: World, name: str, repository: str, trouble: Callable[[], Trouble]) -> None:
        self.world = world
        self.name = name
        self.repository = repository
        self.draw = world.draw
        self._trouble = trouble
        self.process = world.process(name, repository, trouble())

    def does(self, deeds: Sequence[Deed]) -> None:
        """One after the other, with rests; a death ends a deed, not the person."""
        for deed in deeds:
            try:
                self.world.scheduler.sleep(self.draw.choice((0.0, 0.1, 1.0, 5.0)))
                deed(self)
            except Crash:
                self.world.crashes += 1
                self._begin_anew()

    def _begin_anew(self) -> None:
        before = self.process
        before.close()
        cache = before.means.cache.name if self.draw.random() < 0.7 else ""
        self.process = self.world.process(self.name, self.repository, self._trouble(), cache)

    # ------------------------------------------------------------ deeds

    def ask(self, kind: str, words: list[str], act: Callable[[Operation], object]) -> Operation:
        return self.world.ask(kind, self.process, words, act)

    def start(self) -> None:
        """A daemon starts: it finishes what a stopped one had begun."""
        self.ask("start", [], lambda one: self.process.publisher.open(one.name))

    def turn(self) -> None:
        """A turn of a daemon."""

        def act(operation: Operation) -> None:
            report = self.process.turns.turn(operation.name)
            operation.generation = report.generation.number if report.generation else None
            results = {
                name: [one for one in report.outcomes if one.result == name]
                for name in ("accepted", "duplicate", "rejected")
            }
            operation.added = {
                one.entry.package.nevra: one.entry.package.pkgid for one in results["accepted"] if one.entry
            }
            operation.there = {one.nevra: None for one in results["duplicate"] if one.nevra}
            operation.refused = [one.nevra for one in results["rejected"] if one.nevra]
            operation.text = "; ".join(fault.text for one in results["rejected"] for fault in one.faults)

        self.ask("arrive", self.world.places[self.repository].put, act)

    def prune(self) -> None:
        """A prune, by a daemon or by hand."""

        def act(operation: Operation) -> None:
            done = self.process.pruner(operation.name).prune(self.world.scheduler.clock())
            operation.generation = done.generation.number if done.generation else None
            operation.removed = [verdict.build.nevra for verdict in done.retired]
            operation.text = f"{len(done.removed)} objects removed"
            if done.error:
                operation.told, operation.text = "failed", f"{operation.text}, then: {done.error}"

        self.ask("prune", [], act)

    def remove(self, nevra: str) -> None:
        """``repod remove``."""

        def act(operation: Operation) -> None:
            operation.refused = [Nevra.parse(nevra)]
            plan, generation = self.process.removing.run([nevra], actor=operation.name, why="")
            operation.refused = ()
            operation.generation = generation.number
            operation.removed = [package.nevra for package in plan.gone]

        operation = self.ask("remove", [nevra], act)
        if operation.told == "failed":
            operation.refused = ()

    def roll_back(self, to: int | None) -> None:
        """``repod rollback``."""

        def act(operation: Operation) -> None:
            plan, generation = self.process.rollback.run(to, actor=operation.name, why="")
            operation.to, operation.generation = plan.to.number, generation.number
            operation.added = {package.nevra: package.pkgid for package in plan.after}
            operation.removed = [package.nevra for package in plan.gone]

        self.ask("rollback", [] if to is None else [str(to)], act)

    def promote(self, *nevras: str) -> None:
        """``repod promote``, from dev."""
        giver = self.world.process(self.name, "dev", Trouble())

        def act(operation: Operation) -> None:
            wanted = Wanted(names=nevras)
            plan, generation = self.process.promotion(giver).run(wanted, actor=operation.name, why="")
            if generation is None:
                raise Refused("; ".join(plan.refusals))
            operation.generation = generation.number
            operation.added = {move.package.nevra: move.package.pkgid for move in plan.moves}
            operation.there = {package.nevra: None for package in plan.present}

        self.ask("promote", list(nevras), act)

    def resign(self) -> None:
        """``repod resign``."""

        def act(operation: Operation) -> None:
            resigning = self.process.resigning
            done = resigning.carry_out(resigning.plan(), actor=operation.name, why="")
            operation.generation = done.generation.number if done.generation else None
            operation.text = "; ".join(f"{one.package.nevra} left: {one.why}" for one in done.left)

        self.ask("resign", [], act)

    def pin(self, nevra: str) -> None:
        """``repod pin``: of a build that is listed."""

        def act(operation: Operation) -> None:
            generation = History(self.process.wire).current()
            assert generation
            operation.refused = [Nevra.parse(nevra)]
            (one,) = select(list(packages(self.process.wire, generation)), [nevra], self.repository)
            mark = Mark(time=self.world.scheduler.clock(), actor=operation.name, why="")
            self.process.ledger.pin(one, mark)
            operation.refused = ()
            operation.there = {one.nevra: one.pkgid}

        operation = self.ask("pin", [nevra], act)
        if operation.told == "failed":
            operation.refused = ()


def ci(world: World, repository: str, files: Sequence[tuple[str, str]]) -> None:
    """Builds arrive, now and then."""
    for nevra, content in files:
        world.scheduler.sleep(world.draw.choice((0.0, 0.5, 3.0)))
        world.scheduler.point(f"puts {nevra} {content} into the inbox of {repository}")
        world.put(repository, nevra, content)


def host(world: World, name: str, repository: str, looks: int) -> None:
    """A host looks at the repository."""
    wire = Wire(world.places[repository].truth, name, world.scheduler, world.draw, Trouble())
    client = Client(name, wire)
    for _ in range(looks):
        world.scheduler.sleep(world.draw.choice((0.0, 0.5, 3.0, 10.0)))
        look = client.look(world.draw.choice(_VIEWS))
        if look:
            world.history.looks.append(look)


def deeds(draw: random.Random, count: int) -> Sequence[Deed]:
    """What a person at a command line does with prod."""
    there = ("a-1-1.noarch", "a-2-1.noarch", "a-3-1.noarch", "b-1-1.noarch", "b-2-1.noarch", "c-1-1.noarch")
    all_of_them: Sequence[tuple[int, Callable[[], Deed]]] = (
        (3, lambda: _do("roll_back", draw.choice((None, 3, 4, 5, 6)))),
        (
            3,
            lambda: _do(
                "promote",
                *draw.sample(["d-1-1.noarch", "d-2-1.noarch", "e-1-1.noarch", "a-2-1.noarch"], draw.randint(1, 2)),
            ),
        ),
        (3, lambda: _do("remove", draw.choice(there))),
        (3, lambda: _do("prune")),
        (2, lambda: _do("pin", draw.choice(there))),
        (1, lambda: _do("resign")),
    )
    weights = [weight for weight, _ in all_of_them]
    return [make() for _, make in draw.choices(all_of_them, weights, k=count)]


def _do(what: str, *arguments: object) -> Deed:
    return lambda person: getattr(person, what)(*arguments)


def daemon_deeds(draw: random.Random, rounds: int) -> Sequence[Deed]:
    """What a daemon does: it starts, and takes turns; now and then it prunes."""
    return [Person.start, *(draw.choice((Person.turn, Person.turn, Person.prune)) for _ in range(rounds))]
