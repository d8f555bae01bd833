"""What a target of the fuzzer is, and what holds for all of them."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from repod.errors import Corrupt

Run = Callable[[bytes], str]
"""Hands one input to the code; what came of it, in a few words. An exception is a finding."""

Mutate = Callable[[Random, bytes], bytes]

CORPUS = Path(__file__).parent / "corpus"
_LONGEST_LINE = 3000
_ODD = re.compile(r"""(['"<`(\[]).*|[0-9a-f]{8,}|\d+""", re.DOTALL)


class Finding(AssertionError):
    """What must not be: the code did with ``data`` what no target allows. ``data`` None: the input at hand."""

    def __init__(self, text: str, data: bytes | None = None) -> None:
        super().__init__(text)
        self.data = data


@dataclass(frozen=True, kw_only=True)
class Target:
    """One door of repod that takes what strangers send.

    ``open`` is entered once per process, with an empty folder, and gives what runs an input. ``settle`` is called
    now and then, and at the end: it proves together what single runs let in. An input may take ``seconds`` of
    processor time, and raise the process's peak of memory by ``memory`` bytes.
    """

    name: str
    what: str
    seeds: Callable[[], Iterable[bytes]]
    mutate: Mutate
    open: Callable[[Path], Any]
    seconds: float = 3.0
    memory: int = 512 << 20
    contain: Callable[[bytes], str] | None = None
    """Where repod reads such input in a process that may die: what becomes of one by which it does."""


@dataclass(kw_only=True)
class Opened:
    """A target at work."""

    run: Run
    settle: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, kw_only=True)
class Door:
    """A reader of one kind of text. ``read`` gives a word for what it is, or raises one of ``refusals``."""

    read: Callable[[bytes], object]
    refusals: tuple[type[BaseException], ...]
    mutate: Mutate
    seeds: Sequence[bytes]
    lines: int = 1
    """How many lines a refusal may have; 0: one for each fault."""


def of_doors(name: str, what: str, make: Callable[[Path], Mapping[str, Door]], **limits: Any) -> Target:
    """A target of several readers: an input begins with a line that says which one."""
    shelf: dict[str, Door] = {}

    def doors(folder: Path | None = None) -> Mapping[str, Door]:
        if folder is not None or not shelf:
            shelf.update(make(folder or Path("/nonexistent")))
        return shelf

    @contextmanager
    def opened(folder: Path) -> Iterator[Opened]:
        found = doors(folder)
        yield Opened(run=lambda data: _through(found, data))

    def seeds() -> Iterator[bytes]:
        for door, one in doors().items():
            yield from (door.encode() + b"\n" + seed for seed in one.seeds)

    def mutate(draw: Random, data: bytes) -> bytes:
        door, _, rest = data.partition(b"\n")
        one = doors().get(door.decode(errors="replace"))
        return data if one is None else door + b"\n" + one.mutate(draw, rest)

    return Target(name=name, what=what, seeds=seeds, mutate=mutate, open=opened, **limits)


def _through(doors: Mapping[str, Door], data: bytes) -> str:
    name, _, rest = data.partition(b"\n")
    door = doors.get(name.decode(errors="replace"))
    if door is None:
        return "no such door"
    return f"{name.decode()}: {_asked(door, rest)}"


def _asked(door: Door, data: bytes) -> str:
    """What came of it; a refusal must be said well."""
    try:
        found = door.read(data)
    except door.refusals as error:
        said_well(str(error), door.lines)
        return f"refused: {kind_of(str(error))}"
    return f"taken: {found}" if isinstance(found, str) else "taken"


def said_well(text: str, lines: int = 1) -> None:
    """``Finding`` where a refusal is not fit for a log: one bounded line, nothing in it that a terminal obeys."""
    found = text.split("\n")
    if lines and len(found) > lines:
        raise Finding(f"a refusal has several lines: {text[:300]!r}")
    for line in found:
        odd = next((char for char in line if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}), "")
        if odd or not line.strip():
            raise Finding(f"a refusal holds what steers a terminal: {odd!r}: {line[:300]!r}")
        if len(line) > _LONGEST_LINE:
            raise Finding(f"a refusal has a line without bound: {len(line)} characters: {line[:200]!r}…")


def kind_of(text: str) -> str:
    """A refusal without what is in it of the input, so that equal kinds are equal."""
    return " ".join(_ODD.sub("#", text.split("\n", maxsplit=1)[0]).split()[:9])


def only(read: Callable[[bytes], Any], *allowed: type[BaseException]) -> Callable[[bytes], object]:
    """``read``, whose errors ``allowed`` become ``Corrupt``: for doors that say no by a ValueError of their own."""

    def wrapped(data: bytes) -> object:
        try:
            return read(data)
        except allowed as error:
            raise Corrupt(str(error)) from error

    return wrapped
