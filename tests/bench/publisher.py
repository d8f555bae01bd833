"""A warm publisher in a process of its own: ``python -m tests.bench.publisher FOLDER KEY BASE ADDED…``.

Reads RPM paths from two lists, publishes the first at once and the second one by one, and
prints one JSON line: seconds of each, memory at rest and at the peak.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
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
from tests.bench.measure import peak, resident
from tests.lab.origins import stating


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


def main(folder: Path, key: str, base: Path, added: Path) -> None:
    store_dir = folder / "store"
    store_dir.mkdir()
    store = LocalStore(store_dir)
    signer = open_signer(Signing(key=key), time.time(), os.environ)
    engine = SegmentedRepodata(store, folder / "cache")
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
    publisher.open("bench")
    for batch in in_batches(base.read_text().splitlines(), 500):
        publisher.publish(Change(entries=batch), actor="bench", why="base")
    seconds = []
    for path in added.read_text().splitlines():
        one = [entry(Path(path))]
        start = time.perf_counter()
        generation = publisher.publish(Change(entries=one), actor="bench", why="one more")
        seconds.append(time.perf_counter() - start)
    sizes = {document.type: document.size for document in generation.documents}
    opened = {document.type: document.open_size for document in generation.documents}
    print(
        json.dumps(
            {
                "seconds": seconds,
                "peak": peak(os.getpid()),
                "rest": resident(os.getpid()),
                "sizes": sizes,
                "open": opened,
            }
        )
    )
    engine.close()
    signer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
