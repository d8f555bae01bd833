"""A process that prunes a local store without a pause, beside whoever publishes to it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from repod.generation import Generation
from repod.history import History
from repod.prune import Pruner
from repod.store.local import LocalStore
from tests.lab.pruners import ledger, planner
from tests.lab.wait import until

_SECONDS = 60.0


class _Flag(Protocol):
    def is_set(self) -> bool: ...


class _Count(Protocol):
    value: int


def _never(*_: object) -> Generation:
    msg = "nothing is beyond retention here"
    raise AssertionError(msg)


def _prune(root: Path, grace: float, stop: _Flag, rounds: _Count, removed: _Count) -> None:
    store = LocalStore(root)
    while not stop.is_set():
        pruner = Pruner(
            planner=planner(store, generations=1, grace=grace),
            store=store,
            ledger=ledger(store),
            publish=_never,
            settle=History(store).current,
        )
        done = pruner.prune(time.time())
        removed.value += sum(removal.package is not None for removal in done.removed)
        rounds.value += 1


@contextmanager
def pruning(root: Path, grace: float) -> Iterator[Callable[[], int]]:
    """While inside, another process prunes the store at ``root`` to one generation; how many packages it removed."""
    context = get_context("spawn")
    stop, rounds, removed = context.Event(), context.Value("i", 0), context.Value("i", 0)
    process = context.Process(target=_prune, args=(root, grace, stop, rounds, removed))
    process.start()
    try:
        until(lambda: rounds.value, _SECONDS, "the first prune")
        yield lambda: removed.value
        assert process.is_alive(), f"the pruning process ended with {process.exitcode}"
    finally:
        stop.set()
        process.join(_SECONDS)
        process.kill()
        process.join()
    assert process.exitcode == 0
