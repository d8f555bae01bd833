"""What the agent remembers between two runs: a file of JSON, written whole."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from repod import jsontext
from repod.hosts.agent.document import Build
from repod.hosts.faults import Unreachable, WrongUse

FORMAT = 1


@dataclass(frozen=True)
class Pending:
    """A change that is not over. ``step``: change, check or back. ``before``: what was installed, by name.

    ``pid`` and ``begun``: the package tool that works on it. ``why``: what speaks against the builds.
    """

    wanted: Sequence[Build]
    before: Mapping[str, Sequence[Build]]
    step: str
    on_failure: str
    pid: int = 0
    begun: str = ""
    why: str = ""


@dataclass(frozen=True)
class State:
    """All of it. ``serial``: of the latest rollout file that was seen. ``held``: builds that failed here, and ``why``.

    ``back``: what ran before the last update. ``last``: what came of the last run. ``reported``: when the daemon last
    heard what is installed.
    """

    serial: int | None = None
    pending: Pending | None = None
    held: Sequence[str] = ()
    why: str = ""
    back: Sequence[Build] = ()
    reported: float = 0.0
    last: Mapping[str, Any] = field(default_factory=dict)


class StateFile:
    """The file, and who may change it."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made where it is missing."""
        self._folder = folder
        self._path = folder / "state.json"

    def load(self) -> State:
        """What is remembered; nothing where there is no file. ``WrongUse`` where it is damaged."""
        try:
            return _from_json(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{self._path}: cannot be read ({error}); see what is installed, then remove it"
            raise WrongUse(msg) from error

    def save(self, state: State) -> None:
        """Remember it, durably, before anything is done that it tells of."""
        made = self._path.with_name(".state.json.new")
        try:
            with made.open("w", encoding="utf-8") as file:
                file.write(_to_json(state))
                file.flush()
                os.fsync(file.fileno())
            made.replace(self._path)
        except OSError as error:
            msg = f"{self._path}: cannot be written ({error.strerror}); nothing is changed without it"
            raise Unreachable(msg) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no other run works here; ``Unreachable`` where one does."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            msg = f"{self._folder}: cannot be used ({error.strerror}); run it as root"
            raise WrongUse(msg) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            msg = f"{self._folder}: another run of repod-agent is at work"
            raise Unreachable(msg) from None
        try:
            yield
        finally:
            os.close(handle)


def _to_json(state: State) -> str:
    tree = {
        "format": FORMAT,
        "serial": state.serial,
        "pending": _pending(state.pending) if state.pending else None,
        "held": list(state.held),
        "why": state.why,
        "back": [row(build) for build in state.back],
        "reported": state.reported,
        "last": dict(state.last),
    }
    return json.dumps(tree, indent=1) + "\n"


def _from_json(text: str) -> State:
    tree = jsontext.loads(text)
    if tree["format"] != FORMAT:
        msg = f"expected format {FORMAT}, found {tree['format']!r}"
        raise ValueError(msg)
    pending = tree["pending"]
    return State(
        tree["serial"],
        _from_pending(pending) if pending else None,
        tuple(tree["held"]),
        tree["why"],
        tuple(map(_build, tree["back"])),
        float(tree["reported"]),
        tree["last"],
    )


def _pending(one: Pending) -> Mapping[str, Any]:
    before = {name: [row(build) for build in builds] for name, builds in one.before.items()}
    return {
        "wanted": [row(build) for build in one.wanted],
        "before": before,
        "step": one.step,
        "on_failure": one.on_failure,
        "pid": one.pid,
        "begun": one.begun,
        "why": one.why,
    }


def _from_pending(tree: Mapping[str, Any]) -> Pending:
    before = {name: tuple(_build(row) for row in rows) for name, rows in tree["before"].items()}
    found = Pending(tuple(_build(row) for row in tree["wanted"]), before, tree["step"], tree["on_failure"])
    return replace(found, pid=int(tree["pid"]), begun=tree["begun"], why=tree["why"])


def row(build: Build) -> Mapping[str, str]:
    """A build as files and reports have it."""
    return {"nevra": str(build), "header_sha256": build.header_sha256}


def _build(row: Mapping[str, str]) -> Build:
    return Build.parse(row["nevra"], row["header_sha256"])
