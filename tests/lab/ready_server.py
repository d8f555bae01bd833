"""The program behind ``ready.py``: it has repod imported, and forks for each command that it is asked to run.

It reads requests, one JSON line each, and answers with two lines: the process id, and, after a line that
lets the command begin, its exit status. Worker processes read this file once more (multiprocessing's way to
know its classes), so it imports nothing of weight before it is run.
"""

import gc
import importlib
import json
import multiprocessing.forkserver
import os
import sys
from collections.abc import Mapping
from typing import Any

_MODULES = ("work", "back", "promote", "resign", "mend", "audit", "look")


def _inherit_server() -> None:
    """Use the parent's server of worker processes, which this process cannot wait for as Python would."""
    server: Any = multiprocessing.forkserver
    server._forkserver.ensure_running = lambda: None
    server.ensure_running = server._forkserver.ensure_running


def _serve() -> Mapping[str, Any] | None:
    """Answer requests until there are no more; in a fork, what it is to run."""
    for line in sys.stdin:
        asked = json.loads(line)
        # A command that was killed just when it asked it for a process has taken it along.
        multiprocessing.forkserver.ensure_running()
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(theirs)
            return {**asked, "go": ours}
        os.close(ours)
        print(pid, flush=True)
        sys.stdin.readline()
        os.close(theirs)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    return None


def _become(asked: Mapping[str, Any]) -> None:
    """Stand as a command that was just started, and wait until it may begin."""
    os.setsid()
    opened = [os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for name in ("out", "err")]
    opened.insert(0, os.open(os.devnull, os.O_RDONLY))
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    _inherit_server()
    os.read(asked["go"], 1)
    os.close(asked["go"])


def main() -> None:
    """See above."""
    from repod.cli import main as repod  # noqa: PLC0415 - see above
    from repod.processes import start_server  # noqa: PLC0415

    for name in _MODULES:
        importlib.import_module(f"repod.commands.{name}")
    for name in sys.argv[1:]:
        importlib.import_module(name)
    start_server()
    gc.freeze()
    asked = _serve()
    if asked is not None:
        _become(asked)
        repod(asked["words"], prog_name="repod")


if __name__ == "__main__":
    main()
