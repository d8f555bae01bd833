"""``repoctl`` as users run it: as a process, on a terminal or not, and in the test's own where only answers matter."""

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from repod.cli import main as repod_main
from repod.client.cli import main as repoctl_main
from tests.lab.daemon import Ended, toml

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


class Repoctl:
    """``repoctl`` in a folder of its own, with nobody's settings but its own."""

    def __init__(self, home: Path, url: str = "", token: str = "", **env: str) -> None:
        """``url``: of the daemon; ``env``: further variables."""
        home.mkdir(exist_ok=True)
        self.home = home
        given = {"REPOCTL_URL": url, "REPOCTL_TOKEN": token}
        self.env = {"HOME": str(home), **{name: value for name, value in given.items() if value}, **env}

    def settle(self, **settings: Mapping[str, object]) -> None:
        """Write ``repoctl.toml``; a table of tables is written so."""
        text = ""
        for name, table in settings.items():
            inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
            plain = {key: value for key, value in table.items() if key not in inner}
            text += f"[{name}]\n{toml(plain)}" if plain else ""
            text += "".join(f"[{name}.{key}]\n{toml(value)}" for key, value in inner.items())
        (self.home / "repoctl.toml").write_text(text)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REPOCTL_", "AWS_"))}
        return kept | {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"} | self.env

    def run(self, *words: str | Path, **env: str) -> Ended:
        """Run it to its end, without a terminal, as in CI."""
        with self.started(*words, **env) as process:
            out, err = process.communicate(timeout=2 * _SECONDS)
        return Ended(process.returncode, out, err)

    @contextlib.contextmanager
    def started(self, *words: str | Path, **env: str) -> Iterator["subprocess.Popen[str]"]:
        """It runs while inside; killed at the end where it still does."""
        streams: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command(*words), cwd=self.home, env=self.environ | env, text=True, **streams) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def on_terminal(self, *words: str | Path) -> tuple[int, str]:
        """Run it on a terminal: its exit status, and all that was drawn there."""
        main, side = pty.openpty()
        env = self.environ | {"TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
        process = subprocess.Popen(command(*words), cwd=self.home, env=env, stdin=side, stdout=side, stderr=side)
        os.close(side)
        drawn = b""
        # A terminal whose other end is closed answers so.
        with contextlib.suppress(OSError):
            while piece := os.read(main, 65536):
                drawn += piece
        os.close(main)
        return process.wait(_SECONDS), drawn.decode(errors="replace")
