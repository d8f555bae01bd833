"""Strict reading of YAML that strangers wrote: every scalar a text, nothing shared, bounded depth.

No YAML is written: a stream is split where its documents begin, and their texts stay as they are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from repod.errors import Corrupt
from repod.repodata.strictxml import plain

Value: TypeAlias = "str | Sequence[Value] | Mapping[str, Value]"
"""YAML without its types: ``1.10`` is the text "1.10"; as a number it would be 1.1, another stream."""

DEPTH = 32
"""Nested lists and mappings; what is read so has about ten."""

# The two marks bound documents wherever they begin a line: YAML forbids them there inside any scalar.
_MARK = re.compile(r"^(---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_LOADER: Any = yaml.CBaseLoader


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The text of one document of a stream, and the line of the stream in which it begins."""

    line: int
    text: str


def split(data: bytes, what: str) -> list[Part]:
    """A stream's documents, each from its ``---`` to the next mark, ending with a line end.

    A first document without a mark is given one. ``Corrupt`` where the stream is not UTF-8, or
    text stands outside of its documents (directives too).
    """
    text = plain(data, what).removeprefix("\ufeff")
    marks = [*_MARK.finditer(text)]
    bounds = [match.start() for match in marks] + [len(text)]
    found = []
    if not _says_nothing(text[: bounds[0]]):
        found.append(Part(line=0, text="---\n" + _ended(text[: bounds[0]])))
    line = 1 + text.count("\n", 0, bounds[0])
    for match, start, end in zip(marks, bounds, bounds[1:], strict=False):
        piece = text[start:end]
        if match[1] == "---":
            found.append(Part(line=line, text=_ended(piece)))
        elif not _says_nothing(piece[3:]):
            msg = f"{what}: line {line}: expected nothing between '...' and '---'; begin each document with '---'"
            raise Corrupt(msg)
        line += piece.count("\n")
    return found


def _says_nothing(text: str) -> bool:
    return all(line.isspace() or line.lstrip().startswith("#") for line in text.splitlines() if line)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def parse(part: Part, what: str) -> Value:
    """The one document that ``part`` holds.

    ``Corrupt`` where it is not YAML, nests deeper than ``DEPTH``, has aliases (which can stand
    for gigabytes, and which libmodulemd does not read), or a key twice in a mapping.
    """
    build = _Builder(what=what, line=part.line)
    try:
        for event in yaml.parse(part.text, Loader=_LOADER):
            build.take(event)
    except yaml.YAMLError as error:
        raise Corrupt(f"{what}: {_said(error, part.line)}") from error
    return build.document()


def _said(error: yaml.YAMLError, line: int) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {line + (mark.line if mark else 0)}: not sound YAML: {problem}"


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended; ``key`` is the one that waits for its value."""

    items: "list[Value] | dict[str, Value]"
    key: str | None = None


@dataclass(slots=True, kw_only=True)
class _Builder:
    """Makes a value of events, without recursion: depth is a number here and not the stack's."""

    what: str
    line: int
    stack: list[_Open] = field(default_factory=list)
    roots: list[Value] = field(default_factory=list)

    def document(self) -> Value:
        if len(self.roots) != 1:
            msg = f"{self.what}: line {self.line}: expected one document, found {len(self.roots)}"
            raise Corrupt(msg)
        return self.roots[0]

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.refuse(event, f"found the alias *{event.anchor}; write out what it stands for")
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.close(event)
        elif isinstance(event, yaml.ScalarEvent):
            self.put(event.value, event)

    def open(self, event: Any) -> None:
        if len(self.stack) >= DEPTH:
            self.refuse(event, f"nests deeper than {DEPTH} lists and mappings")
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.items, dict) and top.key is None:
            self.refuse(event, "expected a text as key, found a list or mapping")
        self.stack.append(_Open([] if isinstance(event, yaml.SequenceStartEvent) else {}))

    def close(self, event: Any) -> None:
        self.put(self.stack.pop().items, event)

    def put(self, value: Value, event: Any) -> None:
        if not self.stack:
            self.roots.append(value)
            return
        top = self.stack[-1]
        if isinstance(top.items, list):
            top.items.append(value)
        elif top.key is None and isinstance(value, str):
            if value in top.items:
                self.refuse(event, f"the key {value!r} stands twice in its mapping; remove one")
            top.key = value
        elif top.key is not None:
            top.items[top.key], top.key = value, None

    def refuse(self, event: Any, reason: str) -> None:
        msg = f"{self.what}: line {self.line + event.start_mark.line}: {reason}"
        raise Corrupt(msg)
