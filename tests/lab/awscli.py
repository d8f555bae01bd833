"""The AWS command line, as CI jobs run it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.lab.processes import environment


def aws(home: Path, environ: Mapping[str, str], *words: str | Path) -> str:
    """``aws WORDS`` with a home of its own; what it said. ``environ`` names server and keys."""
    program = Path(sys.executable).with_name("aws")
    done = subprocess.run(
        [sys.executable, program, *words],
        env=environment(home, **environ),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"aws {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
