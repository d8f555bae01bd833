"""Publishing beside other publishers, through crashes and unknown outcomes: at every single step."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from repod.doors import Expect, Version
from repod.errors import Conflict, Misconfigured, OutcomeUnknown, RepodError, Unavailable
from repod.generation import HEAD
from repod.package import StorePath, store_path
from repod.publish import REPOMD, SIGNATURE, Publisher
from repod.store.memory import MemoryStore
from tests.lab.entries import Made, made
from tests.lab.fakes import Clock
from tests.lab.faulty import Crash, FaultyStore, Moment, Plan, Step, at, nothing, raising
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

BASE = [made(f"base{number}-1-1.noarch") for number in range(8)]
OURS, THEIRS, THIRD = made("ours-1-1.noarch"), made("theirs-1-1.noarch"), made("third-1-1.noarch")
MOMENTS: tuple[Moment, Moment] = ("before", "after")


@contextmanager
def based() -> Iterator[Site]:
    """A repository with some packages."""
    with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
        site.publish(site.opened(), *BASE)
        yield site


@contextmanager
def fresh() -> Iterator[Site]:
    """A new, empty store."""
    with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
        yield site


def act(site: Site, store: FaultyStore) -> None:
    """What the tests of this file interrupt: a publish by a process that stood on the last generation."""
    publisher = site.opened(store)
    start = len(store.steps)
    store.plan, plan = nothing, store.plan
    del plan, start
    site.publish(publisher, OURS)
