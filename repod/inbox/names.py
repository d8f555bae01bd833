"""Names in an inbox: which are arrivals, which are left alone, how any is written down."""

import os
from collections.abc import Callable

from repod.package import is_rpm

Wanted = Callable[[str], bool]
"""Whether a file of that name, which is no RPM, is an arrival all the same."""

REASON = ".reason.json"
"""End of the name of the file that says why an arrival was rejected."""

OURS = ".repod-"
"""Beginning of the names that repod itself gives to what it is moving."""

_LONGEST = 255  # bytes in one file name, on every file system Linux knows
# What curl, scp, browsers, WinSCP and editors call a file until it is whole.
_PARTS = ("~", ".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp")


def left_alone(name: str, *, folder: bool, wanted: Wanted) -> str:
    """Why an entry of that name is none of repod's business; empty where it is."""
    if name.startswith("."):
        return "its name is hidden"
    if name.endswith(_PARTS):
        return "its name says that it is not finished"
    if folder:
        # Only root may read it, and only a file system check writes there.
        return "it belongs to the file system" if name == "lost+found" else ""
    if name.lower().endswith(REASON):
        return "it says why an arrival was rejected"
    return "" if is_rpm(name) or wanted(name) else "its name is not that of a package or document"


def path_left_alone(path: str, wanted: Wanted) -> str:
    """Why an entry at that path below an inbox is none of repod's business, as one of its parts says; empty else."""
    *folders, name = path.split("/")
    reasons = [left_alone(part, folder=True, wanted=wanted) for part in folders]
    return next(filter(None, [*reasons, left_alone(name, folder=False, wanted=wanted)]), "")


def shown(name: str) -> str:
    r"""The name as one line of text that any log and any JSON reader can hold, without loss.

    ``\xNN`` is a byte that is not UTF-8 or of a character that cannot be seen, ``\\`` is a
    back-slash.
    """
    text = os.fsencode(name).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def fitted(name: str, *, before: str = "", spare: int = 0) -> str:
    """``before + name`` with ``spare`` bytes of room for more; too long a ``name`` loses its beginning."""
    room = _LONGEST - len(os.fsencode(before)) - spare
    return before + os.fsdecode(os.fsencode(name)[-room:])
