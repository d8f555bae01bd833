"""Buffers to read into: lent for one reading, so that there are as many as are read into at one time.

Each of the threads of each repository would hold one of its own otherwise: with fifty repositories a hundred, of
which the processors fill two.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

SIZE = 1 << 20
"""Bytes of a buffer."""

_spare: deque[memoryview] = deque(maxlen=len(os.sched_getaffinity(0)))


@contextmanager
def lent() -> Iterator[memoryview]:
    """A buffer, whatever is in it; whoever got it holds nothing of it afterwards. Any thread may ask."""
    try:
        buffer = _spare.pop()
    except IndexError:
        buffer = memoryview(bytearray(SIZE))
    try:
        yield buffer
    finally:
        _spare.append(buffer)
