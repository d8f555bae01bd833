import pytest

from repod.doors import Expect
from repod.errors import Unavailable
from repod.package import StorePath
from repod.store.memory import MemoryStore
from tests.lab.faulty import Crash, FaultyStore, at, nothing, raising

PATH = StorePath("a")


def new(steps: int = 0) -> tuple[MemoryStore, FaultyStore]:
    inner = MemoryStore(lambda: 0.0)
    faulty = FaultyStore(inner)
    for _ in range(steps):
        faulty.write(PATH, b"old", Expect.ANY)
    return inner, faulty


def test_every_step_is_recorded_by_number_name_and_path() -> None:
    _, faulty = new(1)
    list(faulty.stream(PATH))
    list(faulty.list("p/"))
    faulty.remove(PATH)
    assert [(step.number, str(step)) for step in faulty.steps] == [
        (1, "write a"),
        (2, "stream a"),
        (3, "list p/"),
        (4, "remove a"),
    ]


def test_a_failure_before_a_step_changes_nothing_and_the_next_step_is_sound() -> None:
    inner, faulty = new(1)
    faulty.plan = at(2, "before", raising(Unavailable("disk full")))
    with pytest.raises(Unavailable, match="disk full"):
        faulty.write(PATH, b"new", Expect.ANY)
    assert inner.read(PATH).data == b"old"
    faulty.write(PATH, b"new", Expect.ANY)
    assert inner.read(PATH).data == b"new"


def test_a_failure_after_a_step_comes_when_the_change_was_made() -> None:
    inner, faulty = new(1)
    faulty.plan = at(2, "after", raising(Crash()))
    with pytest.raises(Crash):
        faulty.write(PATH, b"new", Expect.ANY)
    assert inner.read(PATH).data == b"new"


def test_a_plan_can_fail_until_it_is_taken_back() -> None:
    _, faulty = new()
    full = raising(Unavailable("disk full"))
    faulty.plan = lambda step: full() if step.name == "write" else None
    for _ in range(2):
        with pytest.raises(Unavailable):
            faulty.write(PATH, b"x", Expect.ANY)
    assert list(faulty.list("")) == []
    faulty.plan = nothing
    faulty.write(PATH, b"x", Expect.ANY)
