"""Serving repositories, and answering while packages come in.

repod, repod behind nginx (``config/nginx``, with X-Accel-Redirect) and nginx alone, on the same files in the same run.
Requests are by ``wrk`` (Debian's package), which takes the same cores as what it asks.
"""

import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from repod.signing.create import create_key
from tests.bench.corpus import build
from tests.bench.measure import table
from tests.lab.daemon import Repod
from tests.lab.nginx import running, written
from tests.lab.ports import free_port
from tests.lab.rpms import quick, tool
from tests.lab.wait import until

_CONNECTIONS = (1, 16, 64)
_PACKAGE = "Packages/b/big-1.0-1.noarch.rpm"
_ROUTES = ("/api/v1/repositories", "/metrics", "/healthz")
_EVERY = 0.2
_PAUSE = 0.02
_RATES = re.compile(r"Requests/sec:\s+([0-9.]+)\s+Transfer/sec:\s+([0-9.]+)([KMGT]?)B")
_P99 = re.compile(r"99%\s+([0-9.]+)(us|ms|s|m)\b")
_MB = {"": 1 / 2**20, "K": 1 / 2**10, "M": 1, "G": 2**10, "T": 2**20}  # as wrk counts
_MS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 60e3}


def run(sizes: Sequence[int], seconds: int, watch: float) -> None:
    """Measure serving, and answering beside repositories of so many packages, and print the tables."""
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        work = Path(name)
        key = work / "key.asc"
        key.touch(mode=0o600)
        key.write_bytes(create_key("bench <bench@localhost>", environ=os.environ).secret)
        _serve(work / "serve", key, seconds)
        print()
        _answer(work, key, sizes, watch)


# ---------------------------------------------------------------- serving


def _serve(work: Path, key: Path, seconds: int) -> None:
    document = f"repodata/{hashlib.sha256(b'document').hexdigest()}-other.xml.gz"
    files = {"repomd.xml": "repodata/repomd.xml", "100 KB document": document, "5 MB package": _PACKAGE}
    rows = []
    with _front(work, key, document) as places:
        for place in places.values():
            _wrk(f"{place}{files['repomd.xml']}", 1, 1)  # the first requests find everything cold
        for what, path in files.items():
            for count in _CONNECTIONS:
                rates = [_wrk(f"{place}{path}", count, seconds) for place in places.values()]
                cells = [f"{rate:,.0f}/s, {mb:,.0f} MB/s, {p99:,.1f}" for rate, mb, p99 in rates]
                ratios = [f"{rates[-1][0] / rate:.1f} x" for rate, _, _ in rates[:-1]]
                rows.append([what, str(count), *cells, *ratios])
    names = list(places)
    table(["file", "connections", *names, *(f"{names[-1]} : {name}" for name in names[:-1])], rows)
    print(f"\nRequests and bytes per second, and the 99th percentile in ms; wrk -t1, {seconds} s each, plain HTTP, one")
    print("nginx worker. wrk takes a share of the same cores.")


@contextmanager
def _front(work: Path, key: Path, document: str) -> Iterator[dict[str, str]]:
    """The same files at three places: their URLs."""
    port = free_port()
    settings = {"http": {"accel": "/repod-internal/"}}
    with ExitStack() as stack:
        repod = stack.enter_context(Repod(work / "repod", key, ("el9-prod", "behind"), settings=settings))
        for name in ("el9-prod", "behind"):
            quick(repod.inbox(name), "hello")
        until(lambda: len(repod.find_events("package published")) == 2, 60, "the packages to be live")
        for name in ("el9-prod", "behind"):
            for path, size in ((document, 100_000), (_PACKAGE, 5_000_000)):
                file = repod.store(name) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(os.urandom(size))
            repod.unsound.add(name)
        upstream = repod.url.removeprefix("http://")
        main = written(work / "nginx", port=port, upstream=upstream, stores=work / "repod/www", pair=None)
        stack.enter_context(running(main, port))
        yield {
            "repod": f"{repod.url}/repos/el9-prod/",
            "repod behind nginx": f"http://localhost:{port}/repos/behind/",
            "nginx alone": f"http://localhost:{port}/repos/el9-prod/",
        }


