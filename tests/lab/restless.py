"""A publisher that never stops: ``python -m tests.lab.restless STORE URL KEY CACHE``.

It takes one package after the other out of the repository and puts it back, a generation each time,
as fast as it can, until SIGTERM: then it ends with what it is at.
"""

import itertools
import os
import signal
import sys
import threading
import time
from contextlib import closing
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
    with (
        closing(open_signer(Signing(key=key), time.time(), os.environ, processes=1)) as signer,
        closing(SegmentedRepodata(store, cache)) as repodata,
    ):
        publish(
            Publisher(
                store=store,
                url=url,
                repodata=repodata,
                signer=signer,
                armor=armor,
                clock=time.time,
                pause=pause,
            ),
            folder,
        )


def publish(publisher: Publisher, folder: Path) -> None:
    publisher.open("restless")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    for path in itertools.cycle(sorted(folder.glob("Packages/**/*.rpm"))):
        if ended.is_set():
            return
        one = entry(path)
        publisher.publish(Change(removed=[one.package.nevra]), actor="restless", why="out")
        publisher.publish(Change(entries=[one]), actor="restless", why="in")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
