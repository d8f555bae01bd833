"""Maintenance windows: texts such as ``Mon-Fri 22:00-04:00``, and whether one is open.

Hosts read them too (``repod.hosts``): so the standard library alone, and Python 3.9.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Callable, Iterator  # noqa: UP035 - as above

FORM = "expected a window such as 'Mon-Fri 22:00-04:00', 'Sat,Sun 01:00-05:00 UTC' or 'daily 02:00-03:30'"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = r"(\d\d?):(\d\d)"
_WINDOW = re.compile(rf"(?:(?P<days>[A-Za-z,-]+) +)?{_TIME}-{_TIME}(?P<utc> +UTC)?")
_MINUTES = 24 * 60


@dataclass(frozen=True)
class Window:
    """Minutes of a day from ``begin`` to before ``end``, on weekdays (Monday is 0) on which it begins.

    One whose end is not after its begin ends on the next day. ``utc``: else by the clock of the host.
    """

    days: frozenset[int]
    begin: int
    end: int
    utc: bool

    @classmethod
    def parse(cls, text: str) -> Window:
        """The window that ``text`` says; ``ValueError`` where it says none."""
        match = _WINDOW.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{FORM}, found {text!r}")
        begin, end = _minutes(match[2], match[3]), _minutes(match[4], match[5])
        days = frozenset(_days(match["days"] or "daily"))
        if not days or begin >= _MINUTES or end > _MINUTES or begin == end:
            raise ValueError(f"{FORM}, found {text!r}")
        return cls(days, begin, end, bool(match["utc"]))

    def is_open(self, now: float, local: Callable[[float], time.struct_time] = time.localtime) -> bool:
        """Whether it is, at ``now`` (seconds since 1970)."""
        clock = time.gmtime(now) if self.utc else local(now)
        minute, day = clock.tm_hour * 60 + clock.tm_min, clock.tm_wday
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


def _minutes(hours: str, minutes: str) -> int:
    return int(hours) * 60 + int(minutes) if int(minutes) < 60 else _MINUTES + 1  # noqa: PLR2004 - of an hour


def _days(text: str) -> Iterator[int]:
    """The weekdays of ``Mon-Fri,Sun`` or ``daily``; nothing where one of them is none."""
    if text.lower() == "daily":
        yield from range(7)
        return
    found = []
    for part in text.lower().split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if first not in _DAYS or last not in _DAYS:
            return
        begin = _DAYS.index(first)
        length = (_DAYS.index(last) - begin) % 7
        found += [(begin + step) % 7 for step in range(length + 1)]
    yield from found
