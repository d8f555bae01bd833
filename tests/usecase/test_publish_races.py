"""Publishing beside other publishers, through crashes and unknown outcomes: at every single step.

Every store that a site hands out proves after each write that clients see a whole repository
and that neither pointer nor live view moved back.
"""

import contextlib
import functools
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from repod.doors import Change, Expect, Store, Version
from repod.errors import Conflict, OutcomeUnknown, RepodError, Unavailable
from repod.generation import HEAD, record_path
from repod.package import StorePath, store_path
from repod.publish import Publisher
from repod.views import REPOMD, SIGNATURE
from tests.lab import validity
from tests.lab.entries import made
from tests.lab.faulty import Crash, FaultyStore, Moment, Step, at, raising
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

BASE = [made(f"base{number}-1-1.noarch") for number in range(5)]
OURS, THEIRS, THIRD = made("ours-1-1.noarch"), made("theirs-1-1.noarch"), made("third-1-1.noarch")
OTHER_OURS = made(OURS.nevra, "another build", store_path("Packages/o/other/ours-1-1.noarch.rpm"))
MOMENTS: tuple[Moment, Moment] = ("before", "after")

Act = Callable[[Site, Publisher], object]


@contextlib.contextmanager
def based() -> Iterator[Site]:
    """A repository with some packages, in generation 2."""
    with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
        site.publish(site.opened(), *BASE)
        yield site


def interrupted(site: Site, act: Callable[[], object], number: int, moment: Moment = "before") -> str:
    """Publish ``OURS`` with ``act`` done at one step; that step, or "" where there are fewer."""
    store = site.store()
    mine = site.opened(store, cache="mine")
    site.plan(store, at(number, moment, act))
    site.publish(mine, OURS)
    return str(store.steps[number - 1]) if len(store.steps) >= number else ""


def crashed(site: Site, number: int, moment: Moment) -> str:
    """Publish ``OURS`` and die at one step; that step, or "" where there are fewer."""
    try:
        return interrupted(site, raising(Crash()), number, moment)
    except Crash:
        return f"step {number}"


def publish_theirs(site: Site, theirs: Publisher) -> None:
    site.publish(theirs, THEIRS)


def publish_ours_too(site: Site, theirs: Publisher) -> None:
    site.publish(theirs, OURS)


def remove_one(site: Site, theirs: Publisher) -> None:
    theirs.publish(Change(removed=[BASE[0].nevra]), actor="them", why="remove")


def publish_and_take_back(site: Site, theirs: Publisher) -> None:
    """Three generations: whoever slept meanwhile wakes late."""
    site.publish(theirs, THEIRS)
    site.publish(theirs, THIRD)
    theirs.publish(Change(removed=[THEIRS.nevra]), actor="them", why="remove")


@pytest.mark.parametrize(
    ("act", "result"),
    [
        (publish_theirs, [*BASE, OURS, THEIRS]),
        (publish_ours_too, [*BASE, OURS]),
        (remove_one, [*BASE[1:], OURS]),
        (publish_and_take_back, [*BASE, OURS, THIRD]),
    ],
)
def test_whatever_another_publisher_does_between_two_steps_nothing_is_lost_or_doubled(act: Act, result: list) -> None:
    for number in itertools.count(1):
        with based() as site:
            theirs = site.opened()
            step = interrupted(site, lambda site=site, theirs=theirs: act(site, theirs), number)
            if not step:
                break
            assert site.listed == seen(*result), step
            site.assert_settled()
            site.publish(theirs, made("after-1-1.noarch"))
            assert len(site.listed) == len(result) + 1, step
    assert number > 12


def test_of_two_builds_of_one_nevra_published_at_once_one_is_refused_and_none_replaced() -> None:
    for number in itertools.count(1):
        with based() as site:
            theirs = site.opened()
            refused = list[str]()

            def other(site: Site = site, theirs: Publisher = theirs, refused: list[str] = refused) -> None:
                try:
                    site.publish(theirs, OTHER_OURS)
                except Conflict:
                    refused.append("theirs")

            step = "at our refusal"
            try:
                step = interrupted(site, other, number)
            except Conflict:
                refused.append("ours")
            if not step:
                break
            assert len(refused) == 1, step
            winner = OURS if refused == ["theirs"] else OTHER_OURS
            assert site.listed == seen(*BASE, winner), step
            assert len(site.generations) == 3, step
            site.assert_settled()


