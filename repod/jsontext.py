"""JSON of strangers: what is no JSON is a ``ValueError`` and nothing else.

Python's own reader raises RecursionError where brackets nest deep, and reads ``NaN`` and ``1e999`` as numbers that no
integer can be made of.

Hosts have this room too: Python 3.9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_LONG = re.compile(r"[0-9]{300}")  # no float is so large

Pairs = Callable[[Sequence[tuple[str, Any]]], Any]
"""Makes an object of its keys and values, where it is to be more than a dict."""


def loads(data: bytes | str) -> Any:
    """The value that ``data`` holds, UTF-8 where it is bytes; ``ValueError`` where it is none."""
    text = data.decode() if isinstance(data, bytes) else data
    try:
        return decoder(text).decode(text)
    except RecursionError as error:
        raise too_deep() from error


def decoder(text: str, pairs: Pairs | None = None) -> json.JSONDecoder:
    """What reads ``text``, value by value; who uses it sees to ``RecursionError``."""
    if pairs is None and not _LONG.search(text):
        return _FAST
    return _decoder(pairs, _bounded)


def prove(text: str, found: Any) -> None:
    """``ValueError`` where ``found``, which was read from ``text``, holds halves of surrogate pairs: no UTF-8 has them.

    For names that are asked for elsewhere. In repod's own records they stand for bytes of names that are no UTF-8.
    """
    if _HALF.search(text):
        json.dumps(found, ensure_ascii=False).encode()


def too_deep() -> ValueError:
    """The error of brackets that nest deeper than a reader goes."""
    return ValueError("it nests too deep")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise _range(text)
    return number


def _bounded(text: str) -> int:
    if _LONG.search(text):
        raise _range(text)
    return int(text)


def _range(text: str) -> ValueError:
    return ValueError(f"the number {text[:40]} is out of range")


def _no_number(text: str) -> Any:
    msg = f"{text} is no number of JSON"
    raise ValueError(msg)


def _decoder(pairs: Pairs | None, whole: Callable[[str], int] | None) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=pairs, parse_float=_finite, parse_int=whole, parse_constant=_no_number)


_FAST = _decoder(None, None)
