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
from pathlib import Path
from typing import Any

from tests.bench.measure import table
from tests.lab.daemon import toml
from tests.lab.seaweed import REGION, Seaweed

_LATE = 600.0
_SIDE_BY_SIDE = 8


def throughput(folder: Path, paths: Sequence[Path], server: Seaweed, key: Path, daemons: Sequence[int]) -> None:
    """Measure each number of daemons and print the table."""
    folder.mkdir()
    rows = []
    for count in daemons:
        seconds, generations = _measured(folder / str(count), paths, server, key, count)
        rows.append([str(count), f"{seconds:.1f}", f"{len(paths) / seconds:.0f}", str(generations)])
    table(["daemons", "seconds", "packages/s", "generations"], rows)
    print(
        f"\n{len(paths):,} packages lie in the inbox, a bucket that is listed, when the daemons start; one worker each,"
    )
    print("RSA-4096, all on this machine, with the S3 server.")


def _measured(folder: Path, paths: Sequence[Path], server: Seaweed, key: Path, count: int) -> tuple[float, int]:
    inbox, store = server.bucket(), server.bucket()
    client = server.client()
    with ExitStack() as stack:
        for number in range(count):
            stack.enter_context(_daemon(folder / str(number), server, key, inbox, store))
        _until(lambda: _packages(client, store)[0] == 0, "the daemons to open the repository")
        start = time.perf_counter()
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
            list(threads.map(lambda path: client.upload_file(str(path), inbox, f"in/{path.name}"), paths))
        _until(lambda: _packages(client, store)[0] == len(paths), "all packages to be listed")
        return time.perf_counter() - start, _packages(client, store)[1]


@contextmanager
def _daemon(folder: Path, server: Seaweed, key: Path, inbox: str, store: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    settings: dict[str, Any] = {
        "state_dir": str(folder / "state"),
        "signing": {"key": str(key)},
        "http": {"listen": "127.0.0.1:0"},
        "workers": {"count": 1},
        "inbox": {"list_interval": 0.5},
        "s3": {"endpoint": server.endpoint, "region": REGION},
        "repository": [{"name": "bench", "inbox": f"s3://{inbox}/in/", "store": f"s3://{store}/repo/"}],
    }
    (folder / "repod.toml").write_text(toml(settings))
    words = [sys.executable, "-m", "repod", "run", "-c", str(folder / "repod.toml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, env=os.environ | dict(server.environ), stdout=log, stderr=log)
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
        time.sleep(0.05)