def _wrk(url: str, connections: int, seconds: int) -> tuple[float, float, float]:
    """Requests per second, MB per second, and the 99th percentile in ms."""
    words = [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", url]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    rates, p99 = _RATES.search(text), _P99.search(text)
    if not rates or not p99 or "Non-2xx" in text:
        raise SystemExit(f"wrk {url}:\n{text}")
    return float(rates[1]), float(rates[2]) * _MB[rates[3]], float(p99[1]) * _MS[p99[2]]


# ---------------------------------------------------------------- answering


def _answer(work: Path, key: Path, sizes: Sequence[int], watch: float) -> None:
    rows = []
    fresh = int(watch / _EVERY) + 1
    paths = build(work / "corpus", max(sizes) + fresh * len(sizes))
    for number, size in enumerate(sizes):
        added = paths[max(sizes) + number * fresh :][:fresh]
        with _daemon(work / f"answer{size}", key, paths[:size]) as repod:
            idle = _latencies(repod.url, watch / 2, threading.Event())
            stop = threading.Event()
            load = threading.Thread(target=_publish, args=(repod, added, stop))
            load.start()
            busy = _latencies(repod.url, watch, stop)
            load.join()
            count = len(repod.find_events("published"))
        for route in _ROUTES:
            cells = [_percentiles(found[route]) for found in (idle, busy)]
            rows.append([f"{size:,}", f"GET {route}", *cells, f"{count / watch:.1f}/s"])
    table(["packages", "request", "idle", "under load", "publishes"], rows)
    print(
        f"\nMilliseconds: p50 / p99 / max, asked in turn every {_PAUSE * 1000:.0f} ms on a connection that is kept, for"
    )
    print(f"{watch:g} s, while one package is dropped every {_EVERY * 1000:.0f} ms.")


def _percentiles(seconds: Sequence[float]) -> str:
    found = sorted(seconds)
    p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
    return " / ".join(f"{value * 1000:.1f}" for value in (statistics.median(found), p99, found[-1]))


@contextmanager
def _daemon(folder: Path, key: Path, base: Sequence[Path]) -> Iterator[Repod]:
    """A daemon on a repository that lists ``base``, made without it, since that is quicker."""
    made = folder / "made"
    made.mkdir(parents=True)
    (made / "base").write_text("\n".join(map(str, base[:-1])))
    (made / "added").write_text(str(base[-1]))
    words = [sys.executable, "-m", "tests.bench.publisher", str(made), str(key), str(made / "base")]
    subprocess.run([*words, str(made / "added")], check=True, capture_output=True)
    repod = Repod(folder / "repod", key, ("bench",), settings={"log": {"format": "json", "level": "info"}})
    store, cache = repod.store("bench"), folder / "repod/state/cache/bench"
    shutil.rmtree(store)
    cache.parent.mkdir(parents=True, exist_ok=True)
    (made / "store").rename(store)
    (made / "cache").rename(cache)
    repod.unsound.add("bench")
    with repod:
        # What follows the generations has its own reading to do first.
        url = f"{repod.url}/api/v1/repositories/bench/packages?limit=1"
        until(lambda: httpx.get(url, timeout=30).status_code == 200, 300, "the catalog to be read")
        yield repod


def _publish(repod: Repod, added: Sequence[Path], stop: threading.Event) -> None:
    inbox = repod.inbox("bench")
    for path in added:
        begun = time.monotonic()
        part = inbox / f".{path.name}.part"
        shutil.copyfile(path, part)
        part.rename(inbox / path.name)
        if stop.wait(max(0.0, _EVERY - (time.monotonic() - begun))):
            return


def _latencies(url: str, seconds: float, stop: threading.Event) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {route: [] for route in _ROUTES}
    until_when = time.monotonic() + seconds
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            while time.monotonic() < until_when:
                for route in _ROUTES:
                    begun = time.perf_counter()
                    client.get(route).raise_for_status()
                    found[route].append(time.perf_counter() - begun)
                    time.sleep(_PAUSE)
    finally:
        stop.set()
    return found
