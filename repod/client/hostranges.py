"""Ranges in names of hosts, as Ansible has them: ``web[01:12].example.com``, ``db-[a:c]``, ``n[0:20:5]``."""

import itertools
import re
import string
from collections.abc import Iterator, Sequence

from repod.errors import Misconfigured
from repod.numerals import number

_MOST = 10_000
_RANGE = re.compile(r"\[([0-9A-Za-z]*):([0-9A-Za-z]+)(?::([0-9]+))?\]")


def expanded(text: str) -> Sequence[str]:
    """All names that it stands for, in order; one without a range is itself.

    ``Misconfigured`` for a range that is none, or too long.
    """
    # Odd places hold the ranges, even ones what is between.
    pieces = re.split(r"(\[[^\[\]]*:[^\[\]]*\])", text)
    found = [_range(one, text) if place % 2 else [one] for place, one in enumerate(pieces)]
    size = 1
    for one in found:
        size *= len(one)
    if size > _MOST:
        raise Misconfigured(f"hosts {text!r}: expected at most {_MOST} names, found {size}")
    return ["".join(parts) for parts in itertools.product(*found)]


def _range(piece: str, text: str) -> Sequence[str]:
    match = _RANGE.fullmatch(piece)
    step = number(match[3] or "1") if match else None
    values = list(_values(match[1] or "0", match[2], step)) if match and step else []
    if not values:
        msg = f"hosts {text!r}: expected a range such as [1:9], [01:12], [a:f] or [0:20:5], found {piece!r}"
        raise Misconfigured(msg)
    return values


def _values(first: str, last: str, step: int) -> Iterator[str]:
    """All of them; none where the two ends do not fit together."""
    letters = string.ascii_letters
    if len(first) == len(last) == 1 and first in letters and last in letters:
        yield from letters[letters.index(first) : letters.index(last) + 1 : step]
    elif (begin := number(first)) is not None and (end := number(last)) is not None:
        padded = len(first) if len(first) > 1 and first[0] == "0" else 0
        if padded and padded != len(last):
            return
        if end - begin <= _MOST * step:
            yield from (str(one).zfill(padded) for one in range(begin, end + 1, step))
