"""Actors that take turns: one runs at a time, and a seed says who goes on at each of their calls of the world.

Each actor is a greenlet, and another one goes on at ``point`` alone: thousands of changes of turn cost nothing, on a
busy machine too. Time is a number that goes on with each point, and a sleep is a time at which an actor may go on. So
equal seeds give equal histories.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from greenlet import getcurrent, greenlet

from tests.lab.fakes import Clock


class Strategy(Protocol):
    """Who goes on."""

    def pick(self, ready: Sequence["Actor"], now: "Actor | None", step: int) -> "Actor":
        """One of ``ready``; ``now`` has just reached a point, None: it ended or it sleeps."""


class Walk:
    """Anybody, at each step with the same chance; whoever runs goes on with the chance ``stay`` first."""

    def __init__(self, draw: random.Random, stay: float) -> None:
        self._draw = draw
        self._stay = stay

    def pick(self, ready: Sequence["Actor"], now: "Actor | None", step: int) -> "Actor":
        del step
        if now in ready and self._draw.random() < self._stay:
            assert now is not None
            return now
        return self._draw.choice(ready)


class Priorities:
    """The actor of the highest priority; at a few random steps whoever runs falls behind all others.

    So a fault that needs few changes of turn, each at one place, is found with a known chance (Burckhardt and
    others, "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010).
    """

    def __init__(self, draw: random.Random, changes: int, steps: int) -> None:
        self._draw = draw
        self._changes = sorted(draw.randrange(steps) for _ in range(changes))
        self._ranks: dict[str, float] = {}

    def pick(self, ready: Sequence["Actor"], now: "Actor | None", step: int) -> "Actor":
        for actor in ready:
            self._ranks.setdefault(actor.name, self._draw.random())
        while self._changes and step >= self._changes[0]:
            self._changes.pop(0)
            if now is not None:
                self._ranks[now.name] = min(self._ranks.values()) - 1
        return max(ready, key=lambda actor: self._ranks[actor.name])


@dataclass(slots=True, eq=False, kw_only=True)
class Actor:
    """Somebody at work, who goes on at the time ``wakes`` at the earliest."""

    name: str
    work: greenlet
    wakes: float = 0.0


class Scheduler:
    """Runs actors in turn. ``step`` counts the points, and is the time by which a history is ordered."""

    def __init__(self, draw: random.Random, strategy: Strategy, clock: Clock) -> None:
        self.step = 0
        self.clock = clock
        self.trace: list[str] = []
        self._draw = draw
        self._strategy = strategy
        self._now: Actor | None = None
        self._hub = getcurrent()

    def run(self, works: Mapping[str, Callable[[], None]]) -> None:
        """Let all work to their ends; raises what one of them raised."""
        self._hub = getcurrent()
        left = [Actor(name=name, work=greenlet(work)) for name, work in works.items()]
        try:
            while left:
                self._now = self._next(left)
                self._now.work.switch()
                if self._now.work.dead:
                    left.remove(self._now)
        finally:
            self._now = None
            for actor in left:
                actor.work.throw()  # it ends here: somebody else failed

    def _next(self, left: Sequence[Actor]) -> Actor:
        if all(actor.wakes > self.clock.now for actor in left):
            self.clock.now = min(actor.wakes for actor in left)
        ready = [actor for actor in left if actor.wakes <= self.clock.now]
        return self._strategy.pick(ready, self._now if self._now in ready else None, self.step)

    def point(self, what: str) -> None:
        """The actor that runs is about to do ``what``: anybody may go on now."""
        me = self._now
        self.step += 1
        self.clock.now += self._draw.choice((0.001, 0.01, 0.1, 0.5))
        if me is None:  # nobody else is there
            return
        self._hub.switch()
        self.trace.append(f"{me.name}: {what}")

    def sleep(self, seconds: float) -> None:
        """Let the actor that runs go on after so many seconds, of no real time."""
        if self._now is None:
            self.clock.now += seconds
            return
        self._now.wakes = self.clock.now + seconds
        self.point(f"slept {seconds:.3f} s")


def strategy(draw: random.Random, steps: int) -> Strategy:
    """One for a schedule of about ``steps`` steps: of three kinds, each finds what the others do not."""
    kind = draw.randrange(4)
    if kind == 0:
        return Walk(draw, 0.0)
    if kind == 1:
        return Walk(draw, draw.choice((0.7, 0.9, 0.97)))
    return Priorities(draw, draw.randint(1, 6), steps)
