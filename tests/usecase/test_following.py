"""What follows the generations of a repository is brought up to each, whoever published it, and tried again."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from repod.errors import Unavailable
from repod.following import Follower, Step
from repod.generation import HEAD, Generation
from repod.publish import Publisher
from tests.cases.place import Log
from tests.lab.entries import made
from tests.lab.faulty import FaultyStore
from tests.lab.site import Site
from tests.lab.site import site as site_in
from tests.lab.wait import until

_NEVER = 3600.0


class Noting:
    """A step that notes what it followed. ``broken``: why it cannot."""

    def __init__(self, name: str = "noting") -> None:
        self.name = name
        self.followed: list[int] = []
        self.tries = 0
        self.broken: Exception | None = None

    def follow(self, current: Generation) -> None:
        self.tries += 1
        if self.broken:
            raise self.broken
        self.followed.append(current.number)


class Losing(Noting):
    """One whose result may be lost."""

    lost = False


class Waiting(Noting):
    """One that takes until it is let go on."""

    def __init__(self) -> None:
        super().__init__("waiting")
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def follow(self, current: Generation) -> None:
        self.begun.set()
        assert self.go_on.wait(30)
        super().follow(current)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as one:
        yield one


@pytest.fixture
def publisher(site: Site) -> Publisher:
    return site.opened()


def follower(site: Site, *steps: Step, log: Log | None = None, **more: Any) -> Follower:
    words: dict[str, Any] = {"interval": _NEVER, "store": site.inner, "log": log or Log()} | more
    return Follower(name="test", steps=steps, **words)


@contextlib.contextmanager
def started(one: Follower) -> Iterator[Follower]:
    one.start()
    try:
        yield one
    finally:
        one.stop()
        assert one.join(30)


def publish(site: Site, publisher: Publisher, *numbers: int) -> None:
    for number in numbers:
        site.publish(publisher, made(f"hello-1.0-{number}.noarch"))


def test_what_is_there_when_it_starts_is_followed_at_once_and_what_comes_when_it_is_woken(
    site: Site, publisher: Publisher
) -> None:
    step = Noting()
    with started(follower(site, step)) as one:
        until(lambda: step.followed == [1], 30, "the first generation")
        publish(site, publisher, 1)
        one.wake()
        until(lambda: step.followed == [1, 2], 30, "the second")


def test_a_generation_that_nobody_tells_of_is_found_by_looking(site: Site, publisher: Publisher) -> None:
    step = Noting()
    with started(follower(site, step, interval=0.01)):
        until(lambda: step.followed == [1], 30, "the first generation")
        other = site.opened()  # as a command beside the daemon
        publish(site, other, 1)
        until(lambda: step.followed == [1, 2], 30, "the one of another process")


def test_a_wake_while_a_step_is_at_work_is_not_lost(site: Site, publisher: Publisher) -> None:
    step = Waiting()
    with started(follower(site, step)) as one:
        assert step.begun.wait(30)
        publish(site, publisher, 1)
        one.wake()
        step.go_on.set()
        until(lambda: step.followed == [1, 2], 30, "the generation that was published meanwhile")


def test_many_generations_at_once_are_followed_in_one_stride(site: Site, publisher: Publisher) -> None:
    step = Noting()
    one = follower(site, step)
    publish(site, publisher, 1, 2, 3)
    assert one.once()
    assert step.followed == [4]


def test_nothing_is_asked_of_a_step_where_nothing_is_new_and_of_the_store_only_the_pointer(
    site: Site, publisher: Publisher
) -> None:
    step, store = Noting(), FaultyStore(site.inner)
    one = follower(site, step, store=store)
    assert one.once()
    store.steps.clear()
    assert one.once()
    assert step.tries == 1
    assert [str(asked) for asked in store.steps] == [f"read {HEAD}"]


def test_where_nothing_was_ever_published_nothing_is_followed(site: Site) -> None:
    step = Noting()
    assert follower(site, step).once()
    assert step.tries == 0


def test_a_step_that_fails_is_told_once_and_tried_again_and_holds_no_other_up(site: Site, publisher: Publisher) -> None:
    broken, fine, log = Noting("broken"), Noting("fine"), Log()
    one = follower(site, broken, fine, log=log)
    broken.broken = Unavailable("the disk is full")
    assert not one.once()
    assert not one.once()
    assert (broken.tries, fine.followed) == (2, [1])
    assert log.lines == [
        (
            "error",
            "behind, tried again",
            {"repository": "test", "what": "broken", "problem": "the disk is full", "exc_info": False},
        )
    ]
    broken.broken = None
    assert one.once()
    assert (broken.followed, fine.followed) == ([1], [1])


def test_a_failure_is_told_again_when_it_is_another_one_or_comes_back(site: Site, publisher: Publisher) -> None:
    step, log = Noting(), Log()
    one = follower(site, step, log=log)
    errors: Sequence[Exception | None] = (ValueError("x"), ValueError("x"), Unavailable("y"), None, Unavailable("y"))
    for number, error in enumerate(errors, 1):
        step.broken = error
        one.once()
        publish(site, publisher, number)
    assert [fields["problem"] for _, _, fields in log.lines] == ["ValueError: x", "y", "y"]
    assert [fields["exc_info"] for _, _, fields in log.lines] == [True, False, False]


def test_a_pointer_that_cannot_be_read_is_told_once_and_no_step_is_asked(site: Site, publisher: Publisher) -> None:
    step, log, store = Noting(), Log(), FaultyStore(site.inner)
    one = follower(site, step, store=store, log=log)

    def broken(_: object) -> None:
        raise Unavailable("no answer")

    store.plan = broken
    assert not one.once()
    assert not one.once()
    assert (step.tries, log.errors) == (0, ["no answer"])
    store.plan = lambda _: None
    assert one.once()
    assert step.followed == [1]


def test_a_step_that_lost_what_it_had_follows_the_same_generation_again(site: Site, publisher: Publisher) -> None:
    losing, other = Losing("losing"), Noting("other")
    one = follower(site, losing, other)
    assert one.once()
    losing.lost = True
    assert one.once()
    assert (losing.followed, other.followed) == ([1, 1], [1])


class Slow(Noting):
    """One that costs too much to be done for every generation."""

    def __init__(self, rest: float) -> None:
        super().__init__("slow")
        self.rest = rest


def test_a_step_that_rests_holds_no_other_up(site: Site, publisher: Publisher) -> None:
    slow, quick = Slow(_NEVER), Noting("quick")
    with started(follower(site, slow, quick)) as one:
        until(lambda: quick.followed == [1], 30, "the first generation")
        publish(site, publisher, 1)
        one.wake()
        until(lambda: quick.followed == [1, 2], 30, "the quick one")
    assert slow.followed == [1]


def test_a_step_that_rested_follows_what_came_meanwhile_though_nobody_wakes_it(
    site: Site, publisher: Publisher
) -> None:
    slow = Slow(0.3)
    with started(follower(site, slow)) as one:
        until(lambda: slow.followed == [1], 30, "the first generation")
        publish(site, publisher, 1)
        one.wake()
        until(lambda: slow.followed == [1, 2], 30, "the second")


def test_who_catches_up_once_does_not_rest(site: Site, publisher: Publisher) -> None:
    slow = Slow(_NEVER)
    one = follower(site, slow)
    assert one.once()
    publish(site, publisher, 1)
    assert one.once()
    assert slow.followed == [1, 2]


def test_whatever_goes_wrong_with_the_pointer_the_thread_goes_on(site: Site, publisher: Publisher) -> None:
    step, log, store = Noting(), Log(), FaultyStore(site.inner)

    def broken(_: object) -> None:
        raise ValueError("nobody thought of that")

    store.plan = broken
    with started(follower(site, step, store=store, log=log)) as one:
        until(lambda: log.errors == ["ValueError: nobody thought of that"], 30, "the log to hear of it")
        store.plan = lambda _: None
        one.wake()
        until(lambda: step.followed == [1], 30, "the generation")


def test_a_stop_waits_for_the_step_that_is_at_work_and_begins_no_other(site: Site, publisher: Publisher) -> None:
    waiting, after = Waiting(), Noting("after")
    one = follower(site, waiting, after)
    one.start()
    assert waiting.begun.wait(30)
    one.stop()
    assert not one.join(0.01)
    waiting.go_on.set()
    assert one.join(30)
    assert (waiting.followed, after.followed) == ([1], [])


def test_a_step_can_ask_whether_it_is_to_stop(site: Site, publisher: Publisher) -> None:
    stopping = threading.Event()
    one = follower(site, Noting(), stopping=stopping)
    assert not stopping.is_set()
    one.stop()
    assert stopping.is_set()
    assert one.join(30)
