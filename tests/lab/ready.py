"""Commands of repod from a process that has everything imported already: each is a fork of it, and else as any.

Most of a command's time is Python's start and its imports; a matrix of a thousand commands cannot pay for
that. Worker processes come from a server that all commands share.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.lab import processes
from tests.lab.daemon import Ended
from tests.lab.wait import until

_LIMIT = 60.0
_ANSWER = 200.0  # seconds: a command that hangs is told before the test is ended for it


class Ready:
    """The process; a context manager. For one command at a time."""

    def __init__(self, folder: Path, environ: Mapping[str, str], modules: Sequence[str] = ()) -> None:
        """``environ``: of every command; ``folder``: where their output goes; ``modules``: what else is imported."""
        # Sockets have short names.
        self._temporary = tempfile.TemporaryDirectory(prefix="repod-", dir="/tmp")
        own = {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "TMPDIR": self._temporary.name}
        self._outputs = [folder / "out", folder / "err"]
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.lab.ready_server", *modules],
            env=os.environ | own | dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str | Path, began: Callable[[int], object] = lambda _pid: None) -> Ended:
        """``repod WORDS`` to its end, and that of its workers; ``began`` is told its process id before it begins."""
        out, err = self._outputs
        asked = {"words": [str(word) for word in words], "out": str(out), "err": str(err)}
        pid = int(self._ask(json.dumps(asked)))
        began(pid)
        status = int(self._ask("go"))
        return Ended(status, *(path.read_text(errors="replace") for path in self._outputs))

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER)
        assert ready, f"no answer to {line} within {_ANSWER:g} s; it said so far: {self._said()}"
        answer = self._process.stdout.readline()
        assert answer, f"the process that runs commands ended with {self._process.wait(_LIMIT)}"
        return answer

    def _said(self) -> list[str]:
        return [path.read_text(errors="replace")[-1000:] for path in self._outputs if path.exists()]

    def workers(self) -> set[int]:
        """The worker processes that are alive."""
        helpers = [pid for pid in processes.children(self._process.pid) if processes.is_python_helper(pid)]
        return {worker for helper in helpers for worker in processes.children(helper)}

    def close(self) -> None:
        """End it, and the server of worker processes with it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_LIMIT)
        self._process.stdout.close()
        until(lambda: not processes.session(self._process.pid), 20, "the server of worker processes to end")
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
