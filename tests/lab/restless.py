"""A publisher that never stops: ``python -m tests.lab.restless STORE URL KEY CACHE``.

It takes one package after the other out of the repository and puts it back, a generation each time,
as fast as it can, until it is ended.
"""

import itertools
import os
import sys
import time
from pathlib import Path

from repod.config import Signing
from repod.doors import Change
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.signing.opening import open_signer
from repod.signing.openpgp import armor
from repod.store.local import LocalStore
from repod.wiring import pause
from tests.bench.publisher import entry


def main(folder: Path, url: str, key: str, cache: Path) -> None:
    store = LocalStore(folder)
    signer = open_signer(Signing(key=key), time.time(), os.environ, processes=1)
    publisher = Publisher(
        store=store,
        url=url,
        repodata=SegmentedRepodata(store, cache),
        signer=signer,
        armor=armor,
        clock=time.time,
        pause=pause,
    )
    publisher.open("restless")
    for path in itertools.cycle(sorted(folder.glob("Packages/**/*.rpm"))):
        one = entry(path)
        publisher.publish(Change(removed=[one.package.nevra]), actor="restless", why="out")
        publisher.publish(Change(entries=[one]), actor="restless", why="in")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
