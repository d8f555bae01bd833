"""Reads what a mirror shows, and proves it with the pinned keys: index, signature, statement, and what points at it.

These are several objects, and a publish replaces one after the other. So what does not fit together is read again for
some seconds, and counts where a statement that came meanwhile says that it was replaced.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from repod.client.fetching import Fetcher, joined, read
from repod.client.verdict import Code, Finding, Sighting
from repod.errors import Corrupt, NotFound
from repod.package import digest
from repod.signed import Envelope
from repod.statement import STATEMENT, Statement, envelope
from repod.statement import read as read_statement

_INDEX = "repodata/repomd.xml"
_SMALL, _LARGE = 1 << 16, 1 << 20
_POINTERS = ("mirrorlist", "metalink.xml")
_VIEW = re.compile(rb"/generations/([0-9]+)/")
_REVISION = re.compile(rb"<revision>([0-9]+)</revision>")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


class Pins(Protocol):
    """The keys that are trusted."""

    def prove(self, data: bytes, signature: bytes) -> bool:
        """Whether an armored signature over data is by one of them."""

    def doubt(self, signature: bytes) -> str:
        """Why the key that a signature names is not good, where it is that; empty: it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One try. ``pointers``: each with what it holds; those that are not there are left out."""

    statement: bytes
    index: bytes
    signature: bytes
    pointers: Sequence[tuple[str, bytes]]


def sight(fetcher: Fetcher, base: str, pins: Pins, *, seconds: float) -> Sighting:
    """What the mirror at ``base`` shows, looked at for at most so many seconds where it changes meanwhile.

    ``Unavailable`` where it cannot be read, ``NotFound`` where there is no repository.
    """
    end, wait = time.monotonic() + seconds, _FIRST_PAUSE
    before: tuple[_Read, Statement] | None = None
    first: Statement | None = None
    while True:
        now = _looked(fetcher, base)
        statement, faults = _stated(now.statement, pins)
        if statement is None:
            return Sighting(statement=None, findings=faults)
        first = first or statement
        wrong = _contradictions(now, statement, pins)
        if not wrong or (before and _overtaken(*before, statement, pins)):
            return Sighting(statement=statement)
        if time.monotonic() + wait > end:
            return Sighting(statement=statement, findings=_last(first, statement, wrong, seconds))
        before = now, statement
        time.sleep(wait)
        wait = min(_LONGEST_PAUSE, wait * 1.5)


def _overtaken(seen: _Read, before: Statement, after: Statement, pins: Pins) -> bool:
    """Whether a try met a publish: all it read is signed, no older than the statement before, and stated since.

    Else nobody who reads slower than a repository is published would ever see it whole.
    """
    numbers = [_number(_REVISION, seen.index), *(_number(_VIEW, data) for _, data in seen.pointers)]
    between = all(before.generation <= number <= after.generation for number in numbers)
    return between and before.generation < after.generation and pins.prove(seen.index, seen.signature)


def _looked(fetcher: Fetcher, base: str) -> _Read:
    statement = _optional(fetcher, base, STATEMENT)
    index = read(fetcher, joined(base, _INDEX), limit=_LARGE, current=True)
    signature = _optional(fetcher, base, f"{_INDEX}.asc")
    pointers = [(name, data) for name in _POINTERS if (data := _optional(fetcher, base, name))]
    return _Read(statement=statement, index=index, signature=signature, pointers=pointers)


def _optional(fetcher: Fetcher, base: str, path: str) -> bytes:
    """What lies there; nothing where it does not."""
    try:
        return read(fetcher, joined(base, path), limit=_SMALL, current=True)
    except NotFound:
        return b""


def _stated(data: bytes, pins: Pins) -> tuple[Statement | None, Sequence[Finding]]:
    if not data:
        text = f"{STATEMENT} is not there: no repository of repod, one of an older repod, or somebody took it away"
        return None, [Finding(Code.NO_STATEMENT, text)]
    try:
        held: Envelope = envelope(data)
        if not pins.prove(held.document.encode(), held.signature.encode()):
            doubt = pins.doubt(held.signature.encode())
            code, why = (Code.KEY, doubt) if doubt else (Code.SIGNATURE, "it is not what was signed: it was altered")
            return None, [Finding(code, f"{STATEMENT}: {why}")]
        return read_statement(held.document), ()
    except Corrupt as error:
        return None, [Finding(Code.UNREADABLE, str(error).partition(";")[0])]


def _contradictions(seen: _Read, statement: Statement, pins: Pins) -> Sequence[Finding]:
    """In what a mirror is not what its own statement says."""
    found: list[Finding] = []
    if digest(seen.index) != statement.repomd:
        revision = _number(_REVISION, seen.index)
        text = f"{_INDEX} is that of generation {revision or 'unknown'}, and the statement is about "
        found.append(Finding(Code.MIXED, f"{text}{statement.generation}: they were not published together"))
    if not seen.signature:
        found.append(Finding(Code.SIGNATURE, f"{_INDEX}.asc is not there, so that hosts refuse {_INDEX}"))
    elif not pins.prove(seen.index, seen.signature):
        found.append(Finding(Code.SIGNATURE, f"{_INDEX}.asc is no signature over {_INDEX} by a pinned key"))
    for name, data in seen.pointers:
        number = _number(_VIEW, data)
        other = name == _POINTERS[1] and statement.frozen_repomd.encode() not in data
        if number and (number != statement.generation or other):
            text = f"{name} leads hosts to generation {number}, and the statement is about {statement.generation}"
            found.append(Finding(Code.MIXED, text))
    return found


def _number(pattern: "re.Pattern[bytes]", data: bytes) -> int:
    match = pattern.search(data)
    return int(match[1]) if match else 0


def _last(first: Statement, now: Statement, wrong: Sequence[Finding], seconds: float) -> Sequence[Finding]:
    """What does not fit together is a fault only where nothing moves."""
    if now.generation <= first.generation:
        return wrong
    text = f"generations {first.generation} to {now.generation} were published within {seconds:g} s: {wrong[0].text}; "
    return [Finding(Code.UNSETTLED, text + "try again, or --wait longer")]
