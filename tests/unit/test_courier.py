"""A courier: what it puts into the outbox, what log and metrics hear, and that it ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from repod import outlets, tidings
from repod.courier import Courier, Told
from repod.delivery import Delivery, Standing, Tried
from repod.doors import Expect
from repod.errors import Unavailable
from repod.happenings import Event, Kind
from repod.hooking import Undelivered
from repod.outbox import Cursor, Outbox, Post
from repod.package import StorePath
from repod.store.memory import MemoryStore
from tests.lab.faulty import FaultyStore, Step
from tests.lab.hooked import Hooked, publish, refusal
from tests.lab.records import record
from tests.lab.wait import until


class Heard:
    """A log and a tally that remember."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.results: list[tuple[str, str]] = []
        self.standings: list[Standing] = []
        self.about: list[tuple[str, str]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def tried(self, hook: str, result: str) -> None:
        self.results.append((hook, result))

    def waits(self, hook: str, repository: str, standing: Standing) -> None:
        self.standings.append(standing)
        self.about.append((hook, repository))

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(level, event) for level, event, _ in self.lines]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def hooked() -> Hooked:
    store = MemoryStore(lambda: 5.0)
    publish(store, 1)
    found = Hooked(store=store, began=1000)
    found.hook = found.hook.model_copy(update={"events": ["*"]})
    return found


def courier(hooked: Hooked, heard: Heard, store: MemoryStore | FaultyStore | None = None) -> Courier:
    told = Told(hook=hooked.hook, repository="test", log=heard, tally=heard, last=[])
    place = store or hooked.store

    def delivery(stopping: Any) -> Delivery:
        made = hooked.delivery("one", store=place, stopping=stopping)
        made._tell = told
        return made

    post = Post(place, [(hooked.hook.wants, Outbox("ci", place))])
    return Courier(hook=hooked.hook, repository="test", outbox=post, delivery=delivery, tally=heard, log=heard)


@pytest.fixture
def started(hooked: Hooked, heard: Heard) -> Iterator[Courier]:
    found = courier(hooked, heard)
    found.start()
    yield found
    found.stop()
    assert found.join(5)


def _failing(problem: str = "moved away") -> Event:
    return tidings.failing("test", problem=problem, time=500.0)


def test_not_started_it_tells_when_it_follows(hooked: Hooked, heard: Heard) -> None:
    one = courier(hooked, heard)
    one.follow(record(1))
    publish(hooked.store, 2)
    one.follow(record(2))
    assert hooked.receiver.numbers == [2]
    assert one.join(0)


def test_started_it_tells_by_itself_when_it_is_woken(hooked: Hooked, started: Courier) -> None:
    until(lambda: hooked.box.cursor()[0], 30, "the hook to be seen")
    publish(hooked.store, 2)
    started.follow(record(2))
    until(lambda: hooked.receiver.heard, 30, "the event to be told")
    hooked.post(refusal("bad.rpm", 300.0))
    started.hear(refusal("bad.rpm", 300.0))
    until(lambda: len(hooked.receiver.heard) == 2, 30, "the letter to be told")
    assert hooked.receiver.numbers == [2, "bad.rpm"]


def test_what_is_heard_and_nowhere_else_goes_into_the_outbox_first(hooked: Hooked, started: Courier) -> None:
    letters: list[int] = []
    hooked.receiver.act = lambda _: letters.append(len(hooked.box.letters()))
    started.hear(_failing())
    until(lambda: hooked.receiver.heard, 30, "the event to be told")
    assert letters == [1]
    assert [event.kind for event in hooked.receiver.heard] == [Kind.FAILING]


def test_other_repositories_and_what_nobody_wants_are_not_heard(hooked: Hooked, heard: Heard) -> None:
    hooked.hook = hooked.hook.model_copy(update={"events": ["*.published.*"]})
    one = courier(hooked, heard)
    one.hear(_failing())
    one.hear(tidings.failing("other", problem="x", time=1.0))
    one.follow(record(1))
    assert hooked.receiver.heard == []


def test_what_was_heard_while_the_store_was_away_is_told_when_it_is_back(hooked: Hooked, heard: Heard) -> None:
    broken = [True]

    def plan(step: Step) -> None:
        if broken:
            msg = "the disk is away"
            raise Unavailable(msg)

    one = courier(hooked, heard, FaultyStore(hooked.store, plan))
    one.hear(_failing())
    one.follow(record(1))
    one.follow(record(1))
    assert heard.events == [("error", "outbox not read, tried again")]  # once
    broken.clear()
    one.follow(record(1))
    assert [event.kind for event in hooked.receiver.heard] == [Kind.FAILING]


