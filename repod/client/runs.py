"""A run over hosts: its plan, fixed at the start, and what is known of each host as it goes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from repod.client.fleet import Aim, Host, Installed, Outcome, Trouble
from repod.client.rolling import Rollout as Strategy
from repod.client.waves import Wave
from repod.reports import BUILD, HostProgress, HostState, Rollout, State
from repod.reports import Strategy as Reported

Phase = Literal["", "updating", "checking", "taking back"]
End = Literal["succeeded", "failed", "stopped", "interrupted"]

_BUILDS = 100
"""Builds that a report names at the most."""

_BUILD = re.compile(BUILD)
_STATES: Mapping[End, State] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "stopped": "stopped",
    "interrupted": "stopped",
}

_KEPT = 4000
"""Characters of a host's output that a journal keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run does, fixed at its start, so that a resumed one does the same.

    ``asked`` is what was asked for (``NAME`` or ``NAME-EVR``), ``repository`` its name at the daemon; ``aim`` has its
    id on hosts. ``actor``: who started it. ``started``: seconds since 1970. ``groups``: the groups that it locks.
    ``origin``: the group that each host is of, where there are rings.
    """

    id: str
    group: str
    repository: str
    asked: str
    aim: Aim
    strategy: Strategy
    hosts: Sequence[Host]
    waves: Sequence[Wave]
    actor: str
    started: float
    groups: Sequence[str] = ()
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One host, as far as it is known. ``trouble`` is a ``fleet.Trouble`` or empty.

    ``before``: what it ran when this run first looked, or None where that was not seen yet; it stays through a
    resume. ``began`` is seconds since 1970; ``seconds`` how long it took, None until it ended.
    """

    host: str
    wave: int
    state: HostState = "pending"
    phase: Phase = ""
    before: Sequence[Installed] | None = None
    after: Sequence[Installed] = ()
    trouble: Trouble | None = None
    text: str = ""
    output: str = ""
    began: float | None = None
    seconds: float | None = None
    restart: Sequence[str] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more is done with it."""
        return self.state not in {"pending", "updating"}

    @property
    def failing(self) -> bool:
        """Whether it counts as failed.

        One that failed and was taken back does; one that was taken back with the others after a stop does not.
        """
        return self.state == "failed" or (self.state == "downgraded" and self.trouble is not None)

    @property
    def changed(self) -> bool:
        """Whether it runs something else than before, as far as is known."""
        return self.before is not None and bool(self.after) and nevras(self.before) != nevras(self.after)

    def told(self, outcome: Outcome) -> "Progress":
        """With what came of an attempt; what it ran before stays what was first seen."""
        return replace(
            self,
            before=outcome.before if self.before is None else self.before,
            after=outcome.after or self.after,
            trouble=outcome.trouble if outcome.proven or outcome.trouble else Trouble.FAILED,
            text=outcome.text,
            output=outcome.output[-_KEPT:],
            restart=outcome.restart or self.restart,
        )


def nevras(installed: Sequence[Installed]) -> Sequence[tuple[str, str]]:
    """What identifies each: to compare."""
    return sorted((str(one.nevra), one.header_sha256) for one in installed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run as it stands; while it goes on, ``hosts`` go along.

    ``part`` is 1, and one more for each resume after an end. ``notes``: said once each. ``checked``: the waves whose
    check succeeded. ``doing``: what it does beside hosts now, such as a pause; it is not kept.
    """

    plan: Plan
    hosts: Mapping[str, Progress]
    end: End | None = None
    ended: float | None = None
    problem: str = ""
    notes: Sequence[str] = ()
    part: int = 1
    checked: Sequence[int] = ()
    doing: str = ""

    @property
    def id(self) -> str:
        """The id that reports have: that of the run, with a suffix where it was resumed after an end."""
        return self.plan.id if self.part == 1 else f"{self.plan.id}-r{self.part}"

    @property
    def rows(self) -> Sequence[Progress]:
        """The hosts in the order of the plan, whichever ended first."""
        return [self.hosts[name] for wave in self.plan.waves for name in wave.hosts]

    @property
    def failed(self) -> Sequence[str]:
        """The hosts that count as failed."""
        return [row.host for row in self.rows if row.failing]

    @property
    def proven(self) -> bool:
        """Whether every host is."""
        return all(row.state == "proven" for row in self.rows)


def begun(plan: Plan) -> Standing:
    """A run of which nothing is done yet."""
    waiting = {name: Progress(host=name, wave=wave.number) for wave in plan.waves for name in wave.hosts}
    return Standing(plan=plan, hosts=waiting)


def run_id(now: float, group: str, token: str) -> str:
    """``20261126T081500Z-web-prod-3f2a``: when, which group, and a random word."""
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{group[:60]}-{token}"


def document(standing: Standing) -> Rollout:
    """The run as reports have it. Hosts that were still waiting when it ended are ``untouched``."""
    plan, strategy = standing.plan, standing.plan.strategy
    state: State = "running" if standing.end is None else _STATES[standing.end]
    return Rollout(
        id=standing.id,
        package=plan.asked,
        builds=[str(build.nevra) for build in plan.aim.builds][:_BUILDS],
        group=plan.group,
        action=plan.aim.action,
        strategy=Reported(
            canary=strategy.canary,
            wave=strategy.wave,
            max_failures=strategy.max_failures,
            on_failure=strategy.on_failure,
        ),
        state=state,
        actor=plan.actor,
        started=datetime.fromtimestamp(plan.started, UTC),
        # A clock may have been set back meanwhile.
        ended=None if standing.ended is None else datetime.fromtimestamp(max(standing.ended, plan.started), UTC),
        problem=_line("; ".join(filter(None, [standing.problem, *standing.notes]))),
        hosts=[_row(one, ended=standing.end is not None) for one in standing.rows],
    )


def _row(one: Progress, *, ended: bool) -> HostProgress:
    before, after = moved(one)
    return HostProgress(
        host=one.host,
        wave=one.wave,
        state="untouched" if ended and one.state == "pending" else one.state,
        **{"from": _build(before), "to": _build(after)},
        header_sha256=after.header_sha256 if after else "",
        seconds=one.seconds,
        trouble=one.trouble or "",
        problem=_line(said(one)),
    )


def moved(one: Progress) -> tuple[Installed | None, Installed | None]:
    """From what to what a host went: of several packages the first that differs."""
    before, after = list(one.before or ()), list(one.after)
    names = dict.fromkeys(each.nevra.name for each in [*after, *before])
    pairs = [(_of(name, before), _of(name, after)) for name in names]
    changed = (pair for pair in pairs if nevras(pair[0]) != nevras(pair[1]))
    old, new = next(changed, pairs[0] if pairs else ([], []))
    return (old[-1] if old else None), (new[-1] if new else None)


def _of(name: str, installed: Sequence[Installed]) -> Sequence[Installed]:
    return [each for each in installed if each.nevra.name == name]


def said(one: Progress) -> str:
    """What there is to say of a host beside its state."""
    again = f"restart needed: {', '.join(one.restart)}" if one.restart else ""
    return "; ".join(filter(None, [one.text, again]))


def _build(one: Installed | None) -> str:
    """As reports have it: what is no NEVRA there, such as that of a key, is left out."""
    text = "" if one is None else str(one.nevra)
    return text if _BUILD.fullmatch(text) else ""


def _line(text: str) -> str:
    """One line that reports take."""
    return "".join(char if char.isprintable() else " " for char in text)[:1000]
