"""One package added to a repository of N in a bucket: repod against whole uploads and ``aws s3 sync``.

Against SeaweedFS on loopback. The rounds that are timed go straight to it; those whose requests and
bytes are counted go through the tests' proxy, which would cost all of them time.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repod.config import Bucket, Signing
from repod.doors import Change, Store
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.signing.create import create_key
from repod.signing.opening import OpenSigner, open_signer
from repod.signing.openpgp import armor
from repod.store.s3 import S3Store
from repod.values import S3Place
from repod.wiring import pause
from tests.bench.corpus import build
from tests.bench.measure import table
from tests.bench.publisher import entry, in_batches
from tests.bench.s3daemons import throughput
from tests.bench.s3peers import Peers
from tests.lab.faultproxy import FaultProxy
from tests.lab.origins import stating
from tests.lab.s3requests import Counts
from tests.lab.seaweed import REGION, Seaweed, seaweed

_BATCH = 5_000
_COUNTED = 3

# us-east-1, S3 Standard, https://aws.amazon.com/s3/pricing/. DELETE and what is sent up cost nothing.
_DEAR = 0.005 / 1000
_CHEAP = 0.0004 / 1000
_FREE = {"DeleteObject", "DeleteObjects", "AbortMultipartUpload"}
_READS = {"GetObject", "HeadObject", "HeadBucket"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What adding one package cost: seconds, and in how many rounds what was asked."""

    seconds: float
    counts: Counts
    rounds: int

    @property
    def requests(self) -> float:
        """Requests per publish."""
        return self.counts.total().requests / self.rounds

    @property
    def sent(self) -> float:
        """MB sent up per publish."""
        return self.counts.total().up / self.rounds / 1e6

    @property
    def fetched(self) -> float:
        """MB that came down per publish."""
        return self.counts.total().down / self.rounds / 1e6

    @property
    def dollars(self) -> float:
        """For the requests of 1,000 publishes."""
        each = (
            tally.requests * (0 if name in _FREE else _CHEAP if name in _READS else _DEAR)
            for name, tally in self.counts.by_operation().items()
        )
        return sum(each) / self.rounds * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What it took another daemon to have the segments: seconds, and MB that came down."""

    seconds: float
    fetched: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A size: repod, the whole upload, the sync; another daemon that starts cold, and one that is one behind."""

    size: int
    repod: Cost
    whole: Cost
    sync: Cost
    cold: Behind
    caught: Behind


def run(sizes: Sequence[int], rounds: int, daemons: Sequence[int], packages: int) -> None:
    """Measure every size and print the tables."""
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name, ExitStack() as stack:
        work = Path(name)
        (work / "seaweed").mkdir()
        server = stack.enter_context(seaweed(work / "seaweed"))
        proxy = stack.enter_context(FaultProxy(server))
        os.environ.update(server.environ)
        secret = create_key("bench <bench@localhost>", environ=os.environ).secret
        key = work / "key.asc"
        key.touch(mode=0o600)
        key.write_bytes(secret)
        signer = stack.enter_context(_signer(key))
        if sizes:
            paths = build(work / "corpus", max(sizes) + rounds + 3 * _COUNTED)
            rows = [_row(work / str(size), size, paths, rounds, server, proxy, signer) for size in sizes]
            _print(rows)
        if daemons:
            print()
            throughput(work / "daemons", build(work / "corpus", packages), server, key, daemons)


@contextmanager
def _signer(key: Path) -> Iterator[OpenSigner]:
    signer = open_signer(Signing(key=str(key)), time.time(), os.environ)
    try:
        yield signer
    finally:
        signer.close()


def _row(
    work: Path,
    size: int,
    paths: Sequence[Path],
    rounds: int,
    server: Seaweed,
    proxy: FaultProxy,
    signer: OpenSigner,
) -> Row:
    base, more = paths[:size], iter(paths[-rounds - 3 * _COUNTED :])
    bucket = server.bucket()
    with _publisher(work / "direct", bucket, server.endpoint, signer) as repod:
        repod.base(base)
        repod.add(next(more))  # connections are made, code is loaded
        timed = [next(more) for _ in range(rounds)]
        seconds = [repod.add(path) for path in timed]
        with _publisher(work / "counted", bucket, proxy.endpoint(f"repod{size}"), signer) as other:
            cold = _behind(other, proxy)
            repod.add(next(more))
            caught = _behind(other, proxy)
            counted = [next(more) for _ in range(_COUNTED)]
            other.add(next(more))
            counts = _counted(proxy, lambda: [other.add(path) for path in counted])
    ours = Cost(seconds=statistics.median(seconds), counts=counts, rounds=_COUNTED)
    _note(
        f"{size:,} packages: repod {ours.seconds * 1000:.0f} ms, {ours.sent:.2f} MB sent, {ours.requests:.0f} requests"
    )
    peers = Peers(work / "peers", server, server.bucket(), server.bucket())
    peers.base(base)
    whole, sync = [], []
    for path in timed:
        one, other_one = peers.add(path, server.endpoint)
        whole.append(one)
        sync.append(other_one)
    counts_whole, counts_sync = peers.counted(counted[0], proxy)
    return Row(
        size=size,
        repod=ours,
        whole=Cost(seconds=statistics.median(whole), counts=counts_whole, rounds=1),
        sync=Cost(seconds=statistics.median(sync), counts=counts_sync, rounds=1),
        cold=cold,
        caught=caught,
    )


