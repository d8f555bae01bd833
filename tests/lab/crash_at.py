"""Runs `repod` and kills it, as the kernel would, just before its N-th change of a file.

    python crash_at.py N -- once -c FILE    SIGKILL to itself just before the N-th change
    python crash_at.py NAME -- run -c FILE  SIGKILL to itself just before a file of that name is put into place
    python crash_at.py -- once -c FILE      run to the end; the last line of output says how many changes there were

The interpreter's own audit events (PEP 578) tell of every change, so that the program under
test has no hooks for its tests. Writing into a file that is open is no event of its own: what
was written so far is there at the next one. Worker processes are not counted, for they see
private copies only.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Changes:
    """Counts the changes of files that this process is about to make."""

    def __init__(self, fatal: str) -> None:
        """``fatal``: the number of the change that is never made, or the name that is never put into place."""
        self.begun = 0
        self._fatal = fatal
        self._lock = threading.Lock()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take note of an audit event."""
        if event not in _CHANGES and not (event == "open" and _for_writing(*arguments)):
            return
        with self._lock:
            self.begun += 1
            if self._fatal in {str(self.begun), _placed(event, arguments)}:
                os.kill(os.getpid(), signal.SIGKILL)


def _placed(event: str, arguments: tuple[Any, ...]) -> str:
    """The name that a file gets by an event; a number is no such name."""
    return Path(os.fsdecode(arguments[1])).name if event in {"os.rename", "os.link"} else "-"


def _for_writing(path: object, _mode: object, flags: int) -> bool:
    # A number is a file that is open already; devices hold nothing.
    if not isinstance(path, str | bytes | os.PathLike) or not flags & _WRITING:
        return False
    return not os.fsdecode(path).startswith(("/dev/", "/proc/"))


def main(first: str, *words: str) -> None:
    """See above."""
    fatal = ""
    if first != "--":
        fatal, words = first, words[1:]
    # Compiled files are no work of repod's.
    sys.dont_write_bytecode = True
    from repod.cli import main as repod  # noqa: PLC0415 - what importing changes is not counted

    changes = Changes(fatal)
    sys.addaudithook(changes)
    try:
        repod(words, prog_name="repod")
    finally:
        print(changes.begun)


if __name__ == "__main__":
    main(*sys.argv[1:])
