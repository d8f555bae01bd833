"""How pages tell what happened to builds: generations, differences, ways in."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from repod.comparison import KINDS
from repod.web.pages.words import count

_Row = Mapping[str, Any]
Step = tuple[str, str, str]
"""What kind of change it is, and the build, document or advisory before and after it."""

_WAYS = {
    "arrival": "Uploaded as {}",
    "promotion": "Promoted from {}",
    "adoption": "Taken over from {}",
    "rollback": "Listed again, as generation {} did",
    "resigning": "Signed anew, {}",
}
_SOURCES = {"rollback": "generation {}", "unknown": ""}
_RUNS = 12
_LISTS = (("came", "came"), ("went", "went"), ("changed", "changed"))


def changes(row: _Row) -> str:
    """What a generation did, in numbers: ``2 packages came, 1 went``. ``row`` is one of ``Looks.history``."""
    came, went, documents = (len(row[key] or ()) for key in ("added", "removed", "documents"))
    said = [f"{count(came, 'package')} came"] if came else []
    if went:
        said.append(f"{went:,} went" if came else f"{count(went, 'package')} went")
    if documents:
        said.append(f"{', '.join(row['documents'])} changed")
    return ", ".join(said) or "nothing changed"


def sources(row: _Row) -> Sequence[tuple[str, str]]:
    """Each build that came with a generation, and from where, in a word or two."""
    known = [_SOURCES.get(origin["how"], "{}").format(origin["of"]) for origin in row["from"]]
    return list(zip(row["added"], known if len(known) == len(row["added"]) else [""] * len(row["added"]), strict=True))


def came(step: _Row) -> str:
    """How a build came; ``step`` is one of ``came`` of ``Looks.builds``."""
    return _WAYS.get(step["how"], "From where is not known").format(step["of"])


def ranges(runs: Sequence[Sequence[int]]) -> str:
    """Runs of numbers, the newest of which are first in ``runs``: ``7 to 9, 12``."""
    said = [str(first) if first == last else f"{first} to {last}" for first, last in reversed(runs[:_RUNS])]
    return f"{len(runs) - _RUNS} earlier runs, {', '.join(said)}" if len(runs) > _RUNS else ", ".join(said)


def is_among(runs: Sequence[Sequence[int]], number: int) -> bool:
    """Whether a number is in one of the runs."""
    return any(first <= number <= last for first, last in runs)


def steps(change: _Row, limit: int) -> Sequence[Step]:
    """What changes for hosts, at most ``limit`` lines of it; ``change`` is an answer of ``Looks.diff``."""
    return list(islice(_steps(change), limit))


def total(change: _Row) -> int:
    """How many lines there are of it."""
    return sum(1 for _ in _steps(change))


def _steps(change: _Row) -> Iterator[Step]:
    for kind in KINDS:
        for one in change[kind]:
            yield kind, one["before"] or "", one["after"] or ""
    for nevra in change["others"]["came"]:
        yield "older build came", "", nevra
    for nevra in change["others"]["went"]:
        yield "older build went", nevra, ""
    for what, key in (("advisory", "advisories"), ("document", "documents")):
        for list_, word in _LISTS:
            for one in change[key][list_]:
                yield f"{what} {word}", "" if word == "came" else one, "" if word == "went" else one
