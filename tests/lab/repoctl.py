"""``repoctl`` as users run it: as a process, and in the test's own where only its answers matter."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner

from repod.cli import main as repod_main
from repod.client.cli import main as repoctl_main
from tests.lab.daemon import Ended

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 60.0


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """That of this process, without what would lead ``repoctl`` elsewhere; the checkout stands first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REPOCTL_")}
    return kept | {"PYTHONPATH": str(_ROOT), "HOME": "/nonexistent", **env}


def command(*words: str | Path) -> list[str]:
    """The command line of a process that is ``repoctl WORDS``."""
    return [sys.executable, "-m", "repod.client", *map(str, words)]


def repoctl(*words: str | Path, env: Mapping[str, str], cwd: Path, data: str = "", seconds: float = _SECONDS) -> Ended:
    """``repoctl WORDS`` to its end; ``data`` is its standard input."""
    done = subprocess.run(
        command(*words),
        env=environment(env),
        cwd=cwd,
        input=data,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def answered(program: str, *words: str | Path, env: Mapping[str, str]) -> Ended:
    """The same of ``repod`` or ``repoctl`` in this process, which is sooner done."""
    main = {"repod": repod_main, "repoctl": repoctl_main}[program]
    unset = {name: None for name in os.environ if name.startswith("REPOCTL_")}
    done = CliRunner().invoke(
        main, list(map(str, words)), prog_name=program, env={**unset, "HOME": "/nonexistent", **env}
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)
