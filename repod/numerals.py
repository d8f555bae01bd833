"""Numbers in texts of strangers."""

import re

_NUMBER = re.compile(r"0*([0-9]{1,19})")  # ASCII alone: what ``isdigit`` also takes is no number for ``int``

EPOCH = (1 << 32) - 1
"""The largest epoch that rpm has room for."""


def number(text: str | None, most: int = (1 << 63) - 1) -> int | None:
    """The number that ``text`` is, digits alone, from 0 to ``most``; None where it is none."""
    match = _NUMBER.fullmatch(text or "")
    found = int(match[1]) if match else None
    return None if found is None or found > most else found
