"""From a drop to a fresh repomd.xml that lists it, on an otherwise idle daemon, over HTTP."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from repod.signing.create import create_key
from repod.start import write_settings
from tests.bench.burst import started
from tests.bench.corpus import build
from tests.bench.measure import table


def run(drops: int) -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        folder = Path(name) / "repod"
        paths = build(Path(name) / "corpus", drops)
        settings = write_settings(folder, "bench", "127.0.0.1:0")
        (folder / "signing-key.asc").write_bytes(create_key("b <b@localhost>", environ=os.environ).secret)
        words = [sys.executable, "-m", "repod", "run", "-c", str(settings)]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(words, stderr=log)
        try:
            url = started(folder / "log")
            seconds = sorted(_drop(url, path, folder / "inbox" / "bench") for path in paths)
        finally:
            process.terminate()
            process.wait()
    p99 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
    table(
        ["drops", "p50 ms", "p99 ms", "max ms"],
        [[str(drops), *(f"{value * 1000:.0f}" for value in (statistics.median(seconds), p99, seconds[-1]))]],
    )


def _drop(url: str, path: Path, inbox: Path) -> float:
    """Copy one package in as ``cp`` does, and ask until the index has changed."""
    index = f"{url}repos/bench/repodata/repomd.xml"
    before = _read(index)
    start = time.perf_counter()
    (inbox / path.name).write_bytes(path.read_bytes())
    while _read(index) == before:
        time.sleep(0.002)
    return time.perf_counter() - start


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())
