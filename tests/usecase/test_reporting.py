"""What board and listeners hear of turns: each thing once, and when it is over."""

from collections.abc import Sequence
from typing import Any

from repod.board import Board
from repod.bus import Bus
from repod.doors import Arrival
from repod.happenings import Event, Kind
from repod.intake import Outcome
from repod.package import Fault, Nevra
from repod.reporting import Reporting
from repod.turn import Report

NEVRA = Nevra(name="a", epoch=0, version="1.0", release="1", arch="noarch")
CHECKSUM = "ab" * 32
FAULT = Fault(code="arch", text="arch is sparc")


class Desk:
    """A repository's reporting, with all that it told."""

    def __init__(self) -> None:
        self.board = Board()
        self.now = 1_700_000_000.0
        bus = Bus()
        self._heard = bus.subscribe(lambda _: True, lambda: None)
        self.reporting = Reporting(name="test", board=self.board, hear=bus, clock=lambda: self.now)

    def turn(self, *outcomes: Outcome, seen: Sequence[Arrival] = ()) -> list[Event]:
        """A turn with these outcomes; what was told."""
        self.now += 1
        arrivals = [*seen, *(outcome.arrival for outcome in outcomes)]
        report = Report(
            seen=arrivals,
            outcomes=outcomes,
            generation=None,
            places={},
            problems=[],
            more=False,
            seconds=0.0,
            published_seconds=0.0,
        )
        self.reporting.turn(report, 7)
        return self.heard()

    def heard(self) -> list[Event]:
        """What was told since the last time."""
        return list(self._heard.read())

    def state(self, checksum: str = CHECKSUM) -> str:
        """What the board says."""
        found = self.board.of("test", checksum)
        return found.state if found else ""


def _arrival(name: str = "a.rpm", **more: Any) -> Arrival:
    return Arrival(**{"name": name, "size": 10, "mark": "", "age": 0.0} | more)


def _kinds(events: Sequence[Event]) -> list[Kind]:
    return [event.kind for event in events]


def test_a_duplicate_is_published_in_the_current_generation() -> None:
    desk = Desk()
    desk.turn(Outcome(arrival=_arrival(), result="duplicate", checksum=CHECKSUM, nevra=NEVRA))
    found = desk.board.of("test", CHECKSUM)
    assert found is not None
    assert (found.state, found.generation, found.packages) == ("published", 7, ("a-1.0-1.noarch",))


def test_a_rejection_is_told_with_reasons_and_what_to_do() -> None:
    desk = Desk()
    (event,) = desk.turn(Outcome(arrival=_arrival(), result="rejected", checksum=CHECKSUM, faults=[FAULT]))
    assert event.kind == Kind.REJECTED
    assert event.data["faults"][0]["text"] == "arch is sparc"
    assert event.data["faults"][0]["remedy"]
    assert desk.state() == "rejected"


def test_what_was_refused_unread_is_told_with_the_checksum_that_was_expected() -> None:
    desk = Desk()
    desk.board.expect("test", CHECKSUM, "a.rpm")
    (event,) = desk.turn(Outcome(arrival=_arrival(), result="rejected", faults=[FAULT]))
    assert event.data["sha256"] == CHECKSUM
    assert desk.state() == "rejected"


def test_what_cannot_be_taken_in_is_told_once_and_again_where_the_reason_is_another() -> None:
    desk = Desk()
    desk.board.expect("test", CHECKSUM, "a.rpm")

    def failed(why: str) -> Outcome:
        return Outcome(arrival=_arrival(), result="failed", problem=why)

    (event,) = desk.turn(failed("the disk is full"))
    assert (event.kind, event.data["why"], event.data["sha256"]) == (Kind.WAITING, "the disk is full", CHECKSUM)
    assert desk.turn(failed("the disk is full")) == []
    assert _kinds(desk.turn(failed("the key is locked"))) == [Kind.WAITING]
    found = desk.board.of("test", CHECKSUM)
    assert found is not None
    assert (found.state, found.why) == ("waiting", "the key is locked")


def test_what_is_just_being_written_is_not_told_and_what_is_so_for_long_is_told_once() -> None:
    desk = Desk()
    assert desk.turn(seen=[_arrival(waiting="open for writing")]) == []
    assert [one.why for one in desk.board.waiting("test") or ()] == ["open for writing"]
    assert _kinds(desk.turn(seen=[_arrival(waiting="open for writing", age=100.0)])) == [Kind.WAITING]
    assert desk.turn(seen=[_arrival(waiting="open for writing", age=200.0)]) == []


def test_a_failure_is_told_once_and_its_end_too() -> None:
    desk = Desk()
    desk.reporting.failed("the store is away")
    desk.reporting.failed("the store is away")
    assert _kinds(desk.heard()) == [Kind.FAILING]
    desk.reporting.fine()
    desk.reporting.fine()
    (event,) = desk.heard()
    assert (event.kind, event.data["problem"]) == (Kind.RECOVERED, "the store is away")
