"""Actors that take turns: one runs at a time, and a seed says who goes on at each of their calls of the world.

Each actor has a thread, and one baton goes from one to the next, at ``point`` alone. Time is a number that goes
on with each point, and a sleep is a time at which an actor may go on. So equal seeds give equal histories.
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.lab.fakes import Clock

_SECONDS = 60.0  # of real time, in which a schedule ends: nothing in it waits for anything real


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


@dataclass(slots=True, eq=False)
class Actor:
    """Somebody at work."""

    name: str
    work: Callable[[], None]
    wakes: float = 0.0
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ended: bool = False


class Aborted(BaseException):
    """Somebody else failed: the schedule is over."""


class Scheduler:
    """Runs actors in turn. ``step`` counts the points, and is the time by which a history is ordered."""

    def __init__(self, draw: random.Random, strategy: Strategy, clock: Clock) -> None:
        self.step = 0
        self.clock = clock
        self.trace: list[str] = []
        self._draw = draw
        self._strategy = strategy
        self._actors: list[Actor] = []
        self._now: Actor | None = None
        self._over = threading.Semaphore(0)
        self._failure: BaseException | None = None

    def run(self, works: dict[str, Callable[[], None]]) -> None:
        """Let all work to their ends; raises what one of them raised."""
        self._actors = [Actor(name=name, work=work) for name, work in works.items()]
        threads = [threading.Thread(target=self._live, args=(one,), name=one.name, daemon=True) for one in self._actors]
        for thread in threads:
            thread.start()
        self._hand_on(None)
        assert self._over.acquire(timeout=_SECONDS), f"the schedule stands still: {self.trace[-5:]}"
        for thread in threads:
            thread.join(_SECONDS)
        self._now = None
        if self._failure:
            raise self._failure

    def point(self, what: str) -> None:
        """The actor that runs is about to do ``what``: anybody may go on now."""
        me = self._now
        self.step += 1
        self.clock.now += self._draw.choice((0.001, 0.01, 0.1, 0.5))
        if me is None:  # nobody else is there
            return
        self._hand_on(me)
        self.trace.append(f"{me.name}: {what}")

    def sleep(self, seconds: float) -> None:
        """Let the actor that runs go on after so many seconds, of no real time."""
        if self._now is None:
            self.clock.now += seconds
            return
        self._now.wakes = self.clock.now + seconds
        self.point(f"slept {seconds:.3f} s")

    def _hand_on(self, me: Actor | None) -> None:
        left = [actor for actor in self._actors if not actor.ended]
        if not left:
            self._over.release()
            return
        ready = [actor for actor in left if actor.wakes <= self.clock.now]
        if not ready:
            self.clock.now = min(actor.wakes for actor in left)
            ready = [actor for actor in left if actor.wakes <= self.clock.now]
        self._now = ready[0] if self._failure else self._strategy.pick(ready, me if me in ready else None, self.step)
        if self._now is not me:
            self._now.gate.release()
            if me is not None and not me.ended:
                me.gate.acquire()
        if self._failure and me is not None and not me.ended:
            raise Aborted

    def _live(self, me: Actor) -> None:
        me.gate.acquire()
        try:
            if not self._failure:
                me.work()
        except Aborted:
            pass
        except BaseException as error:  # noqa: BLE001 - told where the schedule was begun
            self._failure = self._failure or error
        me.ended = True
        self._hand_on(me)


def strategy(draw: random.Random, steps: int) -> Strategy:
    """One for a schedule of about ``steps`` steps: of three kinds, each finds what the others do not."""
    kind = draw.randrange(4)
    if kind == 0:
        return Walk(draw, 0.0)
    if kind == 1:
        return Walk(draw, draw.choice((0.7, 0.9, 0.97)))
    return Priorities(draw, draw.randint(1, 6), steps)
