"""Whether what a mirror shows is the repository as it is now, by what was read and what is remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from repod.package import Sha256
from repod.statement import Statement
from repod.times import stamp
from repod.wording import counted

AHEAD = 300.0
"""Seconds that the clocks of two machines may differ."""


class Code(Enum):
    """What was found, with the exit code that it has."""

    FRESH = ("fresh", 0)
    NO_STATEMENT = ("no statement", 1)
    UNREADABLE = ("unreadable", 1)
    SIGNATURE = ("bad signature", 1)
    KEY = ("wrong key", 1)
    REPOSITORY = ("wrong repository", 1)
    EXPIRED = ("expired", 1)
    ROLLED_BACK = ("rolled back", 1)
    FORKED = ("forked", 1)
    MIXED = ("mixed", 1)
    PACKAGE = ("package missing", 1)
    OLD = ("too old", 3)
    CLOCK = ("clock", 4)
    UNSETTLED = ("unsettled", 4)
    UNREACHABLE = ("unreachable", 4)

    @property
    def word(self) -> str:
        """As people and machines read it."""
        return self.value[0]

    @property
    def exit_code(self) -> int:
        """What a command line answers with."""
        return self.value[1]


class Finding(NamedTuple):
    """One thing that was found, and a line that says it."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a mirror shows, as far as it was proven by the pinned keys.

    ``statement``: None where there is no good one; then ``findings`` say why. They also say in what the mirror
    contradicts its own statement.
    """

    statement: Statement | None
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What was seen of a repository at a URL before; ``issued`` is seconds since 1970."""

    repository: str
    generation: int
    record: Sha256
    issued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What is demanded of a mirror. ``name``: of its repository, empty: any. ``max_age``: seconds, 0: any.

    ``since``: the lowest generation that is good.
    """

    name: str = ""
    max_age: float = 0.0
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Whether the generation that was seen before is one before the current one.

    ``broken``: why it is not; ``unknown``: why that cannot be told. Both empty: it is.
    """

    broken: str = ""
    unknown: str = ""


def judge(sighting: Sighting, demands: Demands, mark: Mark | None, now: float) -> Sequence[Finding]:
    """All that is wrong with a mirror; nothing where it is fresh, as far as its statement and memory tell."""
    statement = sighting.statement
    if statement is None:
        return sighting.findings
    found = [*sighting.findings]
    wanted = demands.name or (mark.repository if mark else "")
    if wanted and statement.repository != wanted:
        text = f"expected the repository {wanted}, found the statement of {statement.repository}"
        return [*found, Finding(Code.REPOSITORY, text)]
    return [*found, *_by_time(statement, demands, now), *_by_memory(statement, demands, mark)]


def _by_time(statement: Statement, demands: Demands, now: float) -> Sequence[Finding]:
    if statement.issued > now + AHEAD:
        text = f"issued {span(statement.issued - now)} in the future ({stamp(statement.issued)}): "
        return [Finding(Code.CLOCK, text + f"the clock of this host ({stamp(now)}) or that of repod is wrong")]
    if now >= statement.expires:
        text = f"frozen at generation {statement.generation}: its statement ended {span(now - statement.expires)} ago "
        text += f"({stamp(statement.expires)}), and none came after it: the mirror is left behind, the daemon "
        return [Finding(Code.EXPIRED, text + "does not run, somebody holds updates back, or this clock is ahead")]
    age = now - statement.issued
    if demands.max_age and age > demands.max_age:
        text = f"generation {statement.generation} was stated {span(age)} ago, at most {span(demands.max_age)} is good"
        return [Finding(Code.OLD, text)]
    return []


def _by_memory(statement: Statement, demands: Demands, mark: Mark | None) -> Sequence[Finding]:
    if statement.generation < demands.since:
        text = f"generation {statement.generation}; at least {demands.since} is demanded"
        return [Finding(Code.ROLLED_BACK, text)]
    if mark is None:
        return []
    if statement.generation < mark.generation:
        text = f"generation {statement.generation}, and {mark.generation} was seen here before: a generation that was "
        return [Finding(Code.ROLLED_BACK, text + "published is never taken back, a rollback has a number of its own")]
    if statement.generation == mark.generation and statement.record != mark.record:
        text = f"generation {mark.generation} is not the one that was seen here before: expected record "
        return [Finding(Code.FORKED, f"{text}{mark.record[:16]}…, found {statement.record[:16]}…")]
    return []


def linked(statement: Statement, mark: Mark) -> Chain | None:
    """What the statement itself says of the generation that was seen before; None where it does not reach that far."""
    known = {statement.generation: statement.record, **dict(statement.before)}
    if mark.generation not in known:
        return None
    return met(mark.generation, known[mark.generation], mark)


def met(number: int, found: Sha256, mark: Mark) -> Chain:
    """Whether the generation that a walk back came to, with its record's digest, is the one that was seen before."""
    if (number, found) == (mark.generation, mark.record):
        return Chain()
    text = f"generation {mark.generation} before it is not the one that was seen here: expected record "
    return Chain(broken=f"{text}{mark.record[:16]}…, found {found[:16]}…")


def compared(origin: Statement, other: Statement) -> tuple[str, Sequence[Finding]]:
    """How a mirror stands to the first one, in words, and in what they contradict each other."""
    if other.repository != origin.repository:
        text = f"expected the repository {origin.repository}, as at the first URL, found {other.repository}"
        return "another repository", [Finding(Code.REPOSITORY, text)]
    older, newer = sorted((origin, other), key=lambda one: one.generation)
    known: Mapping[int, Sha256] = {newer.generation: newer.record, **dict(newer.before)}
    if known.get(older.generation, older.record) != older.record:
        text = f"generation {older.generation} is not the one that the first URL has: two histories"
        return "forked", [Finding(Code.FORKED, text)]
    behind = origin.generation - other.generation
    if behind == 0:
        return "level", []
    apart = span(abs(origin.published - other.published))
    return f"{counted(abs(behind), 'generation')}, {apart} {'behind' if behind > 0 else 'ahead'}", []


def worst(findings: Sequence[Finding]) -> int:
    """The exit code of a look: what must not be trusted, then what is too old, then what could not be told."""
    codes = {finding.code.exit_code for finding in findings}
    return next((code for code in (1, 3, 4) if code in codes), 0)


def remembered(findings: Sequence[Finding]) -> bool:
    """Whether what was seen counts for the next time: nothing that was found makes it another history, or unproven."""
    return all(finding.code in {Code.EXPIRED, Code.OLD, Code.PACKAGE} for finding in findings)


def span(seconds: float) -> str:
    """A time as people say it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
