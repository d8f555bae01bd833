"""How pages write numbers, times and links, and the sentence that says how things are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote, urlencode

from rich.filesize import decimal

from repod.office import Search, State

_DAY = 86400
_MONTH = _DAY * 365.2425 / 12
# Up to which length each unit is used, and its own.
_STEPS = (
    (60, "second", 1),
    (3600, "minute", 60),
    (_DAY, "hour", 3600),
    (60 * _DAY, "day", _DAY),
    (24 * _MONTH, "month", _MONTH),
    (float("inf"), "year", 12 * _MONTH),
)
_JUST_NOW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time as a page shows it: ``iso`` for machines, ``full`` for readers, ``ago`` at a glance."""

    iso: str
    full: str
    ago: str


def moment(stamp: str, now: float) -> Moment:
    """``stamp`` is ISO 8601 with its zone, ``now`` seconds since 1970."""
    then = datetime.fromisoformat(stamp).astimezone(UTC)
    return Moment(
        iso=then.strftime("%Y-%m-%dT%H:%M:%SZ"),
        full=f"{then:%Y-%m-%d %H:%M:%S} UTC",
        ago=ago(now - then.timestamp()),
    )


def ago(seconds: float) -> str:
    """``5 minutes ago``; what lies ahead, by a clock that is wrong or a date to come, is ``in 5 minutes``."""
    if abs(seconds) < _JUST_NOW:
        return "just now"
    text = span(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def span(seconds: float) -> str:
    """A duration in its largest whole unit: ``5 minutes``."""
    unit, length = next((unit, length) for end, unit, length in _STEPS if seconds < end)
    return count(int(seconds // length), unit)


def count(number: int, word: str, many: str = "") -> str:
    """``1 package``, ``2,000 packages``."""
    return f"{number:,} {word if number == 1 else many or word + 's'}"


def size(number: int) -> str:
    """Bytes in the unit that suits: ``1.2 MB``."""
    return decimal(number)


def path(text: str) -> str:
    """A path in a link: encoded once."""
    return quote(text)


def is_web(url: str) -> bool:
    """Whether a package's word for its home page is a link that may be followed."""
    return url.startswith(("https://", "http://"))


def segment(text: object) -> str:
    """One part of a path in a link: encoded once, slashes too."""
    return quote(str(text), safe="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How things are in one sentence; ``more`` are further ones."""

    level: Literal["good", "notice", "bad"]
    text: str
    more: Sequence[str] = ()


def verdict(states: Sequence[State], now: float) -> Verdict:
    """How all repositories are, for who looks for the first time today."""
    if not states:
        return Verdict(level="notice", text="There is no repository here that you may read.")
    more = list(_errands(states))
    if hurt := [state.repository for state in states if state.fault]:
        what = "needs a person" if len(hurt) == 1 else "need a person"
        text = f"{len(hurt)} of {count(len(states), 'repository', 'repositories')} {what}: {', '.join(hurt)}."
        return Verdict(level="bad", text=text, more=more)
    times = [state.published for state in states if state.published]
    if not times:
        return Verdict(level="notice", text="Nothing is published yet: put a first package into an inbox.", more=more)
    last = f"The last change was {moment(max(times), now).ago}."
    if any(state.rejected for state in states):
        return Verdict(level="notice", text=f"Everything runs. {last}", more=more)
    return Verdict(level="good", text=f"All is well. {last}", more=more)


def _errands(states: Sequence[State]) -> Sequence[str]:
    waiting = sum(state.inbox or 0 for state in states)
    rejected = sum(state.rejected or 0 for state in states)
    said = []
    if waiting:
        said.append(f"{count(waiting, 'file')} {'is' if waiting == 1 else 'are'} on the way in.")
    if rejected:
        said.append(f"{count(rejected, 'rejected file')} {'waits' if rejected == 1 else 'wait'} for a look.")
    return said


def query(search: Search, after: str) -> str:
    """The query of a page of a search: ``q=nginx&order=name``."""
    asked = {"q": search.text, "arch": search.arch, "order": search.order, "after": after}
    return urlencode({key: value for key, value in asked.items() if value and value != "newest"})
