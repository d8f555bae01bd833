"""One repository in this process, wired as the daemon wires it, and driven turn by turn."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from repod.catalogs import OpenCatalog
from repod.config import Settings
from repod.intake import Outcome
from repod.loop import Loop
from repod.metrics import Metrics
from repod.prune import Pruned
from repod.service import Looped
from repod.turn import Report
from repod.wiring import System, Wired
from tests.lab import processes
from tests.lab.checker import assert_sound
from tests.lab.inboxes import Lines
from tests.lab.keys import Key
from tests.lab.listing import Listed
from tests.lab.wait import until

_WAIT = 60.0
_DONE = ("accepted", "duplicate", "rejected")


class Log(Lines):
    """A log that remembers, as the loop wants it."""

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def warned(self, event: str) -> list[str]:
        """The problems that warnings of that event named."""
        return [fields["problem"] for level, said, fields in self.lines if (level, said) == ("warning", event)]

    def told(self, event: str) -> dict[str, Any]:
        """The fields of the one information of that event."""
        (found,) = [fields for level, said, fields in self.lines if (level, said) == ("info", event)]
        return found

    @property
    def errors(self) -> list[str]:
        """What the errors said."""
        return [str(fields.get("problem", event)) for level, event, fields in self.lines if level == "error"]


class Place:
    """A repository called ``test`` below ``base``. Open it by ``with``, or ``open`` and ``close`` it."""

    def __init__(
        self,
        base: Path,
        key: Key,
        settings: Mapping[str, Any] | None = None,
        repository: Mapping[str, Any] | None = None,
    ) -> None:
        """``settings`` join or replace whole tables, ``repository`` the keys of its table."""
        self.base = base
        self.key = key
        self.inbox = base / "inbox/test"
        self.store = Path((repository or {}).get("store", base / "www/test"))
        self.state = Path((settings or {}).get("state_dir", base / "state"))
        self.rejected = base / "inbox/rejected"
        for folder in (self.inbox, self.store, self.state):
            folder.mkdir(parents=True, exist_ok=True)
        self._settings = self._tables(settings or {}, repository or {})
        self.log = Log()
        self.metrics = Metrics("test")
        self._looped: Looped | None = None

    def _tables(self, settings: Mapping[str, Any], repository: Mapping[str, Any]) -> dict[str, Any]:
        secret = self.base / "signing-key.asc"
        secret.touch(0o600)
        secret.write_bytes(self.key.secret)
        watch = {"scan_interval": 0.2, "settle": 0.1, "incomplete_after": 0.3}
        tables = {
            "state_dir": str(self.state),
            "signing": {"key": str(secret)},
            "workers": {"count": 1},
            "inbox": watch,
        }
        tables |= settings
        tables["inbox"] = watch | tables["inbox"]
        tables["repository"] = [{"name": "test", "inbox": str(self.inbox), "store": str(self.store), **repository}]
        return tables

    def wire(self) -> Self:
        """Open everything and publish nothing yet."""
        settings = Settings.model_validate(self._settings)
        system = System(
            settings,
            log=self.log,
            observe=self.metrics.stage,
            environ=os.environ,
            count=self.metrics.message,
            raced=self.metrics.conflict,
        )
        self.system = system
        self._looped = Looped(system, self.metrics, self.log)
        return self

    def open(self) -> Self:
        """Open everything, the repository too."""
        self.wire()
        self.loop.open()
        return self

    def close(self) -> None:
        """Let go of everything; it can be opened again."""
        looped, self._looped = self._looped, None
        if looped:
            looped.close()

    def restart(self) -> Self:
        """Close and open again."""
        self.close()
        return self.open()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def loop(self) -> Loop:
        assert self._looped is not None, "it is not open"
        return self._looped.loops[0]

    @property
    def catalog(self) -> OpenCatalog:
        """What is listed; ``loop.follow`` brings it up to now."""
        assert self._looped is not None, "it is not open"
        return self._looped.catalogs["test"]

    @property
    def wired(self) -> Wired:
        return self.system.repositories["test"]

    @contextmanager
    def running(self) -> Iterator[None]:
        """The loop in a thread of its own, as in the daemon."""
        self.loop.start()
        try:
            yield
        finally:
            self.loop.stop()
            assert self.loop.join(_WAIT), "the loop did not end"

    def put(self, *packages: Path, name: str = "") -> None:
        """Move files into the inbox, each whole at once."""
        for package in packages:
            package.rename(self.inbox / (name or package.name))

    def copy(self, package: Path, name: str = "") -> None:
        """Put a copy into the inbox, whole at once."""
        stage = self.base / f"copy of {package.name}"
        shutil.copyfile(package, stage)
        stage.rename(self.inbox / (name or package.name))

    def turn(self) -> Report:
        """One turn, told to log and metrics."""
        return self.loop.once()

    def drain(self) -> list[Outcome]:
        """Turns until the inbox is empty; what became of each arrival. None may fail."""
        ends: list[Outcome] = []

        def empty() -> bool:
            outcomes = self.turn().outcomes
            assert "failed" not in {outcome.result for outcome in outcomes}, outcomes
            ends.extend(outcome for outcome in outcomes if outcome.result in _DONE)
            return not self.waiting()

        until(empty, _WAIT, "the inbox to be empty")
        return ends

    def publish(self, *packages: Path) -> None:
        """Put packages into the inbox, where all must be accepted, and publish them."""
        self.put(*packages)
        ends = self.drain()
        assert [end.result for end in ends] == ["accepted"] * len(packages), ends

    def deliver(self, documents: Mapping[str, bytes]) -> None:
        """Put documents into the inbox, where all must be accepted, and publish them."""
        for name, data in documents.items():
            stage = self.base / name
            stage.write_bytes(data)
            self.put(stage)
        accepted = set[str]()

        def all_accepted() -> bool:
            for outcome in self.turn().outcomes:
                assert outcome.result == "accepted", outcome
                accepted.add(outcome.arrival.name)
            return accepted == documents.keys()

        until(all_accepted, _WAIT, "the documents to be published")

    def refuse(self, package: Path) -> list[tuple[str, str]]:
        """Drop a package that must be refused; code and text of its faults, from the file beside it."""
        self.put(package)
        (end,) = self.drain()
        assert end.result == "rejected", end
        assert (self.rejected / package.name).exists()
        return [(fault["code"], fault["text"]) for fault in self.reason(package.name)["faults"]]

    def reason(self, name: str) -> dict[str, Any]:
        """The file beside a refused package that says why."""
        found: dict[str, Any] = json.loads((self.rejected / f"{name}.reason.json").read_bytes())
        return found

    def waiting(self) -> list[str]:
        """Names of the packages in the inbox."""
        return sorted(str(path.relative_to(self.inbox)) for path in self.inbox.rglob("*.rpm"))

    def prune(self, later: float = 0) -> Pruned:
        """Prune as if it were so many seconds later; nothing may go wrong."""
        pruned = self.wired.pruner.prune(time.time() + later)
        assert pruned.error is None, pruned.error
        return pruned

    def sound(self) -> dict[str, Listed]:
        """The packages by NEVRA, after an independent and strict reading of the whole repository."""
        return assert_sound(self.store, self.key.public)

    def live(self) -> bytes:
        """The live index."""
        return (self.store / "repodata/repomd.xml").read_bytes()

    def number(self) -> int:
        """The current generation's number."""
        return int(json.loads((self.store / ".repod/head.json").read_bytes())["generation"])

    def metric(self, name: str, **labels: str) -> float:
        """A sample's value; that of the repository, except for a stage."""
        labels = labels if "stage" in labels else {"repository": "test"} | labels
        value = self.metrics.registry.get_sample_value(name, labels)
        assert value is not None, f"there is no {name} with {labels}"
        return value


MakePlace = Callable[..., Place]
"""``make_place(settings, signed_with=key, **repository)``: an open place, closed after the test."""


def forked() -> set[int]:
    """The processes that read and sign for this one."""
    servers = {pid for pid in processes.children(os.getpid()) if processes.is_python_helper(pid)}
    return {pid for server in servers for pid in processes.children(server)}
