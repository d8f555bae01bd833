"""What is known of builds, generations and hosts, without what is not for who asks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from repod.builds import Running
from repod.happenings import Event, Kind
from repod.needed import BACK, LISTED, REPORT, RUNS
from repod.office import State
from repod.reports import Reported, Summary

Sees = Callable[[str], bool]
"""Whether a repository is for who asks."""


def veiled(build: Mapping[str, Any], sees: Sees, *, hosts: bool) -> Mapping[str, Any]:
    """A row of ``Looks.builds`` without them, and without names of hosts unless ``hosts``."""
    fate = build["retention"]
    return {
        **build,
        "came": [_step(step, sees) for step in build["came"] if sees(step["repository"])],
        "since": _change(build["since"], sees),
        "went": _change(build["went"], sees),
        "elsewhere": {other: text for other, text in build["elsewhere"].items() if sees(other)},
        "retention": fate and {**fate, "why": reasons(fate["why"], sees, hosts=hosts)},
    }


def plan(rows: Iterable[Mapping[str, Any]], sees: Sees, *, hosts: bool) -> list[Mapping[str, Any]]:
    """Rows of ``Looks.plan`` without them."""
    return [{**row, "why": reasons(row["why"], sees, hosts=hosts)} for row in rows]


def reasons(texts: Iterable[str], sees: Sees, *, hosts: bool) -> list[str]:
    """What retention says, without them."""
    return [_reason(text, sees, hosts=hosts) for text in texts]


def _reason(text: str, sees: Sees, *, hosts: bool) -> str:
    begin = next((begin for begin in (RUNS, BACK) if text.startswith(begin)), "")
    if begin and not hosts:
        return f"{begin}s that report"
    if text.startswith(REPORT) and not hosts:
        return f"{REPORT}s: some are too old, or cannot be read"
    if text.startswith(LISTED) and not sees(text.removeprefix(LISTED).strip()):
        return "listed by another repository"
    return text


def state(one: State, sees: Sees) -> State:
    """A repository now, without them."""
    return one if all(map(sees, one.sources)) else replace(one, sources=(), why="")


def sources(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """The repositories that rows of ``Looks.history`` name."""
    return {_source(step) for row in rows for step in row["from"]} - {""}


def generation(row: Mapping[str, Any], sees: Sees) -> Mapping[str, Any]:
    """A row of ``Looks.history`` without them. What a promotion was for may name them too."""
    if all(map(sees, sources([row]))):
        return row
    return {**row, "from": [_step(step, sees) for step in row["from"]], "why": ""}


def running(found: Running) -> Running:
    """How many hosts run a build, without their names."""
    count = sum(not one.previous for one in found.hosts)
    text = f"{count} host{'s run' if count != 1 else ' runs'} it; which ones is for callers that are known"
    return Running(hosts=(), warnings=[*found.warnings, *([text] if found.hosts else [])])


def reported(one: Reported) -> Reported:
    """A rollout without names of hosts, and without texts that may hold them."""
    hosts = [
        host.model_copy(update={"host": f"host-{number}", "problem": ""})
        for number, host in enumerate(one.rollout.hosts, 1)
    ]
    return one.model_copy(update={"rollout": one.rollout.model_copy(update={"hosts": hosts, "problem": ""})})


def summary(one: Summary) -> Summary:
    """The same without its hosts, and without a text that may name some."""
    return one.model_copy(update={"problem": ""})


def event(one: Event, *, hosts: bool, whole: bool) -> Event:
    """An event without names of hosts unless ``hosts``; ``whole``: every repository is for who listens."""
    if one.kind == Kind.ROLLOUT and not hosts:
        return replace(one, data={**one.data, "failed": [], "problem": ""})
    if one.kind == Kind.PUBLISHED and not whole and any(build["how"] == "promotion" for build in one.data["added"]):
        return replace(one, data={**one.data, "why": ""})
    return one


def _change(one: Mapping[str, Any] | None, sees: Sees) -> Mapping[str, Any] | None:
    if one is None or all(map(sees, one.get("sources", ()))):
        return one
    return {**one, "sources": [], "why": ""}


def _step(step: Mapping[str, Any], sees: Sees) -> Mapping[str, Any]:
    source = _source(step)
    return step if not source or sees(source) else {**step, "of": "another repository", "why": ""}


def _source(step: Mapping[str, Any]) -> str:
    return str(step["of"].rpartition("@")[0]) if step["how"] == "promotion" else ""
