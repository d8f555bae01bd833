"""The changes of one store, gone through in the order in which they were made: what became of the repository.

It reads records as JSON alone and parses no document. What it finds wrong on the way are violations of what holds at
every moment: one pointer that goes on by one, records that never change, and nothing gone that somebody may need.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from repod.package import Nevra, Package, StorePath, sha256
from tests.histories.history import Violation
from tests.histories.wire import Effect

HEAD = ".repod/head.json"
_RECORD = re.compile(r"\.repod/generations/([0-9]+)\.json")
_STATEMENT = "statement"  # nobody fetches packages by it
_VIEWS = {
    "repodata/repomd.xml": ("live", re.compile(rb"<revision>(\d+)</revision>")),
    "mirrorlist": ("mirrorlist", re.compile(rb"/generations/(\d+)/\n")),
    "repodata/statement.json": (_STATEMENT, re.compile(rb'\\"generation\\": (\d+)')),
    "metalink.xml": ("metalink", re.compile(rb"/generations/(\d+)/repodata/repomd\.xml</url>")),
}

Content = Mapping[Nevra, Package]
"""What a generation lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A generation as its record says, and when the record was there and when the pointer named it (steps)."""

    number: int
    parent: int
    time: int
    actor: str
    why: str
    packages: int
    added: Sequence[Package]
    removed: Sequence[Package]
    documents: Sequence[str]
    claimed: int
    by: str


@dataclass(slots=True, kw_only=True)
class Replay:
    """A repository after some changes. ``current`` says of each number at which step the pointer came to it."""

    name: str
    grace: float
    generations: int
    head: int = 0
    made: dict[int, Made] = field(default_factory=dict)
    contents: dict[int, Content] = field(default_factory=lambda: {0: {}})
    current: dict[int, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    left: dict[int, float] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    violations: list[Violation] = field(default_factory=list)

    def copied(self) -> "Replay":
        """Another one that goes on from here."""
        other = copy(self)
        for name in ("made", "contents", "current", "shown", "left", "there", "violations"):
            setattr(other, name, copy(getattr(self, name)))
        return other

    def follow(self, effects: Sequence[Effect]) -> None:
        """Go through changes."""
        for effect in effects:
            self.violations.extend(self._followed(effect))

    def _followed(self, effect: Effect) -> Iterator[Violation]:
        if effect.verb == "remove":
            yield from self._removed(effect)
            self.there.discard(effect.path)
            return
        record = _RECORD.fullmatch(effect.path)
        if effect.before not in {None, effect.data} and (record or effect.verb == "add" or "/repodata/" in effect.path):
            yield self._wrong(
                "what is immutable stays", f"{effect.path} was changed at step {effect.step} by {effect.by}"
            )
        if effect.data is not None:  # a store that loses writes is what some tests are about
            self.there.add(effect.path)
        if effect.before == effect.data:
            return
        if record and effect.data:
            yield from self._claimed(json.loads(effect.data), effect)
        elif effect.path == HEAD and effect.data:
            yield from self._pointed(json.loads(effect.data)["generation"], effect)
        elif effect.path in _VIEWS and effect.data:
            view, pattern = _VIEWS[effect.path]
            found = pattern.search(effect.data)
            assert found, effect.path
            yield from self._showed(view, int(found[1]), effect)

    def _wrong(self, rule: str, text: str) -> Violation:
        return Violation(repository=self.name, rule=rule, text=text)

    # ------------------------------------------------------------ generations

    def _claimed(self, record: Mapping[str, Any], effect: Effect) -> Iterator[Violation]:
        number, rule = record["number"], "each generation is its parent plus one change"
        made = _made(record, effect)
        where = f"generation {number}, claimed at step {effect.step} by {effect.by}"
        if number in self.made:
            yield self._wrong("a number is used once", f"{where}, was there already, by {self.made[number].by}")
        if number != self.head + 1 or made.parent != self.head:
            yield self._wrong("generations are gapless", f"{where}, parent {made.parent}: {self.head} is current")
        parent = self.made.get(made.parent)
        if parent and made.time < parent.time:
            yield self._wrong("time never goes back", f"{where}: its time is {made.time}, its parent's {parent.time}")
        content = dict(self.contents.get(made.parent, {}))
        for package in made.removed:
            if content.pop(package.nevra, None) != package:
                yield self._wrong(rule, f"{where} removes {package.nevra}, which its parent does not list so")
        for package in made.added:
            if package.nevra in content:
                yield self._wrong(rule, f"{where} adds {package.nevra}, which its parent lists")
            content[package.nevra] = package
        if made.packages != len(content):
            yield self._wrong(rule, f"{where} says that it lists {made.packages} packages, it lists {len(content)}")
        self.made[number], self.contents[number] = made, content
        for path in sorted(self._needs(number) - self.there - _frozen(number)):
            yield self._wrong("what is listed is there", f"{where} names {path}, which is not there")

    def _pointed(self, number: int, effect: Effect) -> Iterator[Violation]:
        where = f"step {effect.step}, by {effect.by}"
        if number != self.head + 1 or number not in self.made:
            yield self._wrong("the pointer goes on by one", f"from {self.head} to {number} at {where}")
        for path in sorted(_frozen(number) - self.there):
            yield self._wrong(
                "what is pointed at is whole", f"{path} is not there when the pointer names it at {where}"
            )
        self._leave(self.head, number, effect.time)
        self.head = number
        self.current[number] = effect.step

    def _showed(self, view: str, number: int, effect: Effect) -> Iterator[Violation]:
        before = self.shown.get(view, 0)
        if not before <= number <= self.head:  # the metalink is written again where it spoke of an index of long ago
            text = f"{view} goes from {before} to {number}, the pointer is {self.head}: step {effect.step}, {effect.by}"
            yield self._wrong("views follow the pointer and never go back", text)
        self.shown[view] = number
        if view != _STATEMENT:
            self._leave(before, number, effect.time)

    def _leave(self, before: int, after: int, time: float) -> None:
        """Clients that look now do not see the generations before ``after`` in this place any more."""
        for number in range(before, after):
            self.left[number] = time

    # ------------------------------------------------------------ what goes

    def _needs(self, number: int) -> set[str]:
        """All that a generation needs: its record, documents and packages, and its frozen index."""
        made = self.made[number]
        packages = {package.href for package in self.contents[number].values()}
        return {f".repod/generations/{number}.json", *made.documents, *packages, *_frozen(number)}

    def _removed(self, effect: Effect) -> Iterator[Violation]:
        if effect.path == HEAD or effect.path in _VIEWS:
            yield self._wrong("what is needed stays", f"{effect.path} was removed at step {effect.step} by {effect.by}")
        for number in self.made:
            why = self._kept(number, effect.time)
            if why and effect.path in self._needs(number):
                text = f"{effect.path} was removed at step {effect.step} by {effect.by}; generation {number} {why}"
                yield self._wrong("what is needed stays", text)
                return

    def _kept(self, number: int, now: float) -> str:
        """Why a generation is to be whole; empty where it need not be."""
        if number >= min([self.head, *(shown for view, shown in self.shown.items() if view != _STATEMENT)]):
            return "is current, or will be"
        if number > self.head - self.generations:
            return f"is among the newest {self.generations}"
        age = now - self.left[number]
        return f"was shown {age:.1f} s ago, grace is {self.grace:.0f} s" if age < self.grace else ""


def _frozen(number: int) -> set[str]:
    view = f"generations/{number}/repodata/repomd.xml"
    return {view, f"{view}.asc"}


def _made(record: Mapping[str, Any], effect: Effect) -> Made:
    view = f"generations/{record['number']}/"
    frozen = [view + document["href"] for document in (record["frozen"], *record["documents"][1:])]
    return Made(
        **{name: record[name] for name in ("number", "parent", "time", "actor", "why", "packages")},
        added=_packages(record["added"]),
        removed=_packages(record["removed"]),
        documents=[*(document["href"] for document in record["documents"]), *frozen],
        claimed=effect.step,
        by=effect.by,
    )


def _packages(rows: Sequence[Mapping[str, Any]]) -> Sequence[Package]:
    return [
        Package(nevra=Nevra(**row["nevra"]), pkgid=sha256(row["pkgid"]), size=row["size"], href=StorePath(row["href"]))
        for row in rows
    ]
