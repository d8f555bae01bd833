"""Several daemons with one configuration on one bucket and one queue, through a proxy that misbehaves."""

import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from repod.generation import Generation
from tests.lab.daemon import Repod
from tests.lab.faultproxy import FaultProxy
from tests.lab.frozen_check import assert_whole, check_every
from tests.lab.onlooker import Onlooker
from tests.lab.queues import Moto
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until


class Fleet:
    """The daemons; as a context they run while inside. Inbox and store are prefixes of one new bucket."""

    def __init__(
        self, folder: Path, key: Path, server: Seaweed, queues: Moto, proxy: FaultProxy, *, count: int, **own: Any
    ) -> None:
        """``key``: the armored secret key, in a file. ``own``: settings of the repository."""
        self.server, self.queues, self.proxy = server, queues, proxy
        self.bucket = server.bucket()
        self.inbox, self.store = f"s3://{self.bucket}/inbox/", f"s3://{self.bucket}/el9/"
        self.queue = queues.queue()
        self._client = server.client()
        self._folder, self._key = folder, key
        self._stack = ExitStack()
        self.daemons = [self._repod(str(number), own) for number in range(count)]

    def hand(self, **own: Any) -> Repod:
        """Settings of the same repository for commands by hand, which are the client ``hand`` of the proxy."""
        return self._repod("hand", own)

    def _repod(self, name: str, own: Mapping[str, Any]) -> Repod:
        base = self._folder / f"repod-{name}"
        base.mkdir()
        # Each looks alike from outside, but for the door by which the proxy tells them apart.
        reached = {
            "endpoint": self.proxy.endpoint(name),
            "queue_endpoint": self.queues.endpoint,
            "region": "us-east-1",
            "addressing": "path",
            "timeout": "2s",
            "attempts": 3,
        }
        repository = {"inbox": self.inbox, "store": self.store, "queue": self.queue, "url": "http://repod.test/el9/"}
        settings = {"s3": reached, "inbox": {"list_interval": "2s", "visibility": "5s"}}
        one = Repod(base, self._key, {"el9": {**repository, **own}}, settings, env=self.server.environ)
        # They are checked when all of them have ended.
        one.unsound.add("el9")
        return one

    def __enter__(self) -> Self:
        """Start all."""
        self._stack.callback(self._end)
        for daemon in self.daemons:
            daemon.spawn()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what still runs."""
        self._stack.close()

    def _end(self) -> None:
        for daemon in self.daemons:
            if daemon.process:
                daemon.kill9()

    def stop(self) -> None:
        """Wait until all are ready, and SIGTERM to all; each must end with status 0."""
        until(lambda: all(daemon.find_events("opened") for daemon in self.daemons), 60, "all to be at work")
        until(lambda: all(daemon.get("/readyz")[0] == 200 for daemon in self.daemons), 60, "all to be ready")
        assert [daemon.stop() for daemon in self.daemons if daemon.process] == [0] * len(self.daemons)

    def put(self, *packages: Path) -> None:
        """Upload packages into the inbox; nobody is told."""
        for path in packages:
            self._client.put_object(Bucket=self.bucket, Key=f"inbox/{path.name}", Body=path.read_bytes())

    def tell(self, *packages: Path) -> None:
        """Tell the queue of packages, as S3 does after an upload."""
        self.queues.tell(self.queue, self.bucket, *(f"inbox/{path.name}" for path in packages))

    def waiting(self) -> Sequence[str]:
        """What is left to do: objects of the inbox, refused ones among them, and messages of the queue."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="inbox/")
        left = [one["Key"] for page in pages for one in page.get("Contents", ())]
        shown, hidden = self.queues.counts(self.queue)
        return left + ["a message"] * shown + ["a hidden message"] * hidden

    def records(self) -> Sequence[Generation]:
        """All generations, by their records as they lie in the bucket, the first one first."""
        found = []
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix="el9/.repod/generations/"
        )
        for page in pages:
            for one in page.get("Contents", ()):
                data = self._client.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read()
                found.append(Generation.from_json(data))
        return sorted(found, key=lambda generation: generation.number)

    def check(self, expected: Iterable[str], key: bytes) -> Sequence[Generation]:
        """Prove that each of ``expected`` (NEVRAs) was published exactly once, and every generation is sound."""
        names = sorted(expected)
        records = self.records()
        assert [one.number for one in records] == list(range(1, len(records) + 1))
        assert [one.parent for one in records] == list(range(len(records)))
        assert sorted(str(package.nevra) for one in records for package in one.added) == names
        assert [str(package.nevra) for one in records for package in one.removed] == []
        copy = self.server.download(self.store, self._folder / "copy")
        report = check_every(copy, key)
        assert report.faults == []
        assert sorted(report.packages) == names
        assert report.revision == str(len(records))
        return records

    def listed(self, key: bytes) -> Sequence[str]:
        """The NEVRAs that hosts see, of a repository at rest, all of it read and found right."""
        return sorted(assert_whole(self.server.download(self.store, self._folder / "copy"), key).packages)

    def surprises(self) -> Sequence[str]:
        """Lines of all logs, of all lives, that tell of an error that nobody foresaw."""
        lines = [line for daemon in self.daemons for line in daemon.log.read_text(errors="replace").split("\n")]
        return [line for line in lines if "Traceback" in line or (line and not line.startswith("{"))]


class Murderer:
    """Kills one daemon of a fleet after the other, at random, and starts it again: while it is used as a context.

    It waits for the next generation before it waits at random, so that on a slow machine something gets done too.
    """

    def __init__(self, fleet: Fleet, onlooker: Onlooker, *, seed: int, longest: float = 20.0) -> None:
        """``longest``: seconds after which it kills though no generation came."""
        self._fleet, self._onlooker, self._longest = fleet, onlooker, longest
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="murderer")
        self.killed = 0
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave them all alive."""
        self._stop.set()
        self._thread.join()
        if kind is None and self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._await_generation()
                if self._stop.wait(self._random.uniform(0, 2)):
                    break
                victim = self._random.choice(self._fleet.daemons)
                victim.kill9()
                self.killed += 1
                self._stop.wait(self._random.uniform(0, 1))
                victim.spawn()
        except BaseException as error:  # noqa: BLE001 - told where the context ends
            self._error = error

    def _await_generation(self) -> None:
        before, end = self._onlooker.generation, time.monotonic() + self._longest
        while self._onlooker.generation == before and time.monotonic() < end and not self._stop.wait(0.05):
            pass


def unreliable(packages: Sequence[Path], seed: int) -> Iterator[tuple[Sequence[Path], Sequence[Path]]]:
    """Ten packages at a time, and what a queue may tell of them: of some nothing, of some twice, not in order."""
    chance = random.Random(seed)
    for start in range(0, len(packages), 10):
        some = packages[start : start + 10]
        told = [package for package in some for _ in range(chance.choices([0, 1, 2], [5, 85, 10])[0])]
        chance.shuffle(told)
        yield some, told
