"""Two processes on one directory: one prunes without a pause, the other publishes what was there before, again."""

import itertools
import time
from contextlib import closing
from pathlib import Path

from repod.doors import Change
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.store.local import LocalStore
from tests.lab import validity
from tests.lab.entries import made
from tests.lab.fakes import MacSigner, armor
from tests.lab.prunings import pruning
from tests.lab.site import URL, seen
from tests.lab.wait import until

BASE = made("base-1-1.noarch")
_AGAIN = [made(f"again-1-{number}.noarch") for number in range(12)]
_GRACE = 2.0  # seconds; what left within the same second as it came may come back unseen, so not less
_SECONDS = 12.0


def test_what_is_published_again_is_there_while_another_process_prunes_what_it_was_before(tmp_path: Path) -> None:
    """Each of some packages comes back again and again, and with it documents of the same bytes."""
    root = tmp_path / "store"
    root.mkdir()
    store = LocalStore(root)
    with closing(SegmentedRepodata(store, tmp_path / "cache")) as repodata:
        publisher = Publisher(
            store=store,
            url=URL,
            repodata=repodata,
            signer=MacSigner(),
            armor=armor,
            clock=time.time,
            pause=lambda _: None,
        )
        publisher.open("test")
        store.add(BASE.package.href, [BASE.file], BASE.package.pkgid)
        publisher.publish(Change(entries=[BASE.entry]), actor="test", why="in")
        ends = time.monotonic() + _SECONDS
        left = dict.fromkeys(_AGAIN, 0.0)
        with pruning(root, _GRACE) as removed:
            for again in itertools.cycle(_AGAIN):
                # Just when its file may go, so that both are at it.
                due = left[again] + _GRACE
                until(lambda due=due: time.monotonic() >= due, 30, "the end of its grace")
                store.add(again.package.href, [again.file], again.package.pkgid)
                publisher.publish(Change(entries=[again.entry]), actor="test", why="in")
                assert validity.listed(store) == seen(BASE, again)
                publisher.publish(Change(removed=[again.nevra]), actor="test", why="out")
                assert validity.listed(store) == seen(BASE)
                left[again] = time.monotonic()
                if time.monotonic() > ends and removed() > len(_AGAIN):
                    break
