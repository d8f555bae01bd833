"""Rollouts as the client reports them: kept whole, told when their state changes, never turned back."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from repod.doors import Expect
from repod.errors import Conflict, Corrupt, NotFound, Unavailable
from repod.happenings import Event, Kind
from repod.package import StorePath
from repod.reports import Rollout
from repod.rollouts import BEAT, KEPT, Rollouts
from repod.store.memory import MemoryStore
from tests.lab.faulty import Crash, FaultyStore, at, raising

_BEGAN = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
_OVER = datetime(2026, 11, 26, 4, 5, tzinfo=UTC)


def rollout(name: str = "r1", state: str = "running", **more: Any) -> Rollout:
    return Rollout.model_validate(
        {
            "id": name,
            "package": "hello",
            "builds": ["hello-1.0-7.noarch"],
            "group": "web",
            "state": state,
            "actor": "anna",
            "started": _BEGAN,
            "ended": None if state == "running" else _OVER,
            "hosts": [{"host": "web1", "state": "proven", "from": "hello-1.0-6.noarch", "to": "hello-1.0-7.noarch"}],
        }
        | more
    )


def rollouts(store: MemoryStore | FaultyStore, told: list[Event]) -> Rollouts:
    seconds = count(1000)
    return Rollouts("test", store, post=told.append, pause=lambda _: None, clock=lambda: float(next(seconds)))


@pytest.fixture
def store() -> MemoryStore:
    seconds = count(1000)
    return MemoryStore(lambda: float(next(seconds)))


def test_a_report_is_kept_and_told_when_the_state_changes_and_only_then(store: MemoryStore) -> None:
    told: list[Event] = []
    kept = rollouts(store, told)
    kept.report(rollout(), "token ci")
    kept.report(rollout(), "token ci")
    kept.report(rollout(problem="web2 is slow"), "token ci")
    kept.report(rollout(state="succeeded"), "token ci")
    assert [(event.kind, event.data["state"]) for event in told] == [
        (Kind.ROLLOUT, "running"),
        (Kind.ROLLOUT, "succeeded"),
    ]
    assert told[1].data["counts"] == {"proven": 1}
    found = kept.one("r1")
    assert (found.rollout, found.reported_by) == (rollout(state="succeeded"), "token ci")


def test_one_that_has_ended_takes_the_same_report_again_and_no_other(store: MemoryStore) -> None:
    kept = rollouts(store, [])
    kept.report(rollout(state="failed"), "token ci")
    kept.report(rollout(state="failed"), "token ci")
    with pytest.raises(Conflict, match=r"rollout r1 has ended \(failed\); expected a new id"):
        kept.report(rollout(), "token ci")


def test_the_newest_come_first_without_their_hosts(store: MemoryStore) -> None:
    kept = rollouts(store, [])
    for name in ("a", "b", "c"):
        kept.report(rollout(name), "token ci")
    found = kept.newest(2)
    assert [(one.id, one.hosts, dict(one.counts)) for one in found] == [
        ("c", 1, {"proven": 1}),
        ("b", 1, {"proven": 1}),
    ]


def test_only_the_last_are_kept(store: MemoryStore) -> None:
    kept = rollouts(store, [])
    for number in range(KEPT + 2):
        kept.report(rollout(f"r{number}"), "token ci")
    assert len(list(store.list(".repod/rollouts/"))) == KEPT
    with pytest.raises(NotFound, match="there is no rollout 'r1' in test; the last 200 are kept"):
        kept.one("r1")


@pytest.mark.parametrize("name", ["..", "a/b", "nothing"])
def test_what_is_not_there_is_not_found(store: MemoryStore, name: str) -> None:
    with pytest.raises(NotFound):
        rollouts(store, []).one(name)


def test_a_report_that_died_after_it_was_told_is_told_as_the_same_event_again(store: MemoryStore) -> None:
    told: list[Event] = []
    dying = FaultyStore(store, at(2, "before", raising(Crash())))
    with pytest.raises(Crash):
        rollouts(dying, told).report(rollout(), "token ci")
    rollouts(store, told).report(rollout(), "token ci")
    assert len(told) == 2
    assert told[0].id == told[1].id


def test_what_cannot_be_told_is_not_kept(store: MemoryStore) -> None:
    def post(_event: Event) -> None:
        msg = "the outbox is full"
        raise Unavailable(msg)

    kept = Rollouts("test", store, post=post, pause=lambda _: None, clock=lambda: 1.0)
    with pytest.raises(Unavailable):
        kept.report(rollout(), "token ci")
    assert list(store.list("")) == []


def test_what_is_unreadable_is_named_and_never_written_over(store: MemoryStore) -> None:
    path = StorePath(".repod/rollouts/r1.json")
    store.write(path, b"{}", Expect.ABSENT)
    with pytest.raises(Corrupt, match=path):
        rollouts(store, []).report(rollout(), "token ci")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"colour": "blue"}, "colour"),
        ({"ended": _OVER}, "ended: expected a time where it is over"),
        ({"state": "failed", "ended": None}, "ended: expected a time where it is over"),
        ({"state": "failed", "ended": datetime(2020, 1, 1, tzinfo=UTC)}, "after started"),
        ({"builds": []}, "builds"),
        ({"builds": ["hello"]}, "builds"),
        ({"id": "../x"}, "id"),
        ({"started": "2026-11-26T04:00:00"}, "started"),
        ({"hosts": [{"host": "a", "state": "proven"}, {"host": "a", "state": "failed"}]}, "expected each once"),
        ({"hosts": [{"host": "a\n", "state": "proven"}]}, "host"),
        ({"strategy": {"wave": "many"}}, "wave"),
    ],
)
def test_a_report_is_proven_field_by_field(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rollout(**wrong)


def test_a_rollout_that_says_nothing_new_for_a_while_is_seen_to_be_alive_all_the_same(store: MemoryStore) -> None:
    now = [1000.0]
    told: list[Event] = []
    kept = Rollouts("test", store, post=told.append, pause=lambda _: None, clock=lambda: now[0])
    kept.report(rollout(), "token ci")
    for now[0], seen in ((1000 + BEAT / 2, 1000), (1000 + BEAT, 1000 + BEAT)):
        assert kept.report(rollout(), "token ci").reported.timestamp() == seen
        assert kept.one("r1").reported.timestamp() == seen
    assert len(told) == 1
