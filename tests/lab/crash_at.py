"""Runs `repod` and kills it, as the kernel would, just before its N-th change of a file.

    python crash_at.py COUNTS -- once -c FILE      run to the end, write how many changes there were to COUNTS
    python crash_at.py N -- once -c FILE           SIGKILL to itself just before the N-th change

The interpreter's own audit events tell of every change, so that the program under test
has no hooks for its tests. What worker processes do is not counted: they change private
copies only. Writing into an open file is no event; the next change after it is.
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

    def __init__(self, fatal: int) -> None:
        """``fatal``: the number of the change that is never made; 0: none."""
        self.made = 0
        self._fatal = fatal
        self._lock = threading.Lock()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take note of an audit event (PEP 578)."""
        if event in _CHANGES or (event == "open" and _for_writing(*arguments)):
            print(self.made+1, event, arguments, file=sys.stderr)
            with self._lock:
                self.made += 1
                if self.made == self._fatal:
                    os.kill(os.getpid(), signal.SIGKILL)


def _for_writing(path: object, _mode: object, flags: int) -> bool:
    # A number is a file that is open already; devices hold nothing.
    return isinstance(path, str | bytes | os.PathLike) and bool(flags & _WRITING) and not _is_device(os.fspath(path))


def _is_device(path: str | bytes) -> bool:
    return os.fsdecode(path).startswith(("/dev/", "/proc/"))


def main() -> None:
    """See above."""
    first, dashes, *words = sys.argv[1:]
    if dashes != "--":
        sys.exit("expected: crash_at.py N|COUNTS -- COMMAND ...")
    # Compiled files are no work of repod's, and there only the first time.
    sys.dont_write_bytecode = True
    from repod.cli import main as repod

    changes = Changes(int(first) if first.isdigit() else 0)
    sys.addaudithook(changes)
    try:
        repod(words, prog_name="repod")
    finally:
        if not first.isdigit():
            Path(first).write_text(str(changes.made))


if __name__ == "__main__":
    main()
