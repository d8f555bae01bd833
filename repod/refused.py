"""The door to what is told of refused arrivals, wherever they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One state of a reason file. ``name`` is that of the refused arrival, raw; ``modified`` nanoseconds since 1970."""

    name: str
    modified: int
    mark: str


class Reasons(Protocol):
    """Reads the reasons in one place. Threads may share it."""

    def list(self) -> Sequence[Told]:
        """All there are, in any order; ``Unavailable`` rather than fewer."""

    def read(self, told: Told) -> bytes | None:
        """What one says; None where it is gone, or another by now."""
