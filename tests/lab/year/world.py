"""A year of three repositories: CI builds, people promote, roll back, pin and remove, hosts run, processes die."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repod.errors import RepodError
from repod.ledger import Mark
from repod.package import Nevra, Origin, Package
from repod.repodata.carried import read
from repod.store.memory import MemoryStore
from tests.lab import advisories
from tests.lab.fakes import Clock
from tests.lab.faulty import Crash
from tests.lab.year.ci import Application, Build
from tests.lab.year.daemon import Daemon, Needs, draw_trouble
from tests.lab.year.hosts import fleet
from tests.lab.year.promise import Facts, promised
from tests.lab.year.readers import Reader
from tests.lab.year.repository import Intent, Repository

DAY = 86400.0
_BEGAN = 1_767_225_600.0  # 2026-01-01


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much happens. ``gap``: seconds between two builds on average; ``look``: steps between two full looks."""

    builds: int
    applications: int
    gap: float
    grace: float
    generations: int
    look: int
    prune_every: float = DAY / 2
    keep: int = 5
    report_age: float = 30 * DAY
    trouble: float = 0.03


class World:
    """Everything; ``step`` is one build of CI and what else happens around it."""

    def __init__(self, folder: Path, seed: int, size: Size) -> None:
        self.size = size
        self.clock = Clock(now=_BEGAN)
        self.draw = random.Random(seed)
        self.applications = [Application(number, random.Random(seed + number)) for number in range(size.applications)]
        self.facts: dict[str, Facts] = {}
        self.troubles = 0
        self.steps = 0
        self._folder = folder
        self._caches = 0
        self._prune_at = self.clock.now
        self.repositories = {name: self._repository(name) for name in ("dev", "staging", "prod")}
        self.fleet = fleet(self.clock, [one.name for one in self.applications], size.report_age)
        self.daemons: dict[str, Daemon] = {}
        for repository in self.repositories.values():
            self._start(repository)
        self.readers = [
            Reader(repository, frozen=number % 2 == 0)
            for repository in self.repositories.values()
            for number in range(8)
        ]

    def close(self) -> None:
        """End all processes."""
        for daemon in self.daemons.values():
            daemon.close()

    def _repository(self, name: str) -> Repository:
        size = self.size
        store = MemoryStore(self.clock)
        return Repository(name, store, self.clock, keep=size.keep, generations=size.generations, grace=size.grace)

    # ------------------------------------------------------------ a step

    def step(self) -> None:
        """Time goes on; CI builds something; and now and then something else happens."""
        self.steps += 1
        self.clock.now += self.draw.expovariate(1 / self.size.gap)
        self._build()
        for act, chance in self._acts():
            if self.draw.random() < chance:
                act()
        self._read()
        if self.clock.now >= self._prune_at:
            self._prune_at = self.clock.now + self.size.prune_every
            for repository in self.repositories.values():
                self._prune(repository)
        if self.steps % self.size.look == 0:
            for repository in self.repositories.values():
                repository.look()
                repository.remember(self.draw)

    def _acts(self) -> Sequence[tuple[Callable[[], None], float]]:
        """What else may happen, and how often per build."""
        return (
            (lambda: self._promote("dev", "staging"), 0.2),
            (lambda: self._promote("staging", "prod"), 0.1),
            (self._roll_back, 0.006),
            (self._pin, 0.02),
            (self._unpin, 0.015),
            (self._label, 0.02),
            (self._remove, 0.005),
            (self._advise, 0.02),
            (self._lose_a_cache, 0.003),
            (self._prune_soon, 0.1),
            (lambda: self.fleet.live(self.draw, self.repositories["prod"].content), 0.3),
        )

    def _do(self, repository: Repository, intent: Intent, act: Callable[[Daemon], object]) -> bool:
        """Let the repository's process do something, sometimes in trouble; whether it said that it is done."""
        daemon = self.daemons[repository.name]
        repository.intent = intent
        daemon.store.steps.clear()  # of a year they would fill the memory
        troubled = self.draw.random() < self.size.trouble
        if troubled:
            calls, fatal = draw_trouble(self.draw)
            daemon.trouble.arm(calls, fatal=fatal)
        try:
            act(daemon)
        except (Crash, RepodError):
            if not troubled:
                raise
            self.troubles += 1
            self._start(repository)
            return False
        finally:
            self.daemons[repository.name].trouble.disarm()
            repository.intent = Intent()
        return True

    def _start(self, repository: Repository, *, lost: bool = False) -> None:
        """A new process takes over: it sees the store, and the cache unless that is lost; sometimes it dies too."""
        before = self.daemons.get(repository.name)
        if before:
            before.close()
        if before is None or lost or self.draw.random() < 0.1:
            self._caches += 1
            cache = self._folder / f"{repository.name}-{self._caches}"
        else:
            cache = before.cache
        daemon = self.daemons[repository.name] = Daemon(repository, cache, self._needs(repository))
        if before and self.draw.random() < self.size.trouble:
            calls, fatal = draw_trouble(self.draw)
            daemon.trouble.arm(calls, fatal=fatal)
        try:
            daemon.open()
        except (Crash, RepodError):
            self.troubles += 1
            self._start(repository)
        else:
            daemon.trouble.disarm()

    def end(self) -> None:
        """A last prune, undisturbed, once all that was thrown away is older than grace; and a look at everything."""
        for seconds in (self.size.grace + DAY, 1.0):
            self.clock.now += seconds
            for repository in self.repositories.values():
                oldest = repository.oldest
                repository.intent = Intent(removed=self.unpromised(repository))
                self.daemons[repository.name].prune()
                repository.pruned(oldest, self.unpromised(repository))
        for repository in self.repositories.values():
            repository.look()
            repository.remember(self.draw)
            repository.look_back(repository.kept())

    def told(self) -> str:
        """How far it is, in a line for each repository."""
        days = (self.clock.now - _BEGAN) / DAY
        head = f"{self.steps} builds in {days:.1f} days, {self.troubles} crashes and failures"
        return "\n  ".join([head, *(repository.told() for repository in self.repositories.values())])

    # ------------------------------------------------------------ what happens

    def _build(self) -> None:
        build = self.draw.choice(self.applications).build()
        for one in build.packages:
            self.facts[one.package.pkgid] = Facts(source=build.source, requires=build.requires[one.nevra])
        intent = Intent(added=[one.package.pkgid for one in build.packages])
        dev = self.repositories["dev"]
        # The file waits in the inbox until its generation is live; sometimes somebody takes it back.
        while not self._do(dev, intent, lambda daemon: _arrive(daemon, build)) and self.draw.random() < 0.7:
            self.clock.now += 1

    def _promote(self, source: str, target: str) -> None:
        """All packages of one source RPM, mostly a new one; gates may be shut."""
        there = list(self.repositories[source].content.values())
        if not there:
            return
        newest = sorted(there, key=lambda package: -self.repositories[source].came[package.pkgid].generation)[:20]
        chosen = self.facts[self.draw.choice(newest if self.draw.random() < 0.8 else there).pkgid].source
        packages = [package for package in there if self.facts[package.pkgid].source == chosen]
        intent = Intent(added=[package.pkgid for package in packages])
        giver, force = self.daemons[source], self.draw.random() < 0.3
        nevras = [package.nevra for package in packages]
        self._do(self.repositories[target], intent, lambda daemon: daemon.promote(giver, nevras, force=force))

    def _roll_back(self) -> None:
        repository = self.repositories[self.draw.choice(("staging", "prod"))]
        number = self.draw.choice(repository.kept())
        wanted = repository.at(number)
        intent = Intent(
            added=[package.pkgid for package in wanted.values()],
            removed=[nevra for nevra in repository.content if nevra not in wanted],
        )
        if self._do(repository, intent, lambda daemon: daemon.roll_back(number)):
            assert repository.content == wanted, f"{repository.name}: rolled back to {number}"

    def _pin(self) -> None:
        repository, package = self._any()
        mark = Mark(time=self.clock(), actor="anna", why="audit")
        if package:
            self._do(repository, Intent(), lambda daemon: daemon.ledger.pin(package, mark))
            self._see_marks(repository, package)

    def _unpin(self) -> None:
        repository, _ = self._any()
        pinned = [one for one in repository.content.values() if one.pkgid in repository.pins]
        if pinned:
            package = self.draw.choice(pinned)
            self._do(repository, Intent(), lambda daemon: daemon.ledger.unpin(package))
            self._see_marks(repository, package)

    def _see_marks(self, repository: Repository, package: Package) -> None:
        """Whatever became of the process: what the ledger says now is what holds from now on."""
        known = self.daemons[repository.name].ledger.of(package)
        repository.marked(package.pkgid, pinned=known.pin is not None, labels=known.labels.keys())

    def _label(self) -> None:
        repository, package = self._any()
        mark = Mark(time=self.clock(), actor="anna", why="it passed")
        if package:
            self._do(repository, Intent(), lambda daemon: daemon.ledger.label(package, "tested", mark))
            self._see_marks(repository, package)

    def _remove(self) -> None:
        repository, package = self._any()
        if package:
            gone = [package.nevra]
            self._do(repository, Intent(removed=gone), lambda daemon: daemon.add([], "anna", "it is bad", gone))

    def _advise(self) -> None:
        repository, package = self._any()
        if package:
            text = advisories.updates(advisories.update(f"LAB-{self.draw.randint(1, 40)}", str(package.nevra)))
            edit = read("updateinfo.xml", text)
            self._do(repository, Intent(), lambda daemon: daemon.edit(edit))

    def _lose_a_cache(self) -> None:
        self._start(self._any()[0], lost=True)

    def _any(self) -> tuple[Repository, Package | None]:
        """Any repository, and any build that it lists."""
        repository = self.draw.choice(list(self.repositories.values()))
        listed = list(repository.content.values())
        return repository, self.draw.choice(listed) if listed else None

    # ------------------------------------------------------------ reading and pruning

    def _read(self) -> None:
        for reader in self.readers:
            reader.live(self.draw.random())

    def _prune(self, repository: Repository) -> None:
        """The promise is looked up before, and what is left after."""
        oldest, going = repository.oldest, self.unpromised(repository)
        if self._do(repository, Intent(removed=going), Daemon.prune):
            repository.pruned(oldest, self.unpromised(repository))

    def _prune_soon(self) -> None:
        """As the daemon does after a publish: it may leave for later what a prune on the timer finds."""
        repository = self._any()[0]
        self._do(repository, Intent(removed=self.unpromised(repository)), Daemon.prune)

    def unpromised(self, repository: Repository) -> Collection[Nevra]:
        """What the repository lists though nobody was promised that it stays."""
        listed = {nevra: self.facts[package.pkgid] for nevra, package in repository.content.items()}
        return listed.keys() - promised(listed, repository.keep, self._needed(repository))

    def _needs(self, repository: Repository) -> Needs:
        """The same for the process."""
        if repository.name == "prod":
            return Needs(reports=self.fleet, max_age=self.fleet.max_age)
        if repository.name == "staging":
            return Needs(elsewhere={"prod": self.repositories["prod"].content.keys})
        return Needs()

    def _needed(self, repository: Repository) -> set[Nevra]:
        """What people, hosts and the next repository need."""
        needed = {nevra for nevra, package in repository.content.items() if package.pkgid in repository.pins}
        if repository.name == "prod":
            return needed | self.fleet.running()
        return needed | (self.repositories["prod"].content.keys() if repository.name == "staging" else set())


def _arrive(daemon: Daemon, build: Build) -> None:
    """What intake and publish do of the packages of a build."""
    for one in build.packages:
        daemon.store.add(one.package.href, [one.file], one.package.pkgid)
    came = [replace(one.entry, origin=Origin(how="arrival", of=one.nevra.filename)) for one in build.packages]
    daemon.add(came, "inbox", build.source)
