"""Writers that race for one object, as threads or as processes, in step with each other."""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from repod.doors import Expect, Store, Stored, Version
from repod.errors import Conflict
from repod.package import Sha256, StorePath
from repod.store.local import LocalStore

COUNTER = StorePath("counter")
SECONDS = 120.0


class Barrier(Protocol):
    def wait(self, timeout: float | None = None) -> int: ...


def increment(rounds: int, _: int, store: Store, barrier: Barrier) -> list[bool]:
    """Each round all read the same number and all write the next one; tells which rounds were won."""
    won = []
    for _round in range(rounds):
        seen = store.read(COUNTER)
        barrier.wait(SECONDS)
        won.append(_wins(store, COUNTER, b"%d" % (int(seen.data) + 1), seen.version))
        barrier.wait(SECONDS)
    return won


def create(rounds: int, me: int, store: Store, barrier: Barrier) -> list[bool]:
    """Each round all create the same object with their own number in it; tells which rounds were won."""
    won = []
    for number in range(rounds):
        path = StorePath(f"new/{number}/object")
        barrier.wait(SECONDS)
        won.append(_wins(store, path, b"%d" % me, Expect.ABSENT))
    return won


def add_again(root: Path, rounds: int, me: int, store: Store, barrier: Barrier) -> list[bool]:
    """Each round one removes what it listed long ago while all others add it again; tells whether it is there then.

    ``root``: where the store, a local one, lies.
    """
    there = []
    for number in range(rounds):
        path = StorePath(f"old/{number}")
        checksum = Sha256(hashlib.sha256(b"old").hexdigest())
        if me == 0:
            store.add(path, [b"old"], checksum)
            os.utime(root / path, (1, 1))
        barrier.wait(SECONDS)
        if me == 0:
            store.remove(path, seen=Stored(path=path, size=3, modified=1.0))
        else:
            store.add(path, [b"old"], checksum)
        barrier.wait(SECONDS)
        there.append((root / path).exists())
    return there


Race = Callable[[int, int, Store, Barrier], list[bool]]


def threads(store: Store, race: Race, writers: int, rounds: int) -> Sequence[list[bool]]:
    """What each of ``writers`` threads won."""
    barrier = threading.Barrier(writers)
    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(lambda me: race(rounds, me, store, barrier), range(writers)))


def processes(root: Path, race: Race, writers: int, rounds: int) -> Sequence[list[bool]]:
    """What each of ``writers`` processes won, on a local store that each opens for itself."""
    context = get_context("spawn")
    barrier, answers = context.Barrier(writers), context.SimpleQueue()
    running = [
        context.Process(target=_run, args=(me, partial(race, rounds), root, barrier, answers)) for me in range(writers)
    ]
    try:
        for process in running:
            process.start()
        for process in running:
            process.join(SECONDS)
        assert [process.exitcode for process in running] == [0] * writers
        return [won for _, won in sorted(answers.get() for _ in running)]
    finally:
        for process in running:
            process.kill()
            process.join()
            process.close()
        answers.close()


class _Answers(Protocol):
    def put(self, obj: tuple[int, list[bool]]) -> None: ...


def _run(
    me: int, race: Callable[[int, Store, Barrier], list[bool]], root: Path, barrier: Barrier, answers: _Answers
) -> None:
    answers.put((me, race(me, LocalStore(root), barrier)))


def _wins(store: Store, path: StorePath, data: bytes, expect: Version | Expect) -> bool:
    try:
        store.write(path, data, expect)
    except Conflict:
        return False
    return True
