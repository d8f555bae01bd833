"""The C library's heap, set so that a process of many threads gives back what it needs no more.

By itself glibc gives threads up to eight heaps for each processor, and from the first large buffer that is freed on
it takes ever larger ones from those heaps: after each publish holes stay that nothing fits into. mallopt(3), malloc.h.
"""

import ctypes
from collections.abc import Mapping

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE = 128 << 10  # bytes; glibc's own first value, which holds only where it is set
_HEAPS = 2  # Python's lock lets few threads ask at one time
_ASKED = ("MALLOC_", "GLIBC_TUNABLES")


def give_back(environ: Mapping[str, str]) -> None:
    """From now on, and before there are threads. Where ``environ`` says how the heap is to be, that holds."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc alone has it
    if mallopt is None or any(name.startswith(_ASKED) for name in environ):
        return
    for option, value in ((_ARENA_MAX, _HEAPS), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE)):
        mallopt(option, value)
