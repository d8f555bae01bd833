"""Packages per second that come through one bucket with one, two, four daemons on it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.measure import table
from tests.lab.daemon import toml
from tests.lab.queues import Moto, moto
from tests.lab.seaweed import REGION, Seaweed

_LATE = 600.0
_SIDE_BY_SIDE = 8


def throughput(folder: Path, paths: Sequence[Path], server: Seaweed, key: Path, daemons: Sequence[int]) -> None:
    """Measure each number of daemons, with a queue and by listing alone, and print the table."""
    folder.mkdir()
    rows = []
    with moto(folder) as sqs:
        for count in daemons:
            for how, queue in (("queue", sqs.queue()), ("listing", "")):
                bench = _Bench(folder=folder / f"{count}-{how}", server=server, key=key, sqs=sqs, queue=queue)
                seconds, generations = bench.measured(paths, count)
                rows.append([str(count), how, f"{seconds:.1f}", f"{len(paths) / seconds:.0f}", str(generations)])
    table(["daemons", "told by", "seconds", "packages/s", "generations"], rows)
    print(
        f"\n{len(paths):,} packages, uploaded by {_SIDE_BY_SIDE} threads. A queue (moto) is told of each, or the inbox"
    )
    print(
        "is listed every half second. Until the pointer's generation lists all. One worker for each daemon, RSA-4096;"
    )
    print("daemons, S3 server, queue and uploads share this machine.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """An inbox and a repository in buckets, and what daemons on them need; ``queue`` is empty where there is none."""

    folder: Path
    server: Seaweed
    key: Path
    sqs: Moto
    queue: str

    def measured(self, paths: Sequence[Path], count: int) -> tuple[float, int]:
        """The seconds in which ``count`` daemons publish ``paths``, and in how many generations."""
        inbox, store = self.server.bucket(), self.server.bucket()
        client = self.server.client()
        with ExitStack() as stack:
            for number in range(count):
                stack.enter_context(self._daemon(number, inbox, store))
            _until(lambda: _packages(client, store)[0] == 0, "the daemons to open the repository")
            start = time.perf_counter()
            with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
                for uploaded in [threads.submit(self._upload, client, inbox, path) for path in paths]:
                    uploaded.result()
            _until(lambda: _packages(client, store)[0] == len(paths), "all packages to be listed")
            return time.perf_counter() - start, _packages(client, store)[1] - 1

    def _upload(self, client: Any, inbox: str, path: Path) -> None:
        key = f"in/{path.name}"
        client.put_object(Bucket=inbox, Key=key, Body=path.read_bytes())
        if self.queue:
            self.sqs.tell(self.queue, inbox, key)

    @contextmanager
    def _daemon(self, number: int, inbox: str, store: str) -> Iterator[None]:
        folder = self.folder / str(number)
        folder.mkdir(parents=True)
        places = {"inbox": f"s3://{inbox}/in/", "store": f"s3://{store}/repo/", "queue": self.queue}
        settings: dict[str, Any] = {
            "state_dir": str(folder / "state"),
            "signing": {"key": str(self.key)},
            "http": {"listen": "127.0.0.1:0"},
            "workers": {"count": 1},
            "inbox": {} if self.queue else {"scan_interval": 0.5},
            "s3": {"endpoint": self.server.endpoint, "queue_endpoint": self.sqs.endpoint, "region": REGION},
            "repository": [{"name": "bench"} | {name: value for name, value in places.items() if value}],
        }
        (folder / "repod.toml").write_text(toml(settings))
        words = [sys.executable, "-m", "repod", "run", "-c", str(folder / "repod.toml")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(words, env=os.environ | dict(self.server.environ), stdout=log, stderr=log)
        try:
            yield
            if process.poll() is not None:
                raise SystemExit(f"a daemon ended:\n{(folder / 'log').read_text()}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _packages(client: Any, store: str) -> tuple[int, int]:
    """How many packages the live view lists, and in which generation; (-1, 0) where there is none."""
    try:
        head = json.loads(client.get_object(Bucket=store, Key="repo/.repod/head.json")["Body"].read())
    except client.exceptions.NoSuchKey:
        return -1, 0
    number = head["generation"]
    record = client.get_object(Bucket=store, Key=f"repo/.repod/generations/{number}.json")["Body"].read()
    return int(json.loads(record)["packages"]), int(number)


def _until(done: Any, what: str) -> None:
    deadline = time.monotonic() + _LATE
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {_LATE:.0f} s for {what}")
        time.sleep(0.2)