def die_before_it_shows(site: Site, theirs: Publisher, store: FaultyStore) -> None:
    """Publish ``THEIRS``, and die between the pointer and the live view."""

    def die(step: Step) -> None:
        if (step.name, step.path) == ("write", REPOMD) and b"theirs-1-1" in newest():
            raise Crash

    def newest() -> bytes:  # what was current before may have to be shown first
        return site.inner.read(record_path(validity.pointer(site.inner))).data

    site.plan(store, die)
    with contextlib.suppress(Crash):
        site.publish(theirs, THEIRS)


def test_a_publisher_finishes_what_another_had_begun_that_died_meanwhile() -> None:
    for number in itertools.count(1):
        with based() as site:
            mine, broken = site.store(), site.store()
            ours, theirs = site.opened(mine), site.opened(broken)

            act = functools.partial(die_before_it_shows, site, theirs, broken)
            site.plan(mine, at(number, "before", act))
            site.publish(ours, OURS)
            # The last step is the last look at the pointer: what is committed after it, the next finishes.
            if len(mine.steps) < number + 1:
                break
            assert site.listed == seen(*BASE, OURS, THEIRS), mine.steps[number - 1]
            site.assert_settled()
    assert number > 12


def test_publishers_that_interrupt_each_other_in_turn_lose_nothing() -> None:
    draw = random.Random(11)
    for _ in range(25):
        first, second = draw.randint(1, 20), draw.randint(1, 20)
        with based() as site:
            store, third = site.store(), site.opened()
            theirs = site.opened(store)
            site.plan(store, at(second, "before", lambda site=site, third=third: site.publish(third, THIRD)))
            interrupted(site, lambda site=site, theirs=theirs: site.publish(theirs, THEIRS), first)
            site.publish(theirs, THEIRS)
            site.publish(third, THIRD)
            assert site.listed == seen(*BASE, OURS, THEIRS, THIRD), (first, second)
            site.assert_settled()


