"""What a check of a host found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line: of what, whether it is well, and what was found, with a remedy where it is not."""

    what: str
    well: bool
    found: str
