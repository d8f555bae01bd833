"""What the last look for something to prune found: nothing, and until when that holds."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Nothing was to be done on ``generation``, and nothing becomes due before ``until`` but by what is published.

    ``room``: how many generations may come before one is beyond those that are kept; None: that has its
    time, which ``until`` knows. ``stored``: bytes in the store then.
    """

    generation: int
    until: float
    room: int | None
    stored: int


class Memory(Protocol):
    """Keeps what the last look found, for a process that looks only once too. May forget."""

    def load(self) -> Idle | None:
        """What was found last, under the same settings."""

    def save(self, idle: Idle | None) -> None:
        """Remember it; None: something was to be done."""
