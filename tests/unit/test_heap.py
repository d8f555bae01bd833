"""How many heaps a process of many threads has, as malloc_info(3) tells it."""

import os
import re
import subprocess
import sys

_ASK = """
import ctypes, os, sys, threading
from repod.heap import give_back
give_back(os.environ)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.fdopen.restype = ctypes.c_void_p, [ctypes.c_size_t], ctypes.c_void_p
together = threading.Barrier(12)
def ask():
    libc.malloc(64)
    together.wait()
threads = [threading.Thread(target=ask) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, file)
libc.fflush(file)
"""


def _heaps(**environ: str) -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", _ASK], capture_output=True, text=True, check=True, timeout=60, env=clean | environ
    )
    return len(re.findall(r"<heap nr=", done.stdout))


def test_threads_share_two_heaps() -> None:
    assert _heaps() == 2


def test_what_the_environment_says_of_the_heap_holds() -> None:
    assert _heaps(MALLOC_ARENA_MAX="5") == 5
