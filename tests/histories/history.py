"""What is recorded of a schedule: who asked for what, what they were told, and what readers saw.

Steps are scheduling points, counted from the start of the schedule: what ended at a step came before all that began
at a later one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from repod.package import Nevra, Sha256

Told = Literal["done", "refused", "failed", "nothing"]


@dataclass(slots=True, kw_only=True)
class Operation:
    """One request and its answer. ``name`` is the only one of that name, and stands in the generation that it makes.

    ``told``: ``done``; ``refused``, with no effect; ``failed``: it may have an effect, even later; ``nothing``: who
    was at work died. ``generation``: which one the caller was told. ``added``: builds said to be new in it, ``there``:
    said to be listed already, ``removed``: said to be gone, ``refused``: said to be in the way of others or not
    there. ``to``: the generation that was gone back to.
    """

    name: str
    kind: str
    by: str
    repository: str
    words: Sequence[str]
    began: int
    ended: int | None = None
    told: Told = "nothing"
    generation: int | None = None
    added: Mapping[Nevra, Sha256] = field(default_factory=dict)
    there: Mapping[Nevra, Sha256 | None] = field(default_factory=dict)
    removed: Collection[Nevra] = ()
    refused: Collection[Nevra] = ()
    to: int | None = None
    text: str = ""

    def __str__(self) -> str:
        words = "" if self.kind == "arrive" else " ".join(self.words)  # those are all that ever arrived
        end = "died" if self.ended is None else str(self.ended)
        said = f"generation {self.generation}" if self.generation else ""
        builds = " ".join(
            [*(f"+{n}" for n in self.added), *(f"={n}" for n in self.there), *(f"-{n}" for n in self.removed)]
        )
        text = self.text.splitlines()[0] if self.text else ""
        told = " ".join(part for part in (self.told, said, builds, text) if part)
        return f"[{self.began:>5} .. {end:>5}] {self.by}: {self.kind} {words} ({self.name}) -> {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a reader saw of one view: the generation and its time, and what was wrong with it."""

    by: str
    repository: str
    view: Literal["live", "mirrorlist", "metalink"]
    began: int
    ended: int
    generation: int
    time: int
    faults: Sequence[str] = ()

    def __str__(self) -> str:
        return (
            f"[{self.began:>5} .. {self.ended:>5}] {self.by}: {self.view} is generation {self.generation}, "
            f"time {self.time}{''.join(f'; {fault}' for fault in self.faults)}"
        )


@dataclass(slots=True, kw_only=True)
class History:
    """All of it."""

    operations: list[Operation] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken, and the operations, by name, that tell of it."""

    repository: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.repository}: {self.rule}: {self.text}"
