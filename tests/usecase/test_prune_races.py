"""A prune beside publishers: what one of them is about to name again is never taken away under its hands.

Every store that a site hands out proves after each write that clients see a whole repository.
"""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from repod.doors import Change
from repod.publish import Publisher
from tests.lab.entries import made
from tests.lab.faulty import FaultyStore, Plan, Step, at
from tests.lab.pruners import pruner
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

BASE, OLD, NEW, STORED = (made(f"{name}-1-1.noarch") for name in ("base", "old", "new", "stored"))
DAY = 86400.0


def _back_again(site: Site, theirs: Publisher) -> None:
    """The same build with the same bytes; and the documents of then, once the new one is out."""
    site.publish(theirs, OLD)
    theirs.publish(Change(removed=[NEW.nevra]), actor="them", why="out")


def _the_same_documents(site: Site, theirs: Publisher) -> None:
    """The content of long ago, so that its documents have the same bytes."""
    theirs.publish(Change(removed=[NEW.nevra]), actor="them", why="out")


def _come_and_gone(_: Site, theirs: Publisher) -> None:
    """A build whose file was stored in time, taken out again at once: the view of then is there within grace."""
    theirs.publish(Change(entries=[STORED.entry]), actor="them", why="")
    theirs.publish(Change(removed=[STORED.nevra]), actor="them", why="out")


Act = Callable[[Site, Publisher], None]
_ACTS: Mapping[Act, Mapping[str, str]] = {
    _back_again: seen(BASE, OLD),
    _the_same_documents: seen(BASE),
    _come_and_gone: seen(BASE, NEW),
}


def _prune(site: Site, store: FaultyStore) -> None:
    pruner(site, store, generations=1, grace=DAY).prune(site.clock())


@contextmanager
def _worn(tmp_path: Path, number: int) -> Iterator[tuple[Site, FaultyStore, Publisher]]:
    """A repository with a build that left long ago, its generations and files still there; and a publisher."""
    with site_in(tmp_path / str(number)) as site:
        store = FaultyStore(site.inner)
        theirs = site.opened(store)
        site.publish(theirs, BASE)
        site.publish(theirs, OLD)
        theirs.publish(Change(removed=[OLD.nevra]), actor="test", why="out")
        site.clock.now += 10 * DAY
        site.publish(theirs, NEW)
        site.clock.now += 10 * DAY
        site.put(STORED)
        yield site, store, theirs


@pytest.mark.parametrize("act", _ACTS)
def test_what_is_named_again_at_any_step_of_a_prune_stays(tmp_path: Path, act: Act) -> None:
    for number in itertools.count(1):
        with _worn(tmp_path, number) as (site, watched, theirs):
            site.plan(watched)
            store = site.store(at(number, "before", functools.partial(act, site, theirs)))
            _prune(site, store)
            if len(store.steps) < number:
                assert number > 20
                return
            assert site.listed == _ACTS[act], store.steps[number - 1]


@pytest.mark.parametrize("act", _ACTS)
def test_a_prune_at_any_step_of_a_publish_takes_nothing_that_it_names(tmp_path: Path, act: Act) -> None:
    for number in itertools.count(1):
        with _worn(tmp_path, number) as (site, store, theirs):
            site.plan(store, at(number, "before", functools.partial(_prune, site, site.store())))
            store.plan = _one_at_a_time(store.plan)
            act(site, theirs)
            if len(store.steps) < number:
                assert number > 12
                return
            assert site.listed == _ACTS[act], store.steps[number - 1]
            _prune(site, site.store())
            assert site.listed == _ACTS[act], store.steps[number - 1]


def test_a_prune_at_any_step_of_another_prune_is_no_fault_of_either(tmp_path: Path) -> None:
    for number in itertools.count(1):
        with _worn(tmp_path, number) as (site, store, _):
            site.plan(store, at(number, "before", functools.partial(_prune, site, FaultyStore(site.inner))))
            pruned = pruner(site, store, generations=1, grace=DAY).prune(site.clock())
            before, after = number, len(store.steps)
            assert pruned.error is None, store.steps[number - 1]
            assert site.listed == seen(BASE, NEW)
            assert [generation.number for generation in site.generations] == [5]
            if after < before:
                assert number > 20
                return


def _one_at_a_time(plan: Plan) -> Plan:
    """A publisher has several threads: while one of them is looked at, or a prune runs, the others wait."""
    lock = threading.RLock()

    def locked(step: Step) -> None:
        with lock:
            plan(step)

    return locked
