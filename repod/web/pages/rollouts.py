"""The pages of rollouts: all that were reported, and one with its hosts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from repod.errors import NotFound, RepodError
from repod.reports import HostProgress, Summary
from repod.web import veil
from repod.web.pages.front import Asked

_SHOWN = 20
_HOSTS = 1000
_ORDER = ("failed", "updating", "downgraded", "pending", "untouched", "proven")


def rollouts(asked: Asked) -> Mapping[str, Any]:
    """The newest of all repositories."""
    rows: list[tuple[str, Summary]] = []
    problems = []
    for state in asked.states():
        try:
            found = asked.office.reports.rollouts(state.repository, limit=_SHOWN)
        except RepodError as error:
            problems.append(f"{state.repository}: {error}")
            continue
        named = asked.visitor.names_hosts(state.repository)
        rows += [(state.repository, one if named else veil.summary(one)) for one in found]
    rows.sort(key=lambda row: row[1].started, reverse=True)
    return {"rows": rows[:_SHOWN], "problems": problems}


def rollout(asked: Asked, repository: str, name: str) -> Mapping[str, Any]:
    """One rollout, its hosts wave by wave."""
    state = asked.state(repository)
    reported = asked.office.reports.rollout(repository, name)
    named = asked.visitor.names_hosts(repository)
    if not named:
        reported = veil.reported(reported)
    one = reported.rollout
    return {
        "state": state,
        "reported": reported,
        "rollout": one,
        "named": named,
        "counts": [(kind, one.counts[kind]) for kind in _ORDER if one.counts.get(kind)],
        "waves": list(_waves(one.hosts)),
        "limit": _HOSTS,
    }


def place_of(asked: Asked, name: str) -> str:
    """The repository that has a rollout of that id; ``NotFound`` where none has."""
    for state in asked.states():
        try:
            asked.office.reports.rollout(state.repository, name)
        except RepodError:
            continue
        return state.repository
    msg = f"there is no rollout {name!r} here"
    raise NotFound(msg)


def _waves(hosts: Sequence[HostProgress]) -> Iterator[tuple[int, Mapping[str, int], Sequence[HostProgress]]]:
    """Each wave with how many of its hosts are in which state, and the hosts: those that need a look first."""
    ordered = sorted(hosts, key=lambda host: (host.wave, _ORDER.index(host.state), host.host))
    for wave, group in groupby(ordered, key=lambda host: host.wave):
        of_wave = list(group)
        yield wave, Counter(host.state for host in of_wave), of_wave
