"""The pages of generations: the timeline, one of them, and what differs between two."""

from collections.abc import Mapping
from typing import Any

from repod.errors import NotFound
from repod.web.api.problems import INVALID, Declined
from repod.web.pages.front import Asked

_PAGE = 20
_BUILDS = 6
_LINES = 500
_DIGITS = 15


def timeline(asked: Asked, name: str) -> Mapping[str, Any]:
    """The generations, newest first."""
    before = _number(asked, "before", 0)
    rows = asked.history(name, before=before, limit=_PAGE + 1)
    return {
        "state": asked.state(name),
        "rows": rows[:_PAGE],
        "before": before,
        "older": rows[_PAGE - 1]["generation"] if len(rows) > _PAGE else 0,
        "shown": _BUILDS,
    }


def one(asked: Asked, name: str, number: int) -> Mapping[str, Any]:
    """One generation, and the way back to it."""
    state = asked.state(name)
    rows = asked.history(name, before=number + 1, limit=1)
    if not rows or rows[0]["generation"] != number:
        msg = f"there is no generation {number} of {name}, or it is pruned"
        raise NotFound(msg)
    return {
        "state": state,
        "row": rows[0],
        "number": number,
        "limit": _LINES,
        "done": asked.query("done") == "rollback",
        "preview": False,
        "wrong": "",
        "why": "",
    }


def compared(asked: Asked, name: str) -> Mapping[str, Any]:
    """What changes for hosts from one generation to another."""
    first, second = _number(asked, "from"), _number(asked, "to")
    return {
        "state": asked.state(name),
        "first": first,
        "second": second,
        "change": asked.office.looks.diff(name, first, name, second),
        "limit": _LINES,
    }


def _number(asked: Asked, key: str, default: int | None = None) -> int:
    text = asked.query(key)
    if not text and default is not None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS:
        msg = f"{key}: expected the number of a generation, found {text[:40]!r}"
        raise Declined(INVALID, msg)
    return int(text)
