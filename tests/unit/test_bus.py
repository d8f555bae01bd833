"""The bus: who listens hears everything once, in order, and who is slow hurts nobody."""

import threading

from repod.bus import Bus, Subscription
from repod.happenings import Event, Kind


def _event(number: int, repository: str = "test") -> Event:
    return Event(kind=Kind.PUBLISHED, repository=repository, id=f"{repository}-{number}", time=0.0, data={})


def _ids(subscription: Subscription) -> list[str]:
    return [event.id for event in subscription.read()]


def test_who_listens_hears_what_happens_from_then_on_in_its_order() -> None:
    bus = Bus()
    bus(_event(1))
    heard = bus.subscribe(lambda _: True, lambda: None)
    bus(_event(2))
    bus(_event(3))
    assert _ids(heard) == ["test-2", "test-3"]
    assert _ids(heard) == []


def test_who_listens_hears_only_what_it_wants() -> None:
    bus = Bus()
    heard = bus.subscribe(lambda event: event.repository == "mine", lambda: None)
    bus(_event(1, "other"))
    bus(_event(2, "mine"))
    assert _ids(heard) == ["mine-2"]


def test_the_same_thing_told_twice_is_heard_once() -> None:
    bus = Bus()
    heard = bus.subscribe(lambda _: True, lambda: None)
    bus(_event(1))
    bus(_event(1))
    assert _ids(heard) == ["test-1"]


def test_who_comes_back_hears_what_it_missed() -> None:
    bus = Bus()
    for number in (1, 2, 3):
        bus(_event(number))
    assert _ids(bus.subscribe(lambda _: True, lambda: None, after="test-1")) == ["test-2", "test-3"]


def test_who_comes_back_too_late_hears_all_that_is_kept() -> None:
    bus = Bus(kept=2)
    for number in (1, 2, 3):
        bus(_event(number))
    assert _ids(bus.subscribe(lambda _: True, lambda: None, after="test-1")) == ["test-2", "test-3"]


def test_who_missed_more_than_there_is_room_for_hears_it_all_the_same() -> None:
    bus = Bus()
    for number in range(10):
        bus(_event(number))
    heard = bus.subscribe(lambda _: True, lambda: None, after="test-0", room=2)
    assert not heard.closed
    assert len(_ids(heard)) == 9


def test_who_does_not_read_is_dropped_and_the_others_hear_on() -> None:
    bus = Bus()
    slow = bus.subscribe(lambda _: True, lambda: None, room=2)
    quick = bus.subscribe(lambda _: True, lambda: None)
    for number in range(5):
        bus(_event(number))
    assert "too slow" in slow.closed
    assert _ids(slow) == ["test-0", "test-1"]
    assert len(_ids(quick)) == 5


def test_at_the_end_who_listens_is_woken_and_who_comes_is_turned_away() -> None:
    bus = Bus()
    woken = threading.Event()
    heard = bus.subscribe(lambda _: True, woken.set)
    bus.close()
    assert woken.is_set()
    assert heard.closed
    assert bus.subscribe(lambda _: True, lambda: None).closed


def test_after_a_hang_up_one_may_listen_again() -> None:
    bus = Bus()
    heard = bus.subscribe(lambda _: True, lambda: None)
    bus.hang_up("read anew")
    assert heard.closed == "read anew"
    again = bus.subscribe(lambda _: True, lambda: None)
    bus(_event(1))
    assert _ids(again) == ["test-1"]


def test_who_joined_hears_each_event_until_it_leaves() -> None:
    bus = Bus()
    heard: list[str] = []

    def hear(event: Event) -> None:
        heard.append(event.id)

    leave = bus.join(hear)
    bus(_event(1))
    leave()
    bus(_event(2))
    assert heard == ["test-1"]


def test_many_threads_may_tell_at_once_and_nothing_is_lost() -> None:
    bus = Bus(kept=10_000)
    heard = bus.subscribe(lambda _: True, lambda: None, room=10_000)

    def tell(name: str) -> None:
        for number in range(200):
            bus(_event(number, name))

    threads = [threading.Thread(target=tell, args=(f"repository-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = _ids(heard)
    assert len(ids) == len(set(ids)) == 1600
    for number in range(8):
        own = [one for one in ids if one.startswith(f"repository-{number}-")]
        assert own == [f"repository-{number}-{count}" for count in range(200)]
