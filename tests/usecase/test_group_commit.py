"""Losing a race to publish: what arrived meanwhile joins the next try."""

from collections.abc import Callable

import pytest

from repod.claims import Patience
from repod.publish import Publisher
from repod.turn import BATCH
from tests.lab.desk import Desk, results
from tests.lab.entries import made
from tests.lab.fakes import rpm
from tests.lab.faulty import Step
from tests.lab.site import Site

THEIRS = made("theirs-1-1.noarch")


def beaten(site: Site, one: Desk, meanwhile: Callable[[], object]) -> None:
    """Let another publisher claim the number that ``one`` is about to claim, and then ``meanwhile`` happen."""
    theirs: Publisher = site.opened()
    won = list[Step]()

    def plan(step: Step) -> None:
        if step.name == "write" and step.path.startswith(".repod/generations/") and not won:
            won.append(step)
            site.publish(theirs, THEIRS)
            meanwhile()

    site.plan(one.store, plan)


def test_what_arrives_while_another_publishes_joins_the_next_try(site: Site, one: Desk) -> None:
    one.put(a=rpm("a-1-1.noarch"))
    beaten(site, one, lambda: one.put(b=rpm("b-1-1.noarch"), c=rpm("c-1-1.noarch")))
    report = one.turn()
    assert results(report) == {"a.rpm": "accepted", "b.rpm": "accepted", "c.rpm": "accepted"}
    assert [arrival.name for arrival in report.seen] == ["a.rpm", "b.rpm", "c.rpm"]
    assert report.generation is not None
    assert (report.generation.number, report.generation.why) == (3, "3 packages arrived")
    assert sorted(origin.of for origin in report.generation.origins) == ["a.rpm", "b.rpm", "c.rpm"]
    assert (len(site.listed), one.left) == (4, set())
    assert site.pauses == [1]
    site.assert_settled()


def test_what_joins_is_judged_like_everything_else(site: Site, one: Desk) -> None:
    one.put(a=rpm("a-1-1.noarch"))
    beaten(site, one, lambda: one.put(bad=b"no package", other=rpm("x-1-1.x86_64")))
    report = one.turn()
    assert results(report) == {"a.rpm": "accepted", "bad.rpm": "rejected", "other.rpm": "rejected"}
    assert set(one.inbox.rejected) >= {"bad.rpm", "other.rpm"}
    assert (len(site.listed), one.left) == (2, set())


def test_a_twin_of_what_waits_to_be_published_does_not_join_it(site: Site, one: Desk) -> None:
    one.put(a=rpm("a-1-1.noarch", "first"))
    beaten(site, one, lambda: one.put(b=rpm("a-1-1.noarch", "second")))
    first = one.turn()
    assert (results(first), first.more) == ({"a.rpm": "accepted", "b.rpm": "waiting"}, True)
    assert results(one.turn()) == {"b.rpm": "rejected"}
    assert site.listed["Packages/a/a-1-1.noarch.rpm"]
    assert [path for path in site.dump() if path.startswith("Packages/a/")] == ["Packages/a/a-1-1.noarch.rpm"]


def test_a_document_waits_for_the_next_turn_since_it_is_weighed_on_a_generation(site: Site, one: Desk) -> None:
    one.put(a=rpm("a-1-1.noarch"))
    beaten(site, one, lambda: one.inbox.put("comps.xml", b"<comps/>"))
    assert results(one.turn()) == {"a.rpm": "accepted"}
    assert one.left == {"comps.xml"}


def test_a_generation_stays_as_large_as_a_turn_at_the_most(
    site: Site, one: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repod.turn.BATCH", 2)
    assert BATCH > 2
    one.put(a=rpm("a-1-1.noarch"))
    beaten(site, one, lambda: one.put(b=rpm("b-1-1.noarch"), c=rpm("c-1-1.noarch")))
    assert results(one.turn()) == {"a.rpm": "accepted", "b.rpm": "accepted"}
    assert results(one.turn()) == {"c.rpm": "accepted"}


def test_an_inbox_that_cannot_be_read_then_holds_nothing_up(site: Site, one: Desk) -> None:
    one.put(a=rpm("a-1-1.noarch"))
    beaten(site, one, lambda: setattr(one.inbox, "broken", "it cannot be read"))
    assert results(one.turn()) == {"a.rpm": "accepted"}
    assert len(site.listed) == 2


def test_who_goes_on_losing_waits_longer_and_who_wins_again_waits_less() -> None:
    waits = list[tuple[int, float]]()
    patience = Patience(lambda attempt, unit=0.0: waits.append((attempt, unit)), raced=lambda: None)
    for _ in range(7):
        patience.begin()
        patience.lost()
    for _ in range(3):
        patience.begin()
        patience.won()
    patience.begin()
    patience.lost()
    assert [attempt for attempt, _ in waits] == [1, 2, 2, 2, 2, 2, 2, 1]
    assert all(0 < unit < 5 for _, unit in waits)
