"""Generations are told of once, oldest first, whoever published them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repod.board import Board
from repod.bus import Bus, Subscription
from repod.doors import Change, Store
from repod.errors import Unavailable
from repod.happenings import Event
from repod.history import History
from repod.package import Origin
from repod.repodata.carried import SetDocument
from repod.reporting import on_board
from repod.telling import Telling
from tests.lab.entries import made
from tests.lab.faulty import at, raising
from tests.lab.site import Site, site

A, B = made("a-1.0-1.noarch"), made("b-1.0-1.noarch")
CHECKSUM = "ab" * 32
ARRIVED = replace(A.entry, origin=Origin(how="arrival", of="up/a.rpm", checksum=CHECKSUM))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _telling(place: Site, bus: Bus, store: Store | None = None) -> Telling:
    return Telling(repository="test", store=store or place.inner, hear=bus, clock=place.clock)


def _listening(bus: Bus) -> Subscription:
    return bus.subscribe(lambda _: True, lambda: None)


def _numbers(events: Subscription) -> list[int]:
    return [event.data["generation"] for event in events.read()]


def _follow(telling: Telling, place: Site) -> None:
    current = History(place.inner).current()
    assert current is not None
    telling.follow(current)


def test_what_was_there_before_is_not_told_of_and_each_later_generation_is(place: Site) -> None:
    publisher = place.opened()
    place.clock.now += 10
    bus = Bus()
    heard = _listening(bus)
    telling = _telling(place, bus)
    _follow(telling, place)
    assert _numbers(heard) == []
    place.clock.now += 10
    place.publish(publisher, A)
    place.publish(publisher, B)
    _follow(telling, place)
    assert _numbers(heard) == [2, 3]
    _follow(telling, place)
    assert _numbers(heard) == []


def test_what_was_published_before_the_first_look_is_told_of(place: Site) -> None:
    publisher = place.opened()
    place.clock.now += 10
    bus = Bus()
    heard = _listening(bus)
    telling = _telling(place, bus)
    place.publish(publisher, A)
    _follow(telling, place)
    assert _numbers(heard) == [2]


def test_an_event_says_what_came_what_went_and_where_from(place: Site) -> None:
    publisher = place.opened()
    bus = Bus()
    heard = _listening(bus)
    telling = _telling(place, bus)
    place.put(A, B)
    papers = [SetDocument(type="group", data=b"<comps><group><id>core</id></group></comps>")]
    publisher.publish(Change(entries=[ARRIVED], edits=papers), actor="inbox", why="a arrived")
    publisher.publish(Change(entries=[B.entry], removed=[A.package.nevra]), actor="anna", why="swap")
    _follow(telling, place)
    came, went = [event.data for event in heard.read()][-2:]
    build = {"nevra": "a-1.0-1.noarch", "pkgid": A.package.pkgid}
    upload = {"how": "arrival", "sha256": CHECKSUM, "trace": CHECKSUM[:32], "file": "up/a.rpm"}
    assert came["added"] == [build | upload]
    assert (came["actor"], came["why"], came["documents"]) == ("inbox", "a arrived", ["group"])
    assert (went["parent"], went["packages"], went["removed"]) == (2, 1, [build])
    assert (went["added_total"], went["removed_total"]) == (1, 1)


def test_the_same_generation_has_the_same_event_whoever_tells_of_it(place: Site) -> None:
    publisher = place.opened()
    place.publish(publisher, A)
    told: list[list[Event]] = []
    for _ in range(2):
        bus = Bus()
        heard = _listening(bus)
        _follow(_telling(place, bus), place)
        told.append(list(heard.read()))
    assert told[0] == told[1]
    assert [event.id for event in told[0]]


def test_where_a_record_cannot_be_read_nothing_is_left_out_the_next_time(place: Site) -> None:
    publisher = place.opened()
    bus = Bus()
    heard = _listening(bus)
    shaky = place.store()
    telling = _telling(place, bus, shaky)
    place.publish(publisher, A)
    place.publish(publisher, B)
    place.plan(shaky, at(1, "before", raising(Unavailable("the disk is away"))))
    with pytest.raises(Unavailable):
        _follow(telling, place)
    place.plan(shaky)
    _follow(telling, place)
    assert _numbers(heard) == [1, 2, 3]


def test_what_another_daemon_took_in_is_on_the_board(place: Site) -> None:
    publisher = place.opened()
    board = Board()
    board.expect("test", CHECKSUM, "up/a.rpm")
    place.put(A)
    generation = publisher.publish(Change(entries=[ARRIVED]), actor="inbox", why="a arrived")
    on_board(board, "test")(generation)
    found = board.of("test", CHECKSUM)
    assert found is not None
    assert (found.state, found.generation, found.packages) == ("published", 2, ("a-1.0-1.noarch",))
