"""An outbox in a bucket and in a directory: many processes at once, each event told, in order, by one at a time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repod.doors import Store
from repod.store.local import LocalStore
from tests.lab.buckets import Buckets
from tests.lab.hooked import Hooked, publish, refusal
from tests.lab.wait import until


def _directory(folder: Path, _: Callable[[], Buckets]) -> Store:
    return LocalStore(folder)


def _bucket(_: Path, buckets: Callable[[], Buckets]) -> Store:
    return buckets().store()


@pytest.mark.parametrize("make", [_directory, _bucket], ids=["directory", "bucket"])
def test_of_many_processes_that_deliver_at_once_one_does_and_nothing_is_lost(
    tmp_path: Path, request: pytest.FixtureRequest, make: Callable[[Path, Callable[[], Buckets]], Store]
) -> None:
    store = make(tmp_path, lambda: request.getfixturevalue("buckets"))
    hooked = Hooked(store=store, began=1000, now=time.time())
    publish(store, 1)
    hooked.delivery().run()
    for number in (2, 3, 4):
        publish(store, number)
        hooked.post(refusal(f"bad-{number}.rpm", 100.0 * number + 50))
    at_once: list[int] = []
    busy = threading.Lock()

    def act(_event: object) -> None:
        at_once.append(busy.acquire(blocking=False))
        time.sleep(0.01)  # a receiver takes its time
        if at_once[-1]:
            busy.release()

    hooked.receiver.act = act

    def work(holder: str) -> None:
        delivery = hooked.delivery(holder)
        until(lambda: delivery.run().pending == 0, 120, "all to be delivered")

    threads = [threading.Thread(target=work, args=[f"process {number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hooked.receiver.numbers == [2, "bad-2.rpm", 3, "bad-3.rpm", 4, "bad-4.rpm"]
    assert all(at_once)
    assert hooked.left["delivered"] == 6
    assert hooked.lost == []