def _note(text: str) -> None:
    """Say how far it is: large sizes take long."""
    print(text, file=sys.stderr, flush=True)


def _counted(proxy: FaultProxy, act: Callable[[], Any]) -> Counts:
    before = proxy.counts()
    act()
    return proxy.counts() - before


def _behind(repod: "_Repod", proxy: FaultProxy) -> Behind:
    start = time.perf_counter()
    counts = _counted(proxy, repod.publisher.refresh)
    return Behind(seconds=time.perf_counter() - start, fetched=counts.total().down / 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repod:
    """A daemon's publishing, in this process."""

    store: Store
    publisher: Publisher

    def base(self, paths: Sequence[Path]) -> None:
        """Publish all of ``paths``. Their files are not stored: nothing here looks at them again."""
        self.publisher.open("bench")
        for batch in in_batches(map(str, paths), _BATCH):
            self.publisher.publish(Change(entries=batch), actor="bench", why="base")

    def add(self, path: Path) -> float:
        """Store and publish one package, as a turn of the daemon does; the seconds that it took."""
        one = entry(path)
        start = time.perf_counter()
        self.publisher.refresh()
        self.store.add(one.package.href, [path], one.package.pkgid)
        self.publisher.publish(Change(entries=[one]), actor="bench", why="one more")
        return time.perf_counter() - start


@contextmanager
def _publisher(folder: Path, bucket: str, endpoint: str, signer: OpenSigner) -> Iterator[_Repod]:
    store = S3Store(S3Place(bucket=bucket, prefix="repo/"), Bucket(endpoint=endpoint, region=REGION))
    store.prove()
    engine = SegmentedRepodata(store, folder)
    publisher = Publisher(
        store=store,
        url="http://bench/",
        repodata=engine,
        signer=signer,
        armor=armor,
        clock=time.time,
        pause=pause,
        statements=stating(store, signer),
    )
    try:
        yield _Repod(store=store, publisher=publisher)
    finally:
        engine.close()


def _print(rows: Sequence[Row]) -> None:
    header = ["packages", "", "ms", "repod is faster by", "MB sent", "MB fetched", "requests", "$ per 1,000 publishes"]
    cells = [
        [
            f"{row.size:,}" if cost is row.repod else "",
            name,
            f"{cost.seconds * 1000:.0f}",
            "" if cost is row.repod else f"{cost.seconds / row.repod.seconds:.1f} x",
            f"{cost.sent:.2f}",
            f"{cost.fetched:.2f}",
            f"{cost.requests:.0f}",
            f"{cost.dollars:.2f}",
        ]
        for row in rows
        for name, cost in (
            ("repod", row.repod),
            ("createrepo_c --update, all documents uploaded", row.whole),
            ("createrepo_c --update, aws s3 sync", row.sync),
        )
    ]
    table(header, cells)
    print(
        "\nMedian of the rounds, warm; the package's own upload is in all of them. repod signs its index with RSA-4096,"
    )
    print(
        "stores a frozen view too and proves what it stored; the others do none of that. Dollars are for requests, at"
    )
    print("AWS's list prices for us-east-1: PUT, COPY, POST, LIST 0.005 per 1,000, GET and HEAD 0.0004.\n")
    for row in rows:
        print(f"{row.size:,} packages, requests of {_COUNTED} publishes of repod:\n\n{row.repod.counts}\n")
    table(
        ["packages", "another daemon, cold: ms", "MB", "one generation behind: ms", "MB"],
        [
            [f"{row.size:,}", *(f"{n:.{d}f}" for one in (row.cold, row.caught) for n, d in _figures(one))]
            for row in rows
        ],
    )


def _figures(behind: Behind) -> Sequence[tuple[float, int]]:
    return (behind.seconds * 1000, 0), (behind.fetched, 2)
