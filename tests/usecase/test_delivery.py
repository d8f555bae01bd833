"""Hooks are told of everything, in order, whoever published it and whoever dies: from the store, at least once."""

import contextlib
from dataclasses import replace

import pytest

from repod.doors import Expect
from repod.errors import Corrupt, OutcomeUnknown, Unavailable
from repod.generation import HEAD, Head, record_path
from repod.happenings import Event, Kind
from repod.hooking import Hook, Undelivered
from repod.outbox import Outbox, Post
from repod.package import StorePath
from repod.store.memory import MemoryStore
from tests.lab.faulty import Crash, FaultyStore, Step, at, raising
from tests.lab.hooked import URL, Hooked, Receiver, publish, refusal

_CURSOR = StorePath(".repod/outbox/ci/cursor.json")


@pytest.fixture
def hooked() -> Hooked:
    """It was seen at generation 2; since then 3 and 4 were published, and a file was rejected between them."""
    store = MemoryStore(lambda: 5.0)
    found = Hooked(store=store, began=1000)
    publish(store, 1)
    publish(store, 2)
    found.delivery().run()
    publish(store, 3)
    found.post(refusal("bad.rpm", 350.0))
    publish(store, 4)
    return found


def _failing(error: Exception) -> Receiver:
    return Receiver(act=lambda _: raising(error)())


def test_a_hook_begins_at_the_current_generation_and_not_with_the_whole_past() -> None:
    store = MemoryStore(lambda: 5.0)
    publish(store, 1)
    hooked = Hooked(store=store, began=1000)
    assert hooked.delivery().run().pending == 0
    assert hooked.receiver.heard == []
    assert hooked.left["generation"] == 1


def test_what_was_published_since_the_process_began_is_told_though_the_hook_was_never_seen() -> None:
    store = MemoryStore(lambda: 5.0)
    for number in (1, 2, 3):
        publish(store, number)
    hooked = Hooked(store=store, began=200)
    hooked.delivery().run()
    assert hooked.receiver.numbers == [2, 3]


def test_everything_is_told_once_in_the_order_in_which_it_happened(hooked: Hooked) -> None:
    standing = hooked.delivery().run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4]
    assert (standing.pending, standing.oldest, standing.delay) == (0, 0.0, None)
    assert hooked.box.letters() == []
    hooked.delivery("another").run()
    assert len(hooked.receiver.heard) == 3
    assert (hooked.left["delivered"], hooked.left["generation"], hooked.left["holder"]) == (3, 4, "")


def test_an_event_of_a_generation_says_what_came_by_which_upload_and_where_hosts_find_it(hooked: Hooked) -> None:
    hooked.delivery().run()
    event = hooked.receiver.heard[0]
    assert (event.repository, event.time) == ("test", 300)
    assert event.data["url"] == URL
    assert event.data["added"] == [
        {
            "nevra": "hello-1.0-3.noarch",
            "pkgid": f"{3:064x}",
            "how": "arrival",
            "sha256": f"{1003:064x}",
            "trace": f"{1003:064x}"[:32],
            "file": "hello-3.rpm",
        }
    ]


def test_nothing_is_written_where_nothing_waits(hooked: Hooked) -> None:
    hooked.delivery().run()
    store = FaultyStore(hooked.store)
    hooked.delivery(store=store).run()
    assert {step.name for step in store.steps} == {"read", "list"}


def test_two_events_cost_a_write_before_the_first_and_one_after_each(hooked: Hooked) -> None:
    store = FaultyStore(hooked.store)
    hooked.delivery(store=store).run()
    assert [str(step) for step in store.steps if step.name in {"write", "remove"}] == [
        f"write {_CURSOR}",
        f"write {_CURSOR}",
        "remove .repod/outbox/ci/0000000003-00000000350000-" + hooked.receiver.heard[1].id + ".json",
        f"write {_CURSOR}",
        f"write {_CURSOR}",
    ]


