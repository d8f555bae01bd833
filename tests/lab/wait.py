"""Waiting for a condition, never for luck."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The first true value of ``condition``, asked again and again for ``seconds``.

    ``what`` completes "waited N s for ..." in the ``AssertionError`` that ends the wait.
    """
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            msg = f"waited {seconds:g} s for {what}; last seen: {value!r}"
            raise AssertionError(msg)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def heard(lines: Iterable[str], wanted: Callable[[str], bool], what: str, seconds: float = 60) -> str:
    """The first line of a stream that is ``wanted``; ``AssertionError`` with all that came where none is in time.

    A stream that says now and then that it lives is never at its end, and no line of it may be the one.
    """
    deadline = time.monotonic() + seconds
    seen: list[str] = []
    for line in lines:
        if wanted(line):
            return line
        seen.append(line)
        if time.monotonic() > deadline:
            break
    msg = f"waited for {what} on a stream, which said: {seen[-50:]!r}"
    raise AssertionError(msg)
