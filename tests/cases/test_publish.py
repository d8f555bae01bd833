"""Cases about making a generation live."""

import errno
import hashlib
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from repod.errors import Unavailable
from tests.cases.place import MakePlace, Place
from tests.lab import entries, rpms
from tests.lab.checker import assert_sound
from tests.lab.daemon import Repod
from tests.lab.folders import stages, tmpfs
from tests.lab.inboxes import files_below
from tests.lab.keys import Key
from tests.lab.wait import until

REPOMD, SIGNATURE = "repodata/repomd.xml", "repodata/repomd.xml.asc"


@contextmanager
def readers(*loops: Callable[[], None]) -> Iterator[None]:
    """Each of ``loops`` again and again in a thread of its own; what one raises is raised at the end."""
    stop = threading.Event()
    raised: list[BaseException] = []

    def repeat(loop: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                loop()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    threads = [threading.Thread(target=repeat, args=[loop]) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]


def publish_many(place: Place, count: int) -> None:
    """``count`` generations with one more package each; the packages are entries without files."""
    for number in range(count):
        made = entries.made(f"p{number}-1.0-1.noarch")
        place.wired.publisher.publish([made.entry], [], actor="test", why="one more")


def test_c081_a_client_that_was_slow_still_gets_every_document(place: Place) -> None:
    """It reads the index, waits, and fetches what that names, while 200 generations come: no error, every checksum."""
    place.wired.publisher.publish([m.entry for m in entries.many(100)], [], actor="test", why="many")
    fetched = []

    def client() -> None:
        named = _named((place.store / REPOMD).read_bytes())
        time.sleep(random.uniform(0, 1))
        for href in named:
            data = (place.store / href).read_bytes()
            assert Path(href).name.startswith(hashlib.sha256(data).hexdigest())
        fetched.append(named)

    with readers(*[client] * 8):
        publish_many(place, 200)
    assert len({tuple(named) for named in fetched}) > 8


def _named(repomd: bytes) -> list[str]:
    return [part.split('"')[0] for part in repomd.decode().split('<location href="')[1:]]


def test_c083_index_and_signature_are_each_whole_and_together_again_at_once(place: Place) -> None:
    """Read in either order during 200 publishes: every file is that of one generation, a torn pair is gone on retry."""
    seen: list[tuple[bytes, bytes]] = []

    def pair(*paths: str) -> tuple[bytes, bytes]:
        read = {path: (place.store / path).read_bytes() for path in paths}
        return read[REPOMD], read[SIGNATURE]

    gaps = []
    with readers(lambda: seen.append(pair(REPOMD, SIGNATURE)), lambda: seen.append(pair(SIGNATURE, REPOMD))):
        for number in range(200):
            publish_many_one(place, number)
            gaps.append((place.store / SIGNATURE).stat().st_ctime - (place.store / REPOMD).stat().st_ctime)
    generations = [place.wired.history_record(number) for number in range(1, place.number() + 1)]