def test_log_and_metrics_hear_of_each_result_and_of_the_same_failure_once(hooked: Hooked, heard: Heard) -> None:
    told = Told(hook=hooked.hook, repository="test", log=heard, tally=heard, last=[])
    for result, text in (
        ("failed", "500"),
        ("failed", "500"),
        ("failed", "502"),
        ("delivered", "204"),
        ("failed", "502"),
        ("paused", "410"),
        ("dropped", "given up"),
    ):
        told(Tried(result=result, event=_failing(), text=text))  # type: ignore[arg-type]
    assert heard.events == [
        ("warning", "event not delivered, tried again"),
        ("warning", "event not delivered, tried again"),
        ("info", "event delivered"),
        ("warning", "event not delivered, tried again"),
        ("error", "hook wants no more events"),
        ("error", "event dropped"),
    ]
    assert [result for _, result in heard.results] == [
        "failed", "failed", "failed", "delivered", "failed", "paused", "dropped",
    ]  # fmt: skip
    assert heard.lines[0][2] == {
        "hook": "ci",
        "repository": "test",
        "type": str(Kind.FAILING),
        "id": _failing().id,
        "problem": "500",
    }


def test_what_waits_is_counted(hooked: Hooked, heard: Heard) -> None:
    def act(_event: Event) -> None:
        raise Undelivered("500")

    hooked.receiver.act = act
    one = courier(hooked, heard)
    one.follow(record(1))
    publish(hooked.store, 2)
    publish(hooked.store, 3)
    one.follow(record(3))
    assert [(standing.pending, standing.oldest) for standing in heard.standings] == [(0, 0.0), (2, 200.0)]
    assert set(heard.about) == {("ci", "test")}


def test_a_stop_does_not_wait_for_a_receiver_that_hangs(hooked: Hooked, heard: Heard) -> None:
    asked, enough = threading.Event(), threading.Event()
    hooked.receiver.act = lambda _: (asked.set(), enough.wait(30))
    one = courier(hooked, heard)
    one.follow(record(1))
    publish(hooked.store, 2)
    one.start()
    assert asked.wait(30)
    one.stop()
    assert not one.join(0.05)
    enough.set()
    assert one.join(30)


def test_what_is_wrong_with_the_cursor_is_said_and_tried_again(hooked: Hooked, heard: Heard) -> None:
    hooked.store.write(StorePath(".repod/outbox/ci/cursor.json"), b"{}", Expect.ABSENT)
    one = courier(hooked, heard)
    one.follow(record(1))
    assert "cursor.json is unreadable" in heard.lines[0][2]["problem"]


class Gauge:
    """A metric with labels, as ``Metrics`` has them."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def labels(self, *names: str) -> "Gauge":
        self._names = names
        return self

    def set(self, value: float) -> None:
        self.values[self._names] = value

    def inc(self) -> None:
        self.values[self._names] = self.values.get(self._names, 0) + 1


class Series:
    """What a tally needs of ``Metrics``."""

    def __init__(self) -> None:
        self.hook_deliveries, self.hook_pending, self.hook_oldest = Gauge(), Gauge(), Gauge()


def test_metrics_count_what_waits_over_all_repositories_of_a_hook() -> None:
    series = Series()
    tallies = outlets.Tallies(series)  # type: ignore[arg-type]
    for repository, pending, oldest in (("a", 2, 50.0), ("b", 1, 20.0), ("a", 0, 0.0)):
        tallies.waits("ci", repository, Standing(pending=pending, oldest=oldest, delay=None, cursor=Cursor()))
    tallies.tried("ci", "paused")
    assert series.hook_pending.values == {("ci",): 1}
    assert series.hook_oldest.values == {("ci",): 20.0}
    assert series.hook_deliveries.values == {("ci", "failed"): 1}


def test_a_process_knows_which_holders_are_certainly_gone() -> None:
    mine = outlets._this_process()
    assert not outlets._is_gone(mine)
    code = "from repod import outlets; print(outlets._this_process())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert outlets._is_gone(other.stdout.strip())
    machine, pid, began, name = mine.rsplit(" ", 3)
    assert outlets._is_gone(f"{machine} {pid} 1 {name}")  # the number is another process's now
    assert not outlets._is_gone(f"elsewhere {pid} 1 {name}")
    assert not outlets._is_gone("one")
    assert began.isdecimal()
