"""A finding of ``repod check``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """``severity``: ``fault`` (repod cannot work so) or ``warning``."""

    severity: str
    where: str
    text: str


def fault(where: str, text: str) -> Problem:
    """What repod cannot work with."""
    return Problem(severity="fault", where=where, text=text)


def warning(where: str, text: str) -> Problem:
    """What may hurt."""
    return Problem(severity="warning", where=where, text=text)
