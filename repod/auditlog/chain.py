"""The lines of the audit log: how one is made, and whether many hang together. Nothing here reads or writes.

A line is one JSON object in ASCII without spaces, its keys as in ``_KEYS``. ``hash`` is the SHA-256, in hex, of the
same object without ``hash``, its keys sorted: ``jq -cSaj 'del(.hash)' | sha256sum``. ``previous`` is the ``hash``
of the line before, zeros in the first. The first line of a file that follows a rotated one continues that one.

A line that a crash cut short is no record. It stays where it is, and the record after it says so, with the SHA-256
of what is left of it: so nothing is ever taken out of a file, and a file may be append-only (``chattr +a``).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from repod import jsontext
from repod.office import Noted
from repod.times import stamp_ms

ZEROS = "0" * 64
TORN = "audit torn"
DAMAGED = "audit damaged"
_KEYS = ("n", "time", "actor", "address", "what", "repository", "details", "outcome", "previous", "hash")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 1000  # characters of one text
_MOST = 100  # members of one list
_DEEPEST = 6
_LONGEST_DETAILS = 20_000
# What must never be written down, should a caller pass it on all the same: a token, and the password of a URL.
_SECRET = re.compile(r"repod_[A-Za-z0-9_-]{16,}|(?<=://)[^/\s]+@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last record: its number and its hash. Of an empty log they are 0 and zeros."""

    n: int
    hash: str

    def __str__(self) -> str:
        """As people copy it: ``812:9f86…``."""
        return f"{self.n}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From ``N:HASH``; ``ValueError`` where it is none."""
        number, _, digest = text.strip().partition(":")
        if not (number.isascii() and number.isdecimal() and _SHA256.fullmatch(digest)):
            msg = f"expected N:HASH, as repod audit head says it, found {text.strip()[:_LONGEST]!r}"
            raise ValueError(msg)
        return cls(n=int(number), hash=digest)


NOTHING = Head(n=0, hash=ZEROS)


def sealed(noted: Noted, last: Head) -> tuple[bytes, Head]:
    """The line after ``last``, with its line feed, and the head that it makes."""
    why = {"why": noted.by.why} if noted.by.why else {}
    plain = {
        "n": last.n + 1,
        "time": stamp_ms(noted.time),
        "actor": _told(noted.by.actor),
        "address": _told(noted.by.address),
        "what": _told(noted.what),
        "repository": _told(noted.repository),
        "details": _short(_told({**noted.details, **why})),
        "outcome": _told(noted.outcome),
        "previous": last.hash,
    }
    digest = _hash(plain)
    return _line({**plain, "hash": digest}), Head(n=last.n + 1, hash=digest)


def record(line: bytes) -> dict[str, Any] | None:
    """The record in a line, None where it is not a line as ``sealed`` makes it; whether it was altered is not asked.

    The bytes must be the very ones that are made of what they say: a second key of the same name, which another
    reader might take for the right one, is no record.
    """
    try:
        found = jsontext.loads(line)
        if type(found) is not dict or tuple(found) != _KEYS or _line(found) != line:
            return None
    except (ValueError, RecursionError):
        return None
    numbered = type(found["n"]) is int and found["n"] > 0
    hashed = all(_SHA256.fullmatch(str(found[key])) for key in ("previous", "hash"))
    texts = all(type(found[key]) is str for key in _KEYS if key not in {"n", "details"})
    return found if numbered and hashed and texts and type(found["details"]) is dict else None


def holds(found: Mapping[str, Any]) -> bool:
    """Whether a record still says what its hash was made of."""
    return _hash({key: value for key, value in found.items() if key != "hash"}) == str(found["hash"])


def head_of(found: Mapping[str, Any]) -> Head:
    """The head that a record makes."""
    return Head(n=found["n"], hash=found["hash"])


class Walk:
    """Goes along the lines of one or more files, in their order, and says what does not hang together."""

    def __init__(self, known: Mapping[int, str]) -> None:
        """``known``: hashes of records by their numbers, as they were told elsewhere."""
        self.first = 0
        self.last = NOTHING
        self.count = 0
        self._known = known
        self._at = ""
        self._odd: list[tuple[str, bytes]] = []

    def step(self, line: bytes, place: str) -> Iterator[str]:
        """What is wrong at one line; ``place`` says where it stands."""
        found = record(line)
        if found is None:
            self._odd.append((place, line))
            return
        if found["what"] == TORN and found["details"].get("sha256") == self._odd_hash():
            self._odd.clear()
        yield from self._odd_lines()
        here = f"record {found['n']} ({place})"
        if not holds(found):
            yield f"{here} is altered: what it says does not give its hash"
        yield from self._joined(found, here, place)
        known = self._known.get(found["n"])
        if known and known != found["hash"]:
            yield f"{here} is altered, or the log was made anew: its hash was told as {known}, found {found['hash']}"

    def end(self) -> Iterator[str]:
        """What is missing after the last line."""
        yield from self._odd_lines()
        for n in sorted(self._known):
            if n > self.last.n:
                yield f"cut off after record {self.last.n}: there was a record {n} with the hash {self._known[n]}"
                return
            if n and n < self.first:
                yield f"record {n} is missing: these files begin with record {self.first}; give the older ones too"

    def _odd_hash(self) -> str:
        return hashlib.sha256(b"".join(line for _, line in self._odd).removesuffix(b"\n")).hexdigest()

    def _odd_lines(self) -> Iterator[str]:
        for place, _ in self._odd:
            yield f"{place} is no record: altered, inserted, or torn and no record after it says so"
        self._odd.clear()

    def _joined(self, found: Mapping[str, Any], here: str, place: str) -> Iterator[str]:
        n, last = found["n"], self.last
        if not self.count:
            self.first = n
            if n == 1 and found["previous"] != ZEROS:
                yield f"{here} is altered: it is the first, and names one before it"
        elif n <= last.n:
            yield f"{here} is inserted, or out of order: record {last.n} came before it ({self._at})"
            return
        elif n > last.n + 1:
            lost = f"record {n - 1} is" if n == last.n + 2 else f"records {last.n + 1} to {n - 1} are"
            yield f"{lost} missing: {here} follows record {last.n} ({self._at})"
        elif found["previous"] != last.hash:
            yield f"record {last.n} ({self._at}) is altered or replaced: {here} names another hash of it"
        self.count += 1
        self.last = head_of(found)
        self._at = place


def _hash(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _line(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _short(details: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(details)
    return details if len(text) <= _LONGEST_DETAILS else {"shortened": text[:_LONGEST_DETAILS]}


def _told(value: Any, depth: int = 0) -> Any:
    """A value as it may stand in a line: bounded, JSON, without secrets."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        safe = _SECRET.sub("***", value)
        return safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]}… and {len(safe) - _LONGEST} characters more"
    if isinstance(value, Mapping) and depth < _DEEPEST:
        found = {str(_told(str(key))): _told(one, depth + 1) for key, one in list(value.items())[:_MOST]}
        return {**found, "…": f"and {len(value) - _MOST} more"} if len(value) > _MOST else found
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        told = [_told(one, depth + 1) for one in value[:_MOST]]
        return [*told, f"… and {len(value) - _MOST} more"] if len(value) > _MOST else told
    return _told(str(value))