def test_publishers_in_threads_all_get_their_packages_in(tmp_path: Path) -> None:
    packages = [[made(f"t{thread}-{number}-1.noarch") for number in range(4)] for thread in range(4)]
    errors = list[Exception]()
    with site_in(tmp_path) as site:
        site.opened()

        def work(mine: list, publisher: Publisher) -> None:
            try:
                for one in mine:
                    site.publish(publisher, one)
            except Exception as error:  # noqa: BLE001 - told below
                errors.append(error)

        publishers = [site.opened(FaultyStore(site.inner)) for _ in packages]
        threads = [threading.Thread(target=work, args=pair) for pair in zip(packages, publishers, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert site.listed == seen(*itertools.chain(*packages))
        assert len(site.generations) == 17
        site.assert_settled()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("cache", ["mine", "new"])
def test_after_a_crash_at_any_step_the_next_process_finishes_or_begins_anew(moment: Moment, cache: str) -> None:
    for number in itertools.count(1):
        with based() as site:
            step = crashed(site, number, moment)
            site.close()
            if not step:
                break
            again = site.opened(cache=cache)
            site.assert_settled()
            assert site.listed in (seen(*BASE), seen(*BASE, OURS)), step
            site.publish(again, OURS)
            assert site.listed == seen(*BASE, OURS), step
            assert len(site.generations) == 3, step
            site.assert_settled()
    assert number > 12


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_crash_at_any_step_a_publisher_that_was_running_finishes_it(moment: Moment) -> None:
    for number in itertools.count(1):
        with based() as site:
            theirs = site.opened()
            step = crashed(site, number, moment)
            if not step:
                break
            site.publish(theirs, THEIRS)
            expected = [*BASE, THEIRS]
            assert site.listed in (seen(*expected), seen(*expected, OURS)), step
            site.assert_settled()
    assert number > 12


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_crash_at_any_step_of_the_first_start_the_second_works(moment: Moment) -> None:
    for number in itertools.count(1):
        with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
            store = site.store(at(number, moment, raising(Crash())))
            with contextlib.suppress(Crash):
                site.opened(store, cache="mine")
            if len(store.steps) < number:
                break
            site.close()
            assert site.opened(cache="mine").current().generation == site.generations[-1], number
            assert len(site.generations) == 1, number
            site.assert_settled()
    assert number > 20


def test_two_daemons_that_start_at_once_on_an_empty_store_make_one_repository() -> None:
    for number in itertools.count(1):
        with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
            store = site.store(at(number, "before", site.opened))
            mine = site.opened(store)
            if len(store.steps) < number:
                break
            assert len(site.generations) == 1, store.steps[number - 1]
            site.publish(mine, OURS)
            assert site.listed == seen(OURS)
            site.assert_settled()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("error", [Unavailable("disk full"), OutcomeUnknown("timed out")])
def test_a_publisher_that_failed_at_any_step_gets_it_in_at_the_next_try(error: RepodError, moment: Moment) -> None:
    for number in itertools.count(1):
        with based() as site:
            store = site.store()
            mine = site.opened(store)
            site.plan(store, at(number, moment, raising(error)))
            # Rule 7: an unknown outcome of a write that only one can win is resolved by reading back.
            with contextlib.suppress(type(error)):
                site.publish(mine, OURS)
            if len(store.steps) < number:
                break
            step = store.steps[number - 1]
            if step.name == "write" and isinstance(error, OutcomeUnknown):
                assert site.listed == seen(*BASE, OURS), step
                site.assert_settled()
            site.plan(store)
            site.publish(mine, OURS)
            assert site.listed == seen(*BASE, OURS), step
            assert len(site.generations) == 3, step
            site.assert_settled()


class LateStore(FaultyStore):
    """The first write to ``late`` times out, and reaches the store only ``delay`` steps later."""

    def __init__(self, inner: Store, late: StorePath, delay: int) -> None:
        super().__init__(inner, self._count)
        self._target = inner
        self._late = late
        self._delay = delay
        self._pending: tuple[StorePath, bytes, Version | Expect] | None = None

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        if path == self._late and not self._pending:
            self._pending = (path, data, expect)
            msg = f"{path}: no answer in time"
            raise OutcomeUnknown(msg)
        return super().write(path, data, expect)

    def _count(self, step: Step) -> None:
        if self._pending and step.moment == "before":
            self._delay -= 1
            if self._delay == 0:
                with contextlib.suppress(Conflict):
                    self._target.write(*self._pending)


@pytest.mark.parametrize("path", [record_path(3), HEAD, REPOMD, SIGNATURE])
def test_a_write_that_lands_long_after_it_timed_out_does_no_harm(path: StorePath) -> None:
    for delay in (1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 20):
        with based() as site:
            site.clock.tick = 1
            store = LateStore(site.inner, path, delay)
            mine = site.opened(store)
            site.publish(mine, OURS)
            theirs = site.opened()
            site.publish(theirs, THEIRS)
            site.publish(mine, THIRD)
            assert site.listed == seen(*BASE, OURS, THEIRS, THIRD), delay
            site.assert_settled()


@pytest.mark.parametrize("path", [HEAD, REPOMD])
def test_writes_that_never_succeed_end_in_an_error_and_not_in_a_loop(path: StorePath) -> None:
    with based() as site:
        store = site.store()
        mine = site.opened(store)

        def time_out(step: Step) -> None:
            if (step.name, step.path, step.moment) == ("write", path, "before"):
                raise OutcomeUnknown("timed out")

        site.plan(store, time_out)
        # An outage, and no race: it ends no sooner for a hundred tries, nor does the next one.
        for outage in (1, 2):
            with pytest.raises(OutcomeUnknown, match="timed out"):
                site.publish(mine, OURS)
            assert len(site.pauses) == 4 * outage
        assert site.listed == seen(*BASE)
        site.plan(store)
        site.publish(mine, OURS)
        assert site.listed == seen(*BASE, OURS)
        assert len(site.generations) == 3
        site.assert_settled()


def test_a_publisher_that_always_loses_says_so_after_a_hundred_tries(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        store = FaultyStore(site.inner)
        mine, theirs = site.opened(store), site.opened(FaultyStore(site.inner))
        site.put(THEIRS)
        turn = itertools.cycle([Change(entries=[THEIRS.entry]), Change(removed=[THEIRS.nevra])])

        def win(step: Step) -> None:
            if step.name == "write" and step.path.startswith(".repod/generations/") and step.moment == "before":
                theirs.publish(next(turn), actor="them", why="first")

        store.plan = win
        with pytest.raises(Conflict, match="100 times"):
            site.publish(mine, OURS)
        assert site.listed == {}
        assert site.pauses == [1, *[2] * 99]
        site.assert_settled()


def test_a_pointer_that_was_set_back_by_hand_is_not_moved_over_what_is_missing(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        store = FaultyStore(site.inner)
        mine = site.opened(store)
        first = site.inner.read(HEAD).data
        site.publish(mine, THEIRS)

        def set_back(step: Step) -> None:
            if (step.name, step.path, step.moment) == ("write", HEAD, "before"):
                site.inner.write(HEAD, first, Expect.ANY)

        store.plan = set_back
        with pytest.raises(Conflict, match="could not be moved to generation 3"):
            site.publish(mine, OURS)
        store.plan = lambda _: None
        site.publish(mine, OURS)
        assert site.listed == seen(THEIRS, OURS)
        site.assert_settled()
