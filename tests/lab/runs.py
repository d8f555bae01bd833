"""Runs over hosts that are no more than what they run: twins of the doors of ``repod.client.rundoors``."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repod.client.fleet import Aim, Host, HostFault, Installed, Outcome, Trouble, Wanted
from repod.client.rolling import Rollout
from repod.client.rollout import Run
from repod.client.rundoors import Brake, Time
from repod.client.runs import Plan, Standing, begun
from repod.client.waves import Ring, Wave, planned
from repod.errors import Unfit
from repod.package import Nevra

START = 1_795_680_900.0
OLD, NEW = ("hello-1.0-1.noarch", "1" * 64), ("hello-2.0-1.noarch", "2" * 64)


def installed(build: tuple[str, str]) -> Installed:
    return Installed(nevra=Nevra.parse(build[0]), header_sha256=build[1])


def aim(**how: Any) -> Aim:
    wanted = Wanted(nevra=Nevra.parse(NEW[0]), header_sha256=NEW[1])
    return Aim(**{"action": "update", "repository": "prod", "builds": [wanted], "generation": 12} | how)


def plan(names: Sequence[str], *, rings: Sequence[Ring] = (), **strategy: Any) -> Plan:
    rollout = Rollout.model_validate({"canary": 0, "wave": "100%", "max_failures": "0"} | strategy)
    return Plan(
        id="20261126T081500Z-web-3f2a",
        group="web",
        repository="prod",
        asked="hello",
        aim=aim(),
        strategy=rollout,
        hosts=[Host(name=name, address=name) for name in names],
        waves=planned(
            rings or [Ring(name="", hosts=names)],
            canary=rollout.canary,
            wave=rollout.wave,
            pause=rollout.pause,
            soak=rollout.soak,
        ),
        actor="anna",
        started=START,
        groups=["web"],
    )


@dataclass(slots=True, kw_only=True)
class Fleet:
    """Hosts that run ``OLD`` until they are brought to ``NEW``; the doors to them, and what was asked of each.

    ``faults``: what goes wrong when one is brought; ``sick``: those whose check fails once they run ``NEW``;
    ``stuck``: those that cannot be taken back; ``holds``: called while one is brought.
    """

    runs: dict[str, tuple[str, str]]
    faults: Mapping[str, Trouble] = field(default_factory=dict)
    sick: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    bad_waves: set[int] = field(default_factory=set)
    holds: Callable[[str], object] = lambda _: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, names: Sequence[str], **how: Any) -> "Fleet":
        return cls(runs=dict.fromkeys(names, OLD), **how)

    def _ask(self, what: str, host: Host) -> None:
        with self.lock:
            self.asked.append((what, host.name))

    def of_kind(self, what: str) -> list[str]:
        return [host for kind, host in self.asked if kind == what]

    def bring(
        self,
        host: Host,
        _run: str,
        _before: Sequence[Installed] | None,
        note: Callable[[Sequence[Installed]], object],
    ) -> Outcome:
        self._ask("bring", host)
        before = [installed(self.runs[host.name])]
        if trouble := self.faults.get(host.name):
            return Outcome(proven=False, trouble=trouble, text=f"{host.name} is {trouble}")
        note(before)
        self.holds(host.name)
        self.runs[host.name] = NEW
        return Outcome(proven=True, before=before, after=[installed(NEW)])

    def look(self, host: Host) -> Outcome:
        self._ask("look", host)
        now = self.runs[host.name]
        trouble = None if now == NEW else Trouble.NOT_PROVEN
        return Outcome(proven=now == NEW, before=[installed(now)], after=[installed(now)], trouble=trouble)

    def restore(self, host: Host, _run: str, before: Sequence[Installed]) -> Outcome:
        self._ask("restore", host)
        if host.name in self.stuck:
            return Outcome(proven=False, trouble=Trouble.LOCKED, text="the lock is held by process 7")
        (one,) = before
        self.runs[host.name] = (str(one.nevra), one.header_sha256)
        return Outcome(proven=True, before=[installed(NEW)], after=before)

    def host(self, host: Host) -> None:
        self._ask("check", host)
        if host.name in self.sick and self.runs[host.name] == NEW:
            raise HostFault(Trouble.UNHEALTHY, f"{host.name} answers 500, expected 200")

    def wave(self, wave: Wave, _run: str, go_on: Callable[[], object]) -> None:
        go_on()
        with self.lock:
            self.asked.append(("wave", str(wave.number)))
        if wave.number in self.bad_waves:
            raise Unfit("errors are 0.2, expected < 0.01")


@dataclass(slots=True)
class Pages:
    """A journal in memory, and a watcher: every standing that it was told."""

    kept: list[tuple[Standing, str]] = field(default_factory=list)
    heard: list[tuple[Standing, str]] = field(default_factory=list)

    def note(self, standing: Standing, host: str = "") -> None:
        self.kept.append((standing, host))

    def changed(self, standing: Standing, host: str = "") -> None:
        self.heard.append((standing, host))


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = START
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds

    def time(self) -> Time:
        return Time(now=lambda: self.now, sleep=self.sleep)


def carried_out(what: Plan | Standing, fleet: Fleet, **how: Any) -> Standing:
    """How a run over ``fleet`` stands in the end; ``how`` as ``Run`` has it."""
    standing = begun(what) if isinstance(what, Plan) else what
    doors = {"journal": Pages(), "watchers": [], "time": Clock().time(), "brake": Brake()} | how
    return Run(standing, hands=fleet, health=fleet, **doors).carry_out()


def states(standing: Standing) -> dict[str, str]:
    return {row.host: row.state for row in standing.rows}