def _steps() -> int:
    hooked = _fresh()
    store = FaultyStore(hooked.store)
    hooked.delivery(store=store).run()
    return len(store.steps)


def _fresh() -> Hooked:
    store = MemoryStore(lambda: 5.0)
    hooked = Hooked(store=store, began=150)
    publish(store, 1)
    publish(store, 2)
    hooked.post(refusal("bad.rpm", 250.0))
    publish(store, 3)
    return hooked


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, _steps() + 1))
def test_wherever_a_process_dies_the_next_one_tells_all_of_it_in_order(number: int, moment: str) -> None:
    hooked = _fresh()
    dying = FaultyStore(hooked.store, at(number, moment, raising(Crash())))  # type: ignore[arg-type]
    with contextlib.suppress(Crash):
        hooked.delivery("one", store=dying).run()
    waits = hooked.delivery("two").run()
    if waits.delay is not None:  # the dead one said that it delivers
        assert waits.delay <= hooked.hook.timeout + 20
        hooked.now += waits.delay + 1
    assert hooked.delivery("two").run().pending == 0
    told = hooked.receiver.numbers
    assert list(dict.fromkeys(told)) == [2, "bad.rpm", 3]
    assert len(told) <= 4
    ids = {event.id for event in hooked.receiver.heard}
    assert len(ids) == 3


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", [Unavailable("down"), OutcomeUnknown("no answer")])
@pytest.mark.parametrize("number", range(1, _steps() + 1))
def test_wherever_the_store_fails_nothing_is_lost(number: int, moment: str, error: Exception) -> None:
    hooked = _fresh()
    store = FaultyStore(hooked.store, at(number, moment, raising(error)))  # type: ignore[arg-type]
    delivery = hooked.delivery("one", store=store)
    for _ in range(4):
        try:
            delivery.run()
        except Unavailable:
            continue
    assert list(dict.fromkeys(hooked.receiver.numbers)) == [2, "bad.rpm", 3]
    assert hooked.box.letters() == []


def test_of_two_processes_one_delivers_and_the_other_waits_for_it(hooked: Hooked) -> None:
    other: list[float | None] = []
    hooked.receiver.act = lambda _: other.append(hooked.delivery("two").run().delay)
    hooked.delivery("one").run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4]
    assert other == [30.0, 30.0, 30.0]


def test_a_process_that_is_certainly_dead_is_not_waited_for(hooked: Hooked) -> None:
    hooked.receiver.act = lambda _: raising(Crash())()
    with pytest.raises(Crash):
        hooked.delivery("one").run()
    hooked.receiver.act = lambda _: None
    assert hooked.delivery("two").run().delay == 30.0
    hooked.delivery("two", gone=lambda holder: holder == "one").run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4]


def test_a_holder_whose_clock_was_far_ahead_is_not_waited_for(hooked: Hooked) -> None:
    hooked.box.change(lambda cursor: replace(cursor, holder="one", until=1e12))
    hooked.delivery("two").run()
    assert len(hooked.receiver.heard) == 3


def test_a_failure_keeps_the_order_and_is_tried_again_ever_more_seldom(hooked: Hooked) -> None:
    hooked.receiver = _failing(Undelivered("500"))
    delays = []
    for _ in range(13):
        standing = hooked.delivery().run()
        assert standing.pending == 3
        assert standing.delay is not None
        delays.append(standing.delay)
        assert hooked.delivery().run().delay == standing.delay  # nothing is tried before
        hooked.now += standing.delay
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert {tried.result for tried in hooked.tried} == {"failed"}
    assert hooked.left["problem"] == "500"
    hooked.receiver = Receiver()
    hooked.delivery("another").run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4]
    assert (hooked.left["failures"], hooked.left["problem"], hooked.left["since"]) == (0, "", 0)


