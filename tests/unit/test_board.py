"""The board: what waits, and what came of the last arrivals."""

from repod.board import Board
from repod.office import Arrival, Waiting

_A, _B = "a" * 64, "b" * 64


def _published(checksum: str, file: str = "foo.rpm") -> Arrival:
    return Arrival(sha256=checksum, state="published", file=file, generation=7, packages=("foo-1-1.noarch",))


def test_what_is_expected_waits_until_it_is_settled_and_whoever_watches_is_woken() -> None:
    board = Board()
    woken: list[str] = []
    board.watch("test", _A, lambda: woken.append("A"))
    board.expect("test", _A, "foo.rpm")
    before = board.of("test", _A)
    assert before is not None
    assert before.state == "waiting"
    board.settled("test", _published(_A))
    assert board.of("test", _A) == _published(_A)
    assert woken == ["A", "A"]


def test_who_left_is_not_woken() -> None:
    board = Board()
    woken: list[str] = []
    leave = board.watch("test", _A, lambda: woken.append("A"))
    leave()
    board.settled("test", _published(_A))
    assert woken == []


def test_repositories_are_kept_apart() -> None:
    board = Board()
    board.settled("one", _published(_A))
    assert board.of("other", _A) is None


def test_what_was_refused_unread_is_known_by_the_name_under_which_it_was_expected() -> None:
    board = Board()
    board.expect("test", _A, "foo.rpm")
    board.settled("test", Arrival(sha256="", state="rejected", file="foo.rpm", faults=[{"code": "size", "text": "x"}]))
    found = board.of("test", _A)
    assert found is not None
    assert (found.state, found.sha256) == ("rejected", _A)


def test_what_nobody_expected_and_nobody_read_is_left_out() -> None:
    board = Board()
    board.settled("test", Arrival(sha256="", state="rejected", file="foo.rpm"))
    assert board.of("test", "") is None


def test_a_turn_says_why_what_is_expected_waits() -> None:
    board = Board()
    board.expect("test", _A, "foo.rpm")
    assert board.waiting("test") is None
    board.seen("test", [Waiting(file="foo.rpm", size=1, age=0.0, why="open for writing")])
    found = board.of("test", _A)
    assert found is not None
    assert found.why == "open for writing"
    assert [one.file for one in board.waiting("test") or ()] == ["foo.rpm"]


def test_what_does_not_come_after_all_is_not_known() -> None:
    board = Board()
    board.expect("test", _A, "foo.rpm")
    board.withdraw("test", _A)
    assert board.of("test", _A) is None
    assert board.name_of("test", "foo.rpm") == ""
    board.settled("test", _published(_A))
    board.withdraw("test", _A)
    assert board.of("test", _A) == _published(_A)


def test_only_the_last_arrivals_are_remembered() -> None:
    board = Board(kept=1)
    board.settled("test", _published(_A))
    board.settled("test", _published(_B, "bar.rpm"))
    assert board.of("test", _A) is None
    assert board.of("test", _B) is not None
    assert board.name_of("test", "foo.rpm") == ""


def test_at_the_end_whoever_watches_is_woken() -> None:
    board = Board()
    woken: list[str] = []
    board.watch("test", _A, lambda: woken.append("A"))
    board.close()
    assert woken == ["A"]
    assert board.closed
