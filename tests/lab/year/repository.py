"""A small model of one repository: what it lists, what must stay, and a watch on every change of its store.

It learns from the records alone, whenever the pointer moves, and parses no document for that; now
and then what the documents say is compared with it.
"""

import hashlib
import json
import random
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repod.doors import Clock, Store, Stored
from repod.generation import HEAD, record_path
from repod.history import History
from repod.ledger import Coming, Ledger
from repod.package import Nevra, Package, StorePath, sha256
from repod.past import Past
from tests.lab import stated, validity
from tests.lab.faulty import Step

_FOREVER = ("mirrorlist", "metalink.xml", HEAD, validity.LIVE, validity.ASC, stated.PLACE)
_WHY = 10  # builds that are asked about at a look
UNDER_WAY = 3600.0
"""Seconds for which what no record names may belong to a publish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """How a build came, as the record of its first generation says."""

    generation: int
    actor: str
    how: str
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One generation: when it was made, since when clients had seen its parent, and what it changed."""

    number: int
    time: int
    shown: float
    added: Sequence[Package]
    removed: Sequence[Package]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What whoever is at work may do: add these pkgids, take these builds out."""

    added: Collection[str] = ()
    removed: Collection[Nevra] = ()


@dataclass(slots=True)
class Counts:
    """What happened in a year."""

    generations: int = 0
    removed_builds: int = 0
    removed_files: int = 0
    looks: int = 0
    prunes: int = 0


@dataclass(slots=True)
class Bytes:
    """What lies in a store after a prune, by why it does: all of it is bounded by what was promised."""

    promised: int = 0
    generations: int = 0
    young: int = 0
    documents: int = 0


class Repository:
    """``inner`` is the store itself, ``plan`` what every process on it is watched by."""

    def __init__(self, name: str, inner: Store, clock: Clock, *, keep: int, generations: int, grace: float) -> None:
        self.name = name
        self.inner = inner
        self.clock = clock
        self.keep = keep
        self.generations = generations
        self.grace = grace
        self.head = 0
        self.content: dict[Nevra, Package] = {}
        self.came: dict[str, Came] = {}
        self.intent = Intent()
        self.counts = Counts()
        self.bytes = Bytes()
        self._hrefs: dict[str, Package] = {}
        self._steps: deque[Moved] = deque()
        self._needed_until: dict[str, int] = {}
        self.pins: set[str] = set()
        self._labels: dict[str, set[str]] = {}
        self._places: dict[str, str] = {}

    # ------------------------------------------------------------ the watch

    def plan(self, step: Step) -> None:
        """What is asked before, and noted after, every single change of the store."""
        if step.name == "remove":
            if step.moment == "before":
                self._may_go(step.path)
            else:
                self._went(step.path)
        elif step.name == "write" and step.moment == "before":
            assert not step.path.startswith("Packages/"), f"{self.name}: {step.path} is written over"
        elif step.name == "write" and step.path == HEAD:
            self.learn()

    def _may_go(self, path: str) -> None:
        assert path not in _FOREVER, f"{self.name}: {path} is removed"
        assert path not in self._hrefs, f"{self.name}: {path} is removed and listed"
        until, oldest = self._needed_until.get(path, 0), self.oldest
        assert until < oldest, (
            f"{self.name}: {path} is removed, generation {until} needs it, {oldest} is the oldest kept"
        )

    def _went(self, path: str) -> None:
        self._needed_until.pop(path, None)
        if path.startswith("Packages/"):
            self.counts.removed_files += 1
            self._forget(self._places.pop(path, ""))

    def _forget(self, pkgid: str) -> None:
        """The bytes are gone, and with them all that is to be known of them."""
        self.came.pop(pkgid, None)
        self.pins.discard(pkgid)
        self._labels.pop(pkgid, None)

    # ------------------------------------------------------------ generations

    @property
    def oldest(self) -> int:
        """The oldest generation that must be whole: of the newest, or current within grace."""
        steps, began = self._steps, self.clock() - self.grace
        while len(steps) > max(2, self.generations) and steps[2].shown < began:
            steps.popleft()
        return steps[0].number if steps else 0

    def learn(self) -> None:
        """Follow the pointer, generation by generation; each may do only what somebody intends."""
        head = json.loads(self.inner.read(HEAD).data)["generation"]
        assert head >= self.head, f"{self.name}: the pointer went back from {self.head} to {head}"
        for number in range(self.head + 1, head + 1):
            self._follow(json.loads(self.inner.read(record_path(number)).data))
            self.head = number

    def _follow(self, record: Mapping[str, Any]) -> None:
        number = record["number"]
        added, removed = _rows(record["added"]), _rows(record["removed"])
        self._as_intended(number, added, removed)
        for row in removed:
            assert self.content.pop(row.nevra) == row, f"{self.name}: generation {number} removes what was not listed"
            del self._hrefs[row.href]
            self._needed_until[row.href] = number - 1
        for row, origin in zip(added, record["origins"] or [{"how": "unknown", "of": ""}] * len(added), strict=True):
            assert row.nevra not in self.content, f"{self.name}: generation {number} lists {row.nevra} twice"
            self.content[row.nevra] = self._hrefs[row.href] = row
            came = Came(generation=number, actor=record["actor"], how=origin["how"], of=origin["of"])
            self.came.setdefault(row.pkgid, came)
            self._places[row.href] = row.pkgid
        assert record["packages"] == len(self.content), f"{self.name}: generation {number} miscounts"
        last = self._steps[-1] if self._steps else None
        assert last is None or last.time <= record["time"], f"{self.name}: the time of generation {number} went back"
        self._steps.append(
            Moved(number=number, time=record["time"], shown=record["shown"], added=added, removed=removed)
        )
        for path in _own(record):
            self._needed_until[path] = number
        self.counts.generations += 1
        self.counts.removed_builds += len(removed)

    def _as_intended(self, number: int, added: Sequence[Package], removed: Sequence[Package]) -> None:
        strange = [str(row.nevra) for row in added if row.pkgid not in self.intent.added]
        assert not strange, f"{self.name}: generation {number} adds {strange}"
        replaced = {row.nevra for row in added}
        lost = [str(row.nevra) for row in removed if row.nevra not in {*self.intent.removed, *replaced}]
        assert not lost, f"{self.name}: generation {number} loses {lost}"

    def kept(self) -> Sequence[int]:
        """The generations that must be whole, oldest first."""
        return range(self.oldest, self.head + 1)

    def at(self, number: int) -> dict[Nevra, Package]:
        """What a kept generation lists."""
        content = dict(self.content)
        for step in reversed(self._steps):
            if step.number == number:
                return content
            for row in step.added:
                content.pop(row.nevra)
            content.update({row.nevra: row for row in step.removed})
        msg = f"{self.name}: generation {number} is not kept"
        raise AssertionError(msg)

    # ------------------------------------------------------------ what is known of builds

    def marked(self, pkgid: str, *, pinned: bool, labels: Iterable[str]) -> None:
        """What the ledger says of a build after somebody changed it."""
        (self.pins.add if pinned else self.pins.discard)(pkgid)
        self._labels[pkgid] = set(labels)

    def remember(self, draw: random.Random) -> None:
        """Ledger and records still say of each listed build how it came; and of some, all that ``repod why`` tells."""
        past = Past(
            kept=list(History(self.inner).back()),
            book=Ledger(self.inner, lambda _attempt: None).all(),
        )
        listed = list(self.content.values())
        for package in listed:
            said, came = _said(past.coming(package.pkgid)), self.came[package.pkgid]
            assert said == came, f"{self.name}: of {package.nevra} it is known that it came as {said}, it was {came}"
        for package in draw.sample(listed, min(_WHY, len(listed))):
            self._why(past, package)

    def _why(self, past: Past, package: Package) -> None:
        builds = past.builds(package.nevra, [package])
        (build,) = [one for one in builds if one.pkgid == package.pkgid]
        assert build.listed, build
        assert build.ranges[0][1] == self.head, build
        assert _said(build.came) == self.came[package.pkgid], build
        assert (build.known is not None and build.known.pin is not None) == (package.pkgid in self.pins), build
        labels = set(build.known.labels if build.known else ())
        assert labels == self._labels.get(package.pkgid, set()), build

    # ------------------------------------------------------------ looks

    def look(self) -> None:
        """The live view, read as a client does, is what the model says; every file is there, byte for byte."""
        self.counts.looks += 1
        found = validity.listed(self.inner)
        assert found == {row.href: row.pkgid for row in self.content.values()}, f"{self.name}: the live view"
        assert [validity.revision(self.inner), *validity.pointed(self.inner)] == [self.head] * 3

    def look_back(self, numbers: Iterable[int]) -> None:
        """The frozen views of these kept generations, byte for byte."""
        for number in numbers:
            found = validity.view(self.inner, f"generations/{number}/")
            assert found == {row.href: row.pkgid for row in self.at(number).values()}, f"{self.name}: view {number}"

    def pruned(self, oldest: int, left: Collection[Nevra]) -> None:
        """After a prune that was not disturbed: nothing is there that nobody was promised.

        ``oldest``: the oldest generation that had to be whole when it began; its own last one may push that
        over the edge. ``left``: what is listed still though not promised.
        """
        assert not left, f"{self.name}: still listed after a prune: {sorted(map(str, left))[:5]}"
        strange = Ledger(self.inner, lambda _attempt: None).all().keys() - set(self._places.values())
        assert not strange, f"{self.name}: the ledger speaks of builds that are gone: {sorted(strange)[:5]}"
        self.counts.prunes += 1
        self.bytes = Bytes()
        for stored in self.inner.list(""):
            self._weigh(stored, oldest)

    def _weigh(self, stored: Stored, oldest: int) -> None:
        """Count an object for what it has to be there; there must be something."""
        bytes_, path, size = self.bytes, stored.path, stored.size
        if not path.startswith("Packages/"):
            bytes_.documents += size
            needed = self._needed_until.get(path, 0) >= oldest or path.startswith(".repod/ledger/")
            assert needed or path in _FOREVER or self._is_young(stored), f"{self.name}: {path} outlived a prune"
        elif path in self._hrefs:
            bytes_.promised += size
        elif self._needed_until.get(path, 0) >= oldest:
            bytes_.generations += size
        else:
            bytes_.young += size
            assert self._is_young(stored), f"{self.name}: {path} outlived a prune"

    def _is_young(self, stored: Stored) -> bool:
        """Whether an object that nothing names may be on its way."""
        return stored.modified >= self.clock() - max(self.grace, UNDER_WAY)

    def told(self) -> str:
        """What happened so far, and what the last prune left."""
        counts, left = self.counts, self.bytes
        return (
            f"{self.name}: generation {self.head}, {len(self.content)} builds listed, {counts.removed_builds} taken "
            f"out, {counts.removed_files} files removed, {counts.prunes} prunes, {counts.looks} looks; bytes left: "
            f"packages {left.promised:,} promised + {left.generations:,} of kept generations + {left.young:,} young, "
            f"documents {left.documents:,}"
        )

    def fetch(self, href: str, pkgid: str) -> None:
        """A client fetches a file, and gets the bytes it was promised."""
        data = self.inner.read(StorePath(href)).data
        assert hashlib.sha256(data).hexdigest() == pkgid, f"{self.name}: {href} is not what was promised"


def _rows(rows: Iterable[Mapping[str, Any]]) -> Sequence[Package]:
    return [Package(**row | {"nevra": Nevra(**row["nevra"]), "pkgid": sha256(row["pkgid"])}) for row in rows]


def _own(record: Mapping[str, Any]) -> Iterable[str]:
    """Everything that a generation needs beside its packages: record, documents of both views, frozen index."""
    view = f"generations/{record['number']}/"
    yield record_path(record["number"])
    yield from (document["href"] for document in record["documents"])
    yield from (view + document["href"] for document in (record["frozen"], *record["documents"][1:]))
    yield from (view + validity.LIVE, view + validity.ASC)


def _said(coming: Coming | None) -> Came | None:
    if coming is None:
        return None
    return Came(generation=coming.generation, actor=coming.actor, how=coming.origin.how, of=coming.origin.of)
