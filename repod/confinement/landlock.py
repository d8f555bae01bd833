"""Which files a process may still open: a ruleset in the kernel, as ``landlock(7)`` describes it.

What is not named is denied: files, and where the kernel is new enough TCP, sockets in the abstract name space
and signals to others. It needs no privilege; kernels from 5.13 on have it, where it is switched on.
"""

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

# Source: linux/landlock.h. The numbers of the calls are the same on all kinds of machines.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_FOLDER, _REMOVE_FOLDER, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
_MAKE_FOLDER, _MAKE_FILE, _TRUNCATE = 1 << 7, 1 << 8, 1 << 14
_READ = _READ_FILE | _READ_FOLDER
_WRITE = _READ | _WRITE_FILE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE | _TRUNCATE

# By version: how many rights to files, and to the network, and how many scopes it knows.
_KNOWN = {1: (13, 0, 0), 2: (14, 0, 0), 3: (15, 0, 0), 4: (15, 2, 0), 5: (16, 2, 0), 6: (16, 2, 2)}
_LATEST = max(_KNOWN)


class Unsupported(Exception):
    """This kernel has no Landlock; the text says why."""


def version() -> int:
    """What the kernel knows of it. Raises ``Unsupported``."""
    found = _call(_CREATE, None, 0, _VERSION)
    if found < 1:
        msg = f"the kernel has no Landlock ({os.strerror(-found)})"
        raise Unsupported(msg)
    return found


def restrict(*, read: Sequence[Path], write: Sequence[Path]) -> None:
    """Leave this process the files below ``read`` to read, and those below ``write`` to change; for good.

    Raises ``Unsupported``, and ``OSError`` where a folder is not there.
    """
    files, network, scopes = _KNOWN[min(version(), _LATEST)]
    handled = (1 << files) - 1
    attributes = struct.pack("=QQQ", handled, (1 << network) - 1, (1 << scopes) - 1)
    rules = _done(_call(_CREATE, attributes, 24 if scopes else 16 if network else 8, 0))
    try:
        for folders, rights in ((read, _READ), (write, _WRITE)):
            for folder in folders:
                _allow(rules, folder, rights & handled)
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _done(_call(_RESTRICT, rules, 0))
    finally:
        os.close(rules)


def _allow(rules: int, folder: Path, rights: int) -> None:
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        _done(_call(_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0))
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    """What the kernel answers: a number from 0 on, or an errno below it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    answer = int(libc.syscall(ctypes.c_long(number), *arguments))
    return answer if answer >= 0 else -ctypes.get_errno()


def _done(answer: int) -> int:
    if answer < 0:
        msg = f"the kernel has Landlock and refuses it ({os.strerror(-answer)})"
        raise Unsupported(msg)
    return answer
