"""Old generations go: their records, their frozen views, and the documents that no kept one names.

The plan is pure and says why; carrying it out removes an index before the documents it names and
the record last, so that a stop in between leaves a record from which the next run goes on. Nothing
is removed that was current within ``grace``: a client may still hold its index.
"""

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from repod.doors import Store, Stored
from repod.generation import Generation
from repod.history import History
from repod.package import StorePath

_RECORD = re.compile(r"\.repod/generations/([0-9]+)\.json")
_DOCUMENT = re.compile(r"(?:generations/[0-9]+/)?repodata/[0-9a-f]{64}-.+")
_VIEW = re.compile(r"generations/([0-9]+)/.+")


_UNDER_WAY = 3600.0  # seconds that a publish may take until its record names what it stored
_BEYOND = "beyond the newest {} generations, and older than grace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One object to be removed, its size in bytes, and why."""

    path: StorePath
    size: int
    why: str


def expired(generations: Sequence[Generation], keep: int, grace: float, now: float) -> list[Generation]:
    """Those that may go: beyond the newest ``keep``, and not current within the last ``grace`` seconds.

    ``generations`` stand newest first; each was current until the one before it was made.
    """
    return [
        old
        for index, (newer, old) in enumerate(itertools.pairwise(generations), start=1)
        if index >= max(1, keep) and newer.time < now - grace
    ]


def plan(
    generations: Sequence[Generation], listed: Collection[Stored], *, keep: int, grace: float, now: float
) -> list[Removal]:
    """What to remove, in the order in which to do it.

    ``listed`` are the objects of the store, at least those under ``repodata/``, ``generations/``
    and ``.repod/generations/``, listed before ``generations`` were read.
    """
    going = {generation.number for generation in expired(generations, keep, grace, now)}
    kept = {path for g in generations if g.number not in going for path in g.stored}
    named = {path for g in generations for path in g.stored}
    orphaned = _orphaned(grace, now)
    known = {generation.number for generation in generations}
    began = min((generation.time for generation in generations), default=now)
    indexes = [
        Removal(path=stored.path, size=stored.size, why=f"index of a frozen view, {_BEYOND.format(keep)}")
        for stored in listed
        if (match := _VIEW.fullmatch(stored.path))
        and not _DOCUMENT.fullmatch(stored.path)
        and (int(match[1]) in going or (int(match[1]) not in known and stored.modified < orphaned))
    ]
    documents = [
        Removal(path=stored.path, size=stored.size, why=_why_document(stored, named))
        for stored in listed
        if _DOCUMENT.fullmatch(stored.path)
        and stored.path not in kept
        # One that no record names may belong to a publish that is under way, or to the repository
        # that was adopted in its place: hosts may hold that one's index as long as any other.
        and (stored.path in named or max(stored.modified, began) < orphaned)
    ]
    records = [
        Removal(path=stored.path, size=stored.size, why=_BEYOND.format(keep))
        for stored in sorted(listed, key=lambda stored: stored.modified)
        if (match := _RECORD.fullmatch(stored.path)) and int(match[1]) in going
    ]
    return [*indexes, *documents, *records]


def _orphaned(grace: float, now: float) -> float:
    """What was stored before this time, and no record names, belongs to no publish that is under way."""
    return now - max(grace, _UNDER_WAY)


def _why_document(stored: Stored, named: Collection[StorePath]) -> str:
    if stored.path in named:
        return "a document that no kept generation names"
    return "a document that no generation names, left by a publish that was stopped"


class Pruner:
    """Prunes one repository."""

    def __init__(self, store: Store, *, keep: int, grace: float) -> None:
        """``keep``: how many generations at the least; ``grace`` in seconds."""
        self._store = store
        self._keep = keep
        self._grace = grace

    def plan(self, now: float) -> list[Removal]:
        """What would be removed."""
        places = ("repodata/", "generations/", ".repod/generations/")
        listed = [stored for place in places for stored in self._store.list(place)]
        records = {int(m[1]): stored for stored in listed if (m := _RECORD.fullmatch(stored.path))}
        young = len(records) <= self._keep or all(one.modified >= now - self._grace for one in records.values())
        if young and all(stored.modified >= _orphaned(self._grace, now) for stored in listed):
            # Nothing can go, whatever the records say; one that added 10,000 packages takes 0.1 s to read.
            return []
        history = History(self._store)
        current = history.current()
        if current is None:
            return []
        generations = [history.record(n) for n in sorted(records, reverse=True) if n <= current.number]
        return plan(generations, listed, keep=self._keep, grace=self._grace, now=now)

    def prune(self, now: float) -> list[Removal]:
        """Remove what the plan says; the plan."""
        removals = self.plan(now)
        for removal in removals:
            self._store.remove(removal.path)
        return removals
