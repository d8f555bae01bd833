"""JSON of any length, read so that other threads of the process go on meanwhile.

Python's own reader holds them all up until it is done: 0.1 s and more for the record of a generation that
brought 50,000 packages.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from repod import jsontext

_SPACE = re.compile(r"[ \t\n\r]*")
_DEEP = 2  # an object, and the lists in it, are taken apart here; their items by Python's own reader
_Read = Callable[[str, int], tuple[Any, int]]


def loads(data: bytes) -> Any:
    """What ``jsontext.loads`` would make of ``data``, UTF-8; ``ValueError`` where it is no JSON."""
    text = data.decode()
    try:
        value, end = _value(text, _skip(text, 0), _DEEP, jsontext.decoder(text).raw_decode)
    except RecursionError as error:
        raise jsontext.too_deep() from error
    end = _skip(text, end)
    if end != len(text):
        msg = "Extra data"
        raise json.JSONDecodeError(msg, text, end)
    return value


def _value(text: str, at: int, depth: int, read: _Read) -> tuple[Any, int]:
    """The value that begins at ``at``, and where it ends."""
    if depth and text.startswith("{", at):
        return _object(text, at, depth - 1, read)
    if depth and text.startswith("[", at):
        return _list(text, at, depth - 1, read)
    return read(text, at)


def _object(text: str, at: int, depth: int, read: _Read) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = _skip(text, at + 1)
    if text.startswith("}", at):
        return found, at + 1
    while True:
        if not text.startswith('"', at):
            msg = "Expecting property name enclosed in double quotes"
            raise json.JSONDecodeError(msg, text, at)
        key, at = read(text, at)
        at = _past(":", text, _skip(text, at))
        found[key], at = _value(text, at, depth, read)
        at = _skip(text, at)
        if text.startswith("}", at):
            return found, at + 1
        at = _past(",", text, at)


def _list(text: str, at: int, depth: int, read: _Read) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = _skip(text, at + 1)
    if text.startswith("]", at):
        return found, at + 1
    while True:
        value, at = _value(text, at, depth, read)
        found.append(value)
        at = _skip(text, at)
        if text.startswith("]", at):
            return found, at + 1
        at = _past(",", text, at)


def _past(mark: str, text: str, at: int) -> int:
    """Where the next thing begins after ``mark``, which must stand at ``at``."""
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"Expecting {mark!r}", text, at)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