def test_a_receiver_that_asks_to_be_left_alone_is_left_alone_for_an_hour_at_the_most(hooked: Hooked) -> None:
    hooked.receiver = _failing(Undelivered("429", after=120))
    assert hooked.delivery().run().delay == 120
    hooked.now += 120
    hooked.receiver = _failing(Undelivered("429", after=1e9))
    assert hooked.delivery().run().delay == 3600


def test_what_is_not_foreseen_counts_as_a_failure_too(hooked: Hooked) -> None:
    hooked.receiver = _failing(ValueError("two\nlines"))
    assert hooked.delivery().run().pending == 3
    assert hooked.left["problem"] == "ValueError: two lines"


def test_what_is_given_up_is_counted_and_told_and_never_before_a_try_failed(hooked: Hooked) -> None:
    day = 86400.0
    hooked.now += 30 * day  # repod was off
    hooked.receiver = _failing(Undelivered("500"))
    hooked.delivery().run()
    assert [tried.result for tried in hooked.tried] == ["failed"]
    hooked.now += 2.9 * day
    publish(hooked.store, 5)
    hooked.post(refusal("late.rpm", hooked.now))
    hooked.delivery().run()
    assert [tried.result for tried in hooked.tried] == ["failed", "failed"]
    hooked.now += 0.1 * day
    standing = hooked.delivery().run()
    assert [tried.result for tried in hooked.tried[2:]] == ["failed", *["dropped"] * 4]
    assert hooked.tried[3].text == "given up after 259200 s: 500"
    assert (standing.pending, hooked.left["dropped"]) == (1, 4)
    hooked.receiver = Receiver()
    hooked.now += 900
    hooked.delivery().run()
    assert hooked.receiver.numbers == ["late.rpm"]


def test_who_wants_no_more_is_left_alone_until_a_person_or_the_settings_say_otherwise(hooked: Hooked) -> None:
    hooked.receiver = _failing(Undelivered("410 Gone", gone=True))
    hooked.delivery().run()
    assert [tried.result for tried in hooked.tried] == ["paused"]
    hooked.receiver = Receiver()
    hooked.now += 86400
    assert hooked.delivery().run().pending == 3
    assert hooked.receiver.heard == []
    hooked.box.change(lambda cursor: cursor.well())
    hooked.delivery().run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4]


def test_a_new_address_is_tried_at_once(hooked: Hooked) -> None:
    hooked.receiver = _failing(Undelivered("410 Gone", gone=True))
    hooked.delivery().run()
    hooked.receiver = Receiver()
    hooked.hook = Hook(name="ci", url="https://ci.example.com/new")
    hooked.delivery().run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4]


def test_of_a_paused_hook_too_what_is_old_is_dropped_and_counted(hooked: Hooked) -> None:
    hooked.receiver = _failing(Undelivered("410 Gone", gone=True))
    hooked.delivery().run()
    hooked.now += 4 * 86400
    assert hooked.delivery().run().pending == 0
    assert (hooked.left["dropped"], hooked.left["paused"]) == (3, True)


def test_generations_whose_records_are_pruned_are_told_as_one(hooked: Hooked) -> None:
    for number in (5, 6, 7):
        publish(hooked.store, number)
    for number in (3, 4, 5, 6):
        hooked.store.remove(record_path(number))
    hooked.delivery().run()
    told = [(event.kind, event.data.get("first"), event.data.get("last")) for event in hooked.receiver.heard]
    assert told == [(Kind.MISSED, 3, 6), (Kind.REJECTED, None, None), (Kind.PUBLISHED, None, None)]


def test_a_content_that_was_begun_anew_is_told_from_where_it_is(hooked: Hooked) -> None:
    hooked.delivery().run()
    hooked.store.write(HEAD, Head(generation=1).to_json(), Expect.ANY)
    hooked.delivery().run()
    publish(hooked.store, 2)
    hooked.delivery().run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4, 2]


