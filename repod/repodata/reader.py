"""Reads the files that carried documents come in as; done in a worker process, since strangers wrote them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from repod.doors import Edit, Unreadable
from repod.package import Fault
from repod.repodata import kinds

Run = Callable[..., Any]
"""``run(task, *arguments)``: does the task and gives its result; raises ``Unreadable`` where the task did."""


class DocumentReader:
    """``Documents`` through ``run``."""

    def __init__(self, run: Run) -> None:
        """``run`` is what keeps a file's crash or bomb away from this process."""
        self._run = run

    def knows(self, name: str) -> bool:
        """See ``Documents.knows``."""
        return bool(kinds.kind(name))

    def read(self, name: str, path: Path) -> Edit:
        """See ``Documents.read``."""
        plain = os.fsencode(name).decode("utf-8", "backslashreplace")
        edit: Edit = self._run(read_file, plain, path)
        return edit


def read_file(name: str, path: Path, as_kind: str = "") -> Edit:
    """See ``carried.read``; a file that is too large is refused unread."""
    size = path.stat().st_size
    if size > kinds.LIMIT:
        text = f"{name}: {size} bytes; expected at most {kinds.LIMIT} in a document"
        raise Unreadable(Fault(code="size", text=text))
    from repod.repodata import carried  # noqa: PLC0415 - only the process that reads a document needs it

    return carried.read(name, path.read_bytes(), as_kind)
