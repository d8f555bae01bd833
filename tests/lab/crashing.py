"""Runs a command of repod under ``crash_at``: killed at one point of its work, or to its end."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab import crash_at, processes
from tests.lab.daemon import Repod
from tests.lab.wait import until


def crash(repod: Repod, point: int | str, *words: str) -> subprocess.CompletedProcess[str]:
    """``words`` with the settings of ``repod``, killed at ``point``, as ``crash_at`` names it (0: to its end).

    Its helpers are gone then too.
    """
    points = [str(point)] if point else []
    command = [sys.executable, crash_at.__file__, *points, "--", *words, "-c", str(repod.config)]
    # Killed, it leaves its sockets behind; and their names must be short.
    with tempfile.TemporaryDirectory(prefix="repod-", dir="/tmp") as temporary:
        process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": str(Path(crash_at.__file__).parents[2]), "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        out, err = process.communicate(timeout=120)
        until(lambda: not processes.session(process.pid), 30, "the workers of a killed repod to end")
    return subprocess.CompletedProcess(command, process.returncode, out, err)
