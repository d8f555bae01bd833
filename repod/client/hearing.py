"""Events of the daemon: a stream (server-sent events) that is taken up again wherever it breaks off."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from repod import jsontext
from repod.client.api import Api
from repod.errors import Misconfigured, Unavailable, shown
from repod.happenings import Kind
from repod.wording import steerless

_QUIET = 60.0  # the daemon says that it lives every 15 s
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 15.0, 15.0)

Event = Mapping[str, Any]
"""A CloudEvent."""


def hear(api: Api, repository: str, after: str = "", sleep: Callable[[float], object] = time.sleep) -> Iterator[Event]:
    """Every event of a repository, or of all where it is empty, from the one after the id ``after`` on, without end.

    ``Unavailable`` where the daemon cannot be reached for a minute; other errors at once.
    """
    failed = 0
    while True:
        try:
            with api.stream(repository, after, _QUIET) as lines:
                for name, event in events(lines):
                    after, failed = name or after, 0
                    yield event
        except Unavailable:
            if failed == len(_PAUSES):
                raise
        # It also ends where the daemon does, which may be back soon.
        sleep(_PAUSES[min(failed, len(_PAUSES) - 1)])
        failed += 1


def events(lines: Iterable[str]) -> Iterator[tuple[str, Event]]:
    """Ids and events of a stream, as https://html.spec.whatwg.org/multipage/server-sent-events.html has it."""
    name, data = "", []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            name = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            try:
                found = jsontext.loads("\n".join(data))
            except ValueError as error:
                msg = f"an event is no JSON ({error}); is something between this machine and the daemon?"
                raise Misconfigured(msg) from error
            if not isinstance(found, dict):
                msg = f"an event is no JSON object: {data[0][:40]!r}; is something between this machine and the daemon?"
                raise Misconfigured(msg)
            yield name, found
            data = []


def told(event: Event) -> str:
    """An event in a line for a person."""
    repository = str(event.get("source", "")).rpartition("/")[2]
    kind = str(event.get("type"))
    try:
        text = _WORDS[kind](event["data"])
    except (KeyError, TypeError, AttributeError):  # of a repod that knows more than this one
        text = kind
    return shown(steerless(f"{event.get('time', '')}  {repository}  {text}"))


def _published(data: Mapping[str, Any]) -> str:
    words = [_some(data.get("added", ()), data.get("added_total", 0), "came")]
    words += [_some(data.get("removed", ()), data.get("removed_total", 0), "went")]
    words += [f"{', '.join(data['documents'])} changed"] if data.get("documents") else []
    why = f": {data['why']}" if data.get("why") else ""
    what = "; ".join(word for word in words if word) or "nothing changed"
    return f"generation {data['generation']} by {data['actor']}{why}; {what}"


def _some(builds: Any, total: int, done: str) -> str:
    """A few of many builds."""
    shown = [build["nevra"] for build in builds[:3]]
    more = total - len(shown)
    return f"{', '.join(shown)}{f' and {more} more' if more > 0 else ''} {done}" if shown else ""


def _faults(data: Mapping[str, Any]) -> str:
    return f"{data['file']} rejected: " + "; ".join(fault["text"] for fault in data["faults"])


def _rollout(data: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in data["counts"].items())
    return f"rollout {data['id']} of {data['package']} {data['state']}: {counts or 'no hosts'}"


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    Kind.PUBLISHED: _published,
    Kind.MISSED: lambda data: f"generations {data['first']} to {data['last']} were published",
    Kind.REJECTED: _faults,
    Kind.WAITING: lambda data: f"{data['file']} waits: {data['why']}",
    Kind.PRUNED: lambda data: f"pruned {data['builds']} builds, {data['objects']} files, {data['bytes']} bytes",
    Kind.FAILING: lambda data: f"failing: {data['problem']}",
    Kind.RECOVERED: lambda data: f"recovered from: {data['problem']}",
    Kind.ROLLOUT: _rollout,
}
