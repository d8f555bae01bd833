"""A warm publisher in a process of its own.

``python -m tests.bench.publisher FOLDER KEY BASE ADDED [COMPRESSION HUNDREDS]`` reads RPM paths from
lists, publishes the first at once, the second one by one and the third by the hundred, and prints one
JSON line: seconds of each, memory at rest and at the peak, and what the machine takes at least.

``python -m tests.bench.publisher FOLDER KEY`` opens what is there, after the cache was lost.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import createrepo_c

from repod.config import Signing
from repod.doors import Change
from repod.package import Entry, Nevra, Package, sha256
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.signing.opening import open_signer
from repod.signing.openpgp import armor
from repod.store.local import LocalStore
from repod.wiring import pause
from tests.bench.floor import floor
from tests.bench.measure import peak, resident


def entry(path: Path) -> Entry:
    """The metadata of one RPM file, as repod keeps it."""
    made = createrepo_c.package_from_rpm(str(path), changelog_limit=10)
    nevra = Nevra(name=made.name, epoch=int(made.epoch), version=made.version, release=made.release, arch=made.arch)
    made.location_href = nevra.location
    dumps = (createrepo_c.xml_dump_primary, createrepo_c.xml_dump_filelists, createrepo_c.xml_dump_other)
    primary, filelists, other = (dump(made).strip().encode() + b"\n" for dump in dumps)
    package = Package(nevra=nevra, pkgid=sha256(made.pkgId), size=made.size_package, href=nevra.location)
    return Entry(package=package, primary=primary, filelists=filelists, other=other)


def in_batches(paths: Iterable[str], size: int) -> Iterable[list[Entry]]:
    batch: list[Entry] = []
    for path in paths:
        batch.append(entry(Path(path)))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def opened(folder: Path, key: str, compression: str, stack: ExitStack) -> Publisher:
    """A publisher as the daemon has it, on ``store`` and ``cache`` in ``folder``; ``stack`` closes it."""
    store = LocalStore(folder / "store")
    signer = open_signer(Signing(key=key), time.time(), os.environ)
    stack.callback(signer.close)
    engine = SegmentedRepodata(store, folder / "cache", compression=compression)
    stack.callback(engine.close)
    publisher = Publisher(
        store=store, url="http://bench/", repodata=engine, signer=signer, armor=armor, clock=time.time, pause=pause
    )
    publisher.open("bench")
    return publisher


def timed(publisher: Publisher, entries: Sequence[Entry]) -> float:
    start = time.perf_counter()
    publisher.publish(Change(entries=entries), actor="bench", why="more")
    return time.perf_counter() - start


def grow(folder: Path, key: str, base: Path, added: Path, compression: str = "gz", hundreds: str = "") -> object:
    (folder / "store").mkdir()
    with ExitStack() as stack:
        publisher = opened(folder, key, compression, stack)
        for batch in in_batches(base.read_text().splitlines(), 500):
            publisher.publish(Change(entries=batch), actor="bench", why="base")
        seconds = [timed(publisher, batch) for batch in in_batches(added.read_text().splitlines(), 1)]
        paths = Path(hundreds).read_text().splitlines() if hundreds else []
        by_hundred = [timed(publisher, batch) for batch in in_batches(paths, 100)]
        generation = publisher.current().generation
        assert generation is not None
        documents = [*generation.documents, generation.frozen]
        return {
            "seconds": seconds,
            "hundreds": by_hundred,
            "peak": peak(os.getpid()),
            "rest": resident(os.getpid()),
            "sizes": {document.type: document.size for document in generation.documents},
            "floor": floor(folder, [d.open_size for d in documents], [d.size for d in documents]),
        }


def cold(folder: Path, key: str) -> object:
    start = time.perf_counter()
    with ExitStack() as stack:
        opened(folder, key, "gz", stack)
        return {"seconds": time.perf_counter() - start, "rest": resident(os.getpid())}


if __name__ == "__main__":
    words = sys.argv[1:]
    folder, key, *lists = words
    print(
        json.dumps(
            grow(Path(folder), key, Path(lists[0]), Path(lists[1]), *lists[2:]) if lists else cold(Path(folder), key)
        )
    )
