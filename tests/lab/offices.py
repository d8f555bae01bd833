"""The service of a daemon in this process, with any repositories, and its office asked as API and pages do."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from repod.config import Settings
from repod.loop import Loop
from repod.metrics import Metrics
from repod.office import By, Office, Unrecorded
from repod.public import Public
from repod.wiring import System
from tests.lab.inboxes import Lines
from tests.lab.wait import until

BY = By(actor="token ci", address="192.0.2.7", why="for a test")


class Log(Lines):
    """A log that remembers."""

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))


class Entry(NamedTuple):
    """What a ``Record`` heard."""

    by: By
    what: str
    repository: str
    details: Mapping[str, Any]
    outcome: str


class Records(Unrecorded):
    """A ``Record`` that remembers; ``broken`` is raised after that, ``full`` before anything is done."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.broken: Exception | None = None
        self.full: Exception | None = None

    def ready(self) -> None:
        if self.full:
            raise self.full

    def __call__(self, *, by: By, what: str, repository: str, details: Mapping[str, Any], outcome: str) -> None:
        self.entries.append(Entry(by, what, repository, details, outcome))
        if self.broken:
            raise self.broken


class Service:
    """Open it by ``with``: every repository is open then; no loop runs but those that a test starts."""

    def __init__(
        self,
        base: Path,
        key_file: Path,
        repositories: Mapping[str, Mapping[str, Any]] | Sequence[str],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """``repositories``: names, or names with what their tables override. ``settings``: further tables."""
        self.base = base
        named = repositories if isinstance(repositories, Mapping) else {name: {} for name in repositories}
        for name in named:
            for folder in (self.inbox(name), self.store(name), base / "state"):
                folder.mkdir(parents=True, exist_ok=True)
        tables = [
            {"name": name, "inbox": str(self.inbox(name)), "store": str(self.store(name)), **more}
            for name, more in named.items()
        ]
        self.settings = Settings.model_validate(
            {
                "state_dir": str(base / "state"),
                "http": {"listen": "127.0.0.1:0"},
                "signing": {"key": str(key_file)},
                "workers": {"count": 1},
                "inbox": {"watch": "poll", "scan_interval": 0.1, "settle": 0.0, "incomplete_after": 1.0},
                "repository": tables,
            }
            | dict(settings or {})
        )
        self.metrics = Metrics("test")
        self.log = Log()

    def inbox(self, name: str) -> Path:
        return self.base / "inbox" / name

    def store(self, name: str) -> Path:
        return self.base / "www" / name

    def build(self, settings: Settings) -> Public:
        """Everything opened, as the daemon does it."""
        self.system = System(settings, log=self.log, observe=self.metrics.stage, environ=os.environ)
        self.looped = Public(self.system, self.metrics, self.log)
        return self.looped

    def __enter__(self) -> Self:
        self.build(self.settings)
        for loop in self.looped.loops:
            loop.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.looped.close()

    @property
    def office(self) -> Office:
        return self.looped.office

    def loop(self, name: str) -> Loop:
        (found,) = (loop for loop in self.looped.loops if loop.name == name)
        return found

    def drop(self, name: str, *packages: Path) -> None:
        """Put copies into an inbox, each whole at once."""
        for package in packages:
            stage = self.base / f"copy of {package.name}"
            shutil.copyfile(package, stage)
            stage.rename(self.inbox(name) / package.name)

    def publish(self, name: str, *packages: Path) -> None:
        """Put copies into an inbox, and turn until nothing waits there."""
        self.drop(name, *packages)

        def empty() -> bool:
            self.loop(name).once()
            return not any(self.inbox(name).iterdir())

        until(empty, 30, "the inbox to be empty")

    def metric(self, sample: str, name: str) -> float:
        value = self.metrics.registry.get_sample_value(sample, {"repository": name})
        assert value is not None
        return value
