"""What a caller is told is what became of it, though answers are lost and others die half way.

Each was found by a random schedule of ``tests/histories``; a seed is another history once the code asks otherwise, so
what mattered of each stands here as a script.
"""

from collections.abc import Callable

import pytest

from repod.doors import Blob, Change, Expect, Store, Version
from repod.errors import Conflict, OutcomeUnknown
from repod.generation import record_path
from repod.ledger import Ledger
from repod.package import StorePath
from repod.publish import Publisher
from repod.remove import Removing
from repod.views import METALINK
from tests.lab import validity
from tests.lab.entries import Made, made
from tests.lab.faulty import Crash, FaultyStore, Step
from tests.lab.pruners import pruner
from tests.lab.site import Site

OLD, NEW, NEXT = made("a-1-1.noarch"), made("a-2-1.noarch"), made("a-3-1.noarch")
GRACE = 100.0


class Slow(FaultyStore):
    """A store whose answer to one write of ``path`` is lost; it is done when ``path`` was read ``reads`` times more."""

    def __init__(self, inner: Store, path: StorePath, reads: int) -> None:
        super().__init__(inner)
        self._path = path
        self._reads = reads
        self._waiting: Callable[[], object] | None = None
        self._lost = False

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        write = super().write
        if path == self._path and not self._lost:
            self._lost = True
            self._waiting = lambda: write(path, data, expect)
            raise OutcomeUnknown(f"writing {path}: the connection broke")
        return write(path, data, expect)

    def read(self, path: StorePath) -> Blob:
        if path == self._path and self._waiting:
            self._reads -= 1
            if self._reads < 0:
                waiting, self._waiting = self._waiting, None
                waiting()
        return super().read(path)


def _begun(site: Site) -> Publisher:
    publisher = site.opened()
    site.publish(publisher, OLD)
    site.publish(publisher, NEW)
    return publisher


@pytest.mark.parametrize("reads", range(6))
def test_who_claimed_a_number_by_a_write_that_was_done_late_is_told_that_number(site: Site, reads: int) -> None:
    _begun(site)
    ours = site.opened(Slow(site.inner, record_path(4), reads))
    generation = ours.publish(Change(removed=[OLD.nevra]), actor="anna", why="", on=3)
    assert (generation.number, generation.actor) == (4, "anna")
    assert validity.pointer(site.inner) == validity.revision(site.inner) == 4
    assert len(site.generations) == 4


@pytest.mark.parametrize("reads", range(6))
def test_a_removal_that_was_done_late_is_not_refused_since_the_build_is_gone(site: Site, reads: int) -> None:
    _begun(site)
    store = Slow(site.inner, record_path(4), reads)
    repodata = site.repodata(store)
    removing = Removing(
        repository="site",
        repodata=repodata,
        publisher=site.publisher(store, repodata=repodata),
        ledger=Ledger(store, site.pause),
        pause=site.pause,
    )
    plan, generation = removing.run([str(OLD.nevra)], actor="anna", why="")
    assert ([package.nevra for package in plan.gone], generation.number) == ([OLD.nevra], 4)


def test_who_lost_a_number_to_somebody_else_after_an_answer_was_lost_plans_again(site: Site) -> None:
    theirs = _begun(site)
    store = Slow(site.inner, record_path(4), 1000)
    ours = site.opened(store)

    def overtaken(step: Step) -> None:
        if step.name == "write" and step.path == record_path(4):
            site.publish(theirs, NEXT)

    store.plan = overtaken
    generation = ours.publish(Change(removed=[OLD.nevra]), actor="anna", why="")
    assert (generation.number, generation.actor) == (5, "anna")
    with pytest.raises(Conflict):
        ours.publish(Change(removed=[NEW.nevra]), actor="anna", why="", on=3)


def test_nothing_is_built_upon_what_clients_do_not_see_yet(site: Site) -> None:
    _begun(site)
    _dies_before_it_shows(site, NEXT)
    store = site.store()
    publisher = site.publisher(store)
    seen: list[int] = []

    def watch(step: Step) -> None:
        if step.name == "write" and step.path == record_path(5) and step.moment == "before":
            seen.append(validity.revision(site.inner))

    site.plan(store, watch)
    publisher.publish(Change(removed=[OLD.nevra]), actor="anna", why="")
    assert seen == [4]


def test_what_clients_were_shown_within_grace_stays_though_its_successor_was_made_long_before(site: Site) -> None:
    _begun(site)
    _dies_before_it_shows(site, NEXT)
    site.clock.now += 10 * GRACE  # clients see generation 3 all this time
    ours = site.opened()
    shown = site.clock.now
    site.clock.now += 0.9 * GRACE
    pruner(site, generations=1, grace=GRACE).prune(site.clock())
    assert _kept(site) == [3, 4]
    site.publish(ours, made("b-1-1.noarch"))
    site.clock.now = shown + GRACE
    pruner(site, generations=1, grace=GRACE).prune(site.clock())
    assert 3 in _kept(site)
    site.clock.now += 2
    pruner(site, generations=1, grace=GRACE).prune(site.clock())
    assert 3 not in _kept(site)


def test_a_generation_stays_while_clients_do_not_see_the_next(site: Site) -> None:
    _begun(site)
    _dies_before_it_shows(site, NEXT)
    site.clock.now += 10 * GRACE
    pruner(site, generations=1, grace=GRACE).prune(site.clock())
    assert _kept(site) == [3, 4]


def test_a_prune_that_meets_another_goes_on_without_what_is_gone(site: Site) -> None:
    _begun(site)
    site.publish(site.opened(), NEXT)
    site.clock.now += 10 * GRACE
    store = site.store()
    mine = pruner(site, store, generations=2, grace=GRACE)

    def beside(step: Step) -> None:
        if step.name == "read" and step.path == record_path(1) and 1 in _kept(site):
            pruner(site, generations=2, grace=GRACE).prune(site.clock())

    site.plan(store, beside)
    assert mine.prune(site.clock()).error is None
    assert _kept(site) == [3, 4]


def _kept(site: Site) -> list[int]:
    return sorted(generation.number for generation in site.generations)


def _dies_before_it_shows(site: Site, *packages: Made) -> None:
    """Somebody publishes and dies when the pointer is moved: clients see what was there before."""
    store = site.store()
    publisher = site.opened(store)

    def die(step: Step) -> None:
        if step.name == "write" and step.path == METALINK:
            raise Crash

    site.plan(store, die)
    with pytest.raises(Crash):
        site.publish(publisher, *packages)
