"""Names in an inbox: which are packages, which are left alone, how any is written down."""

import os

OURS = ".repod-"
"""Beginning of the names that repod itself gives to what it is moving."""

_LONGEST = 255  # bytes in one file name, on every file system Linux knows
# What curl, scp, browsers, WinSCP and editors call a file until it is whole.
_PARTS = ("~", ".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp")


def left_alone(name: str, *, folder: bool) -> str:
    """Why an entry of that name is none of repod's business; empty where it is."""
    if name.startswith("."):
        return "its name is hidden"
    if name.endswith(_PARTS):
        return "its name says that it is not finished"
    if folder:
        # Only root may read it, and only a file system check writes there.
        return "it belongs to the file system" if name == "lost+found" else ""
    return "" if name.endswith(".rpm") else "its name does not end in .rpm"


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