def test_a_hook_that_hears_of_no_generations_reads_none(hooked: Hooked) -> None:
    hooked.hook = hooked.hook.model_copy(update={"events": ["repod.arrival.*"]})
    store = FaultyStore(hooked.store)
    hooked.delivery(store=store).run()
    assert hooked.receiver.numbers == ["bad.rpm"]
    assert not [step for step in store.steps if "generations" in step.path]
    publish(hooked.store, 5)
    hooked.hook = hooked.hook.model_copy(update={"events": ["*"]})
    hooked.delivery().run()  # of generations it begins anew
    publish(hooked.store, 6)
    hooked.delivery().run()
    assert hooked.receiver.numbers == ["bad.rpm", 6]


def test_a_letter_that_says_nothing_is_taken_out_and_said(hooked: Hooked) -> None:
    hooked.store.write(StorePath(".repod/outbox/ci/0000000001-00000000000001-x.json"), b"{", Expect.ABSENT)
    hooked.delivery().run()
    assert hooked.receiver.numbers == [3, "bad.rpm", 4]
    assert len(hooked.lost) == 1
    assert "0000000001-00000000000001-x.json is unreadable" in hooked.lost[0]


def test_a_cursor_that_says_nothing_is_named_and_nothing_is_told(hooked: Hooked) -> None:
    hooked.store.write(_CURSOR, b"{}", Expect.ANY)
    with pytest.raises(Corrupt, match=r"cursor\.json is unreadable .*remove it, and the hook begins at the current"):
        hooked.delivery().run()


def test_what_waits_can_be_looked_at_and_skipped(hooked: Hooked) -> None:
    assert (hooked.delivery().look().pending, hooked.delivery().look().oldest) == (3, 300)
    assert hooked.delivery().skip().pending == 0
    assert (hooked.left["dropped"], hooked.left["generation"]) == (3, 4)
    assert hooked.receiver.heard == []


def test_a_stop_ends_it_after_the_event_it_is_at(hooked: Hooked) -> None:
    hooked.delivery(stopping=lambda: bool(hooked.receiver.heard)).run()
    assert hooked.receiver.numbers == [3]
    assert hooked.left["holder"] == ""


def test_a_post_writes_to_those_that_want_it_and_says_where_it_cannot() -> None:
    store = MemoryStore(lambda: 5.0)
    hooked = Hooked(store=store)
    post = Post(store, [(hooked.hook.wants, hooked.box), (lambda _: False, Outbox("other", store))])
    post(refusal("bad.rpm", 350.0))
    post(refusal("bad.rpm", 350.0))
    assert len(list(store.list(".repod/outbox/"))) == 1

    def full(step: Step) -> None:
        if step.name == "write":
            msg = "disk full"
            raise Unavailable(msg)

    broken = FaultyStore(store, full)
    with pytest.raises(Unavailable):
        Post(broken, [(hooked.hook.wants, Outbox("ci", broken))])(refusal("other.rpm", 1.0))


def test_a_letter_has_its_place_among_generations_of_the_same_second() -> None:
    hooked = Hooked(store=MemoryStore(lambda: 5.0), began=0)
    publish(hooked.store, 1)
    hooked.post(refusal("a.rpm", 200.9))
    hooked.post(refusal("b.rpm", 200.95))
    publish(hooked.store, 2)  # its time is 200: whole seconds
    hooked.post(refusal("c.rpm", 200.99))
    hooked.delivery().run()
    assert hooked.receiver.numbers == [1, "a.rpm", "b.rpm", 2, "c.rpm"]


def test_an_event_is_the_same_whoever_tells_it(hooked: Hooked) -> None:
    hooked.delivery().run()
    again = Hooked(store=hooked.store, began=250, hook=Hook(name="other", exec="true"))
    again.delivery("another").run()
    ids: list[Event] = [event for event in hooked.receiver.heard if event.kind == Kind.PUBLISHED]
    assert [event.id for event in ids] == [event.id for event in again.receiver.heard]
