"""The daemon as users run it: a process with a settings file, spoken to over HTTP and signals."""

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.lab import processes
from tests.lab.frozen_check import check_every
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

# A loaded machine takes its time; no test asks how much.
_START = 60.0
_STOP = 30.0
_ANSWER = 30.0
_COMMAND = 120.0

# Fast answers for tests; one worker, since tests run on all cores already.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "http": {"listen": "127.0.0.1:0"},
    "log": {"format": "json", "level": "debug"},
    "workers": {"count": 1},
    "inbox": {"scan_interval": 0.2, "settle": 0.2, "incomplete_after": 2.0},
}


class Ended(NamedTuple):
    """How a command ended."""

    rc: int
    out: str
    err: str


def repod(
    *words: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = _COMMAND,
) -> Ended:
    """``python -m repod WORDS`` to its end, without input."""
    done = subprocess.run(
        [sys.executable, "-m", "repod", *words],
        cwd=cwd,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    # The checkout first, wherever the command runs; every warning of ours is seen.
    root = str(Path(__file__).resolve().parents[2])
    return os.environ | {"PYTHONPATH": root, "PYTHONUNBUFFERED": "1"} | dict(more or {})


def toml(settings: Mapping[str, Any], within: str = "") -> str:
    """Settings as TOML: plain values, then tables, then arrays of tables. ``within``: ``TABLE.`` of tables in one."""
    plain, tables = [], []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            tables.append(f"[{within}{key}]\n{toml(value, f'{within}{key}.')}")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            tables += [f"[[{key}]]\n{_table(row, key)}" for row in value]
        else:
            # JSON text of strings, numbers, booleans and flat lists is TOML too.
            plain.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join([*plain, *tables])


def _table(row: Mapping[str, Any], key: str) -> str:
    return toml({name: value for name, value in row.items() if not isinstance(value, Mapping)}) + "".join(
        f"[{key}.{name}]\n{toml(value)}" for name, value in row.items() if isinstance(value, Mapping)
    )


class Repod:
    """A daemon in a directory: ``inbox/NAME``, ``rejected`` beside it, ``www/NAME``, ``state``.

    As a context manager it runs while inside and must end on SIGTERM at the end.

    Whenever it was stopped so, and after each ``repod once``, every generation of its repositories
    must be sound, but for those whose names are in ``unsound``.
    """

    def __init__(
        self,
        base: Path,
        key: Path,
        repositories: Mapping[str, Mapping[str, Any]] | Sequence[str] = ("test",),
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        s3: Seaweed | None = None,
    ) -> None:
        """Write ``base/repod.toml``.

        ``key``: the armored secret key. ``repositories``: names, or names with what
        their tables override. ``settings``: tables that join or replace those for
        tests, such as ``{"inbox": {"watch": "poll"}, "state_dir": "/x"}``. ``prefix``:
        words before the daemon's command that replace themselves by it, such as setpriv.
        ``s3``: the server of those repositories whose inbox or store is ``s3://BUCKET/PREFIX/``.
        """
        self.base = base
        self.config = base / "repod.toml"
        self.log = base / "repod.log"
        self._s3 = s3
        self.env = {**(s3.environ if s3 else {}), **(env or {})}
        self._prefix = tuple(prefix)
        self.unsound: set[str] = set()
        self.process: subprocess.Popen[bytes] | None = None
        self.tls: ssl.SSLContext | None = None  # what ``get`` trusts, where the settings say TLS
        self._began = 0
        self._temporary = contextlib.ExitStack()
        if not isinstance(repositories, Mapping):
            repositories = {name: {} for name in repositories}
        self._repositories: dict[str, Mapping[str, Any]] = {}
        self._settings: dict[str, Any] = {"state_dir": "state", "signing": {"key": str(key)}}
        for name, value in (*_SETTINGS.items(), *(settings or {}).items()):
            before = self._settings.get(name, {})
            self._settings[name] = before | value if isinstance(value, dict) and before else value
        for name, own in repositories.items():
            self.declare(name, **own)
        self.write_config()

    def declare(self, name: str, **own: Any) -> None:
        """Put a repository into the settings and make its folders; ``write_config`` is still to be called."""
        self._repositories[name] = {"name": name, "inbox": f"inbox/{name}", "store": f"www/{name}", **own}
        # repod refuses a missing store: it may be a file system that is not mounted.
        for place in ("inbox", "store"):
            if not self._place(name, place).startswith("s3://"):
                (self.base / self._place(name, place)).mkdir(parents=True, exist_ok=True)

    def retract(self, name: str) -> None:
        """Take a repository out of the settings; its folders stay."""
        del self._repositories[name]

    def configure(self, name: str, **values: Any) -> None:
        """Give a table of the settings these values, and write the file anew; the daemon is not told of it."""
        self._settings[name] = values
        self.write_config()

    def reload(self) -> None:
        """SIGHUP, and wait until the daemon runs on the settings as they are now."""
        count = len(self.find_events("reloaded"))
        os.kill(self.pid, signal.SIGHUP)
        until(lambda: len(self.find_events("reloaded")) > count, _START, "the daemon to read its settings again")

    def write_config(self) -> None:
        """Write the settings file anew."""
        rows = list(self._repositories.values())
        self.config.write_text(toml({**self._settings, "repository": rows}))

    def _place(self, name: str, kind: str) -> str:
        return str(self._repositories[name][kind])

    def inbox(self, name: str = "test") -> Path:
        """The inbox directory of a repository."""
        return self.base / self._place(name, "inbox")

    def rejected(self, name: str = "test") -> Path:
        """Where refused arrivals of a repository go."""
        return self.inbox(name).parent / "rejected"

    def store(self, name: str = "test") -> Path:
        """The store directory of a repository; of one in a bucket, a copy made now."""
        place = self._place(name, "store")
        if self._s3 and place.startswith("s3://"):
            return self._s3.download(place, self.base / "copies" / name)
        return self.base / place

    @property
    def pid(self) -> int:
        """The daemon's process id while it runs."""
        assert self.process is not None, "the daemon is not started"
        return self.process.pid

    def spawn(self) -> None:
        """Start the daemon and do not wait for anything."""
        assert self.process is None, "the daemon runs already"
        self._began = self.log.stat().st_size if self.log.exists() else 0
        # Killed, it leaves its sockets behind; and their names must be short.
        temporary = self._temporary.enter_context(tempfile.TemporaryDirectory(prefix="repod-", dir="/tmp"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "repod", "run", "-c", str(self.config)],
                env=_environment({"TMPDIR": temporary, **self.env}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self) -> Self:
        """Start the daemon and wait until it says that it is ready."""
        self.spawn()
        try:
            until(self._ready, _START, "the daemon to be ready")
        except AssertionError as error:
            self._abandon()
            msg = f"{error}; its log:\n{self.tail()}"
            raise AssertionError(msg) from error
        return self

    def _ready(self) -> bool:
        assert self.process is not None
        rc = self.process.poll()
        assert rc is None, f"the daemon ended with {rc} while starting"
        return bool(self.find_events("listening")) and self.get("/readyz")[0] == 200

    @property
    def url(self) -> str:
        """Where it listens, from the event ``listening`` of its log; without a slash at the end."""
        events = self.find_events("listening")
        assert events, f"the daemon has not said where it listens; its log:\n{self.tail()}"
        return str(events[-1]["url"]).rstrip("/")

    def repo_url(self, name: str = "test") -> str:
        """Where a repository is served, without a slash at the end."""
        return f"{self.url}/repos/{name}"

    def repo_file(self, name: str = "test") -> str:
        """The text of the ``.repo`` file that the daemon serves for hosts."""
        status, body = self.get(f"/repos/{name}/{name}.repo")
        assert status == 200, f"the .repo file of {name} answers {status}"
        return body.decode()

    def get(self, path: str, seconds: float = _ANSWER, accept: str = "*/*") -> tuple[int, bytes]:
        """GET a path of the daemon: status and body; status 0 where it does not answer."""
        asked = urllib.request.Request(self.url + path, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(asked, timeout=seconds, context=self.tls) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except (OSError, http.client.HTTPException):  # the latter where it ends in the middle of an answer
            return 0, b""

    def stop(self, seconds: float = _STOP) -> int:
        """SIGTERM; the exit status. ``AssertionError`` where it does not end in time or leaves children."""
        status = self._end(signal.SIGTERM, seconds)
        self._check()
        return status

    def kill9(self, seconds: float = _STOP) -> int:
        """SIGKILL to the daemon alone, as the kernel does it; its workers must end by themselves."""
        return self._end(signal.SIGKILL, seconds)

    def _end(self, sign: signal.Signals, seconds: float) -> int:
        process, self.process = self.process, None
        assert process is not None, "the daemon is not started"
        process.send_signal(sign)
        late = ""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = f"the daemon did not end within {seconds:g} s after {sign.name}"
            process.kill()
            process.wait()

        def left() -> set[int]:
            return processes.session(process.pid)

        try:
            until(lambda: not left(), seconds, f"the daemon's workers to end after {sign.name}")
        except AssertionError as error:
            late = late or f"{error}: {[processes.command(pid) for pid in left()]}"
            processes.end(left, seconds, "the daemon's workers")
        self._temporary.close()
        assert not late, f"{late}; its log:\n{self.tail()}"
        return process.returncode

    def log_events(self) -> list[dict[str, Any]]:
        """The events that the daemon logged since its last start, in order."""
        return [json.loads(line) for line in self._lines() if line.startswith("{")]

    def find_events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of that name whose fields have these values."""
        wanted = {"event": event, **fields}
        return [found for found in self.log_events() if wanted.items() <= found.items()]

    def noise(self) -> list[str]:
        """Lines of the log that are no events: warnings of Python, tracebacks."""
        return [line for line in self._lines() if not line.startswith("{")]

    def _lines(self) -> list[str]:
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(self._began)
            text = file.read().decode(errors="replace")
        # The last line may be half written yet.
        return text.split("\n")[:-1]

    def tail(self, lines: int = 40) -> str:
        """The end of the log, for messages."""
        return "\n".join(self._lines()[-lines:])

    def once(self) -> Ended:
        """``repod once`` with this configuration."""
        ended = self.cli("once")
        self._check()
        return ended

    def _check(self) -> None:
        """Every generation of every repository that has one, by the independent checker."""
        for name in self._repositories.keys() - self.unsound:
            store = self.store(name)
            if (store / "repodata/repomd.xml").exists():
                faults = check_every(store, (store / f"RPM-GPG-KEY-{name}").read_bytes()).faults
                assert faults == [], f"repository {name} is not sound; the end of the log:\n{self.tail()}"

    def cli(self, command: str, *words: str | Path) -> Ended:
        """``repod COMMAND -c repod.toml WORDS``; a command of a group is ``GROUP COMMAND``."""
        return repod(*command.split(), "-c", self.config, *words, env=self.env)

    def _abandon(self) -> None:
        """Make sure that nothing stays, and report nothing: something else is the news."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            processes.end(lambda: processes.session(process.pid), _STOP, "the daemon's workers")
            self._temporary.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self._abandon()
        elif self.process is not None:
            self.stop()
