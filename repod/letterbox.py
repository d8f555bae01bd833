"""The door by which single files are brought into an inbox: whole, or not at all."""

import os
from collections.abc import Callable
from typing import Protocol

Expect = Callable[[str], object]
"""Is told, before anybody can see the file, under which name it is about to lie in the inbox."""

_LONGEST = 200  # bytes; there must be room for what is put before and behind it


class Letter(Protocol):
    """One file that is being brought. Nobody sees anything of it before it is delivered.

    One thread at a time uses it.
    """

    def write(self, data: bytes) -> None:
        """Append ``data``. ``NoRoom`` where there is none for it, ``Unavailable`` where it cannot be written."""

    def deliver(self, expect: Expect) -> str:
        """Put the file, durably and whole, where the inbox sees it; its name there.

        What lies there under the same name stays: then the file gets another name, like it. ``NoRoom`` and
        ``Unavailable`` as in ``write``; ``OutcomeUnknown`` where it may lie there all the same.
        """

    def close(self) -> None:
        """Give up what was not delivered; nothing of it stays."""


class Letterbox(Protocol):
    """Where files are brought to one inbox. Any number of threads may bring different ones at once.

    ``limit``: how many bytes a file may have.
    """

    limit: int

    def refuses(self, name: str) -> str:
        """Why the inbox would leave a file of that name alone; empty where it would not."""

    def open(self, name: str, size: int | None) -> Letter:
        """Begin to bring a file of ``size`` bytes (None: unknown).

        ``NoRoom`` where the disk would be nearly full then, ``Unavailable`` where nothing can be written.
        """


def misnamed(name: str) -> str:
    """Why that is no name of a file that can be brought; empty where it is one."""
    if not name:
        return "it is empty"
    if "/" in name or "\\" in name:
        return "it has a slash in it"
    if name.startswith("."):
        return "it begins with a dot"
    # U+FFFD stands where the request had bytes that are not UTF-8.
    if not name.isprintable() or "\ufffd" in name:
        return "it has characters in it that cannot be seen"
    if len(os.fsencode(name)) > _LONGEST:
        return f"it is longer than {_LONGEST} bytes"
    return ""
