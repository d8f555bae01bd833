"""Intake and turns through stops, left-overs and other daemons: nothing is lost, nothing is doubled."""

import contextlib
import hashlib
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from repod.doors import Change, Expect
from repod.errors import Conflict, OutcomeUnknown, RepodError, Unavailable
from repod.package import sha256, store_path
from tests.lab.desk import Desk, desk, results
from tests.lab.fakes import MacSigner, rpm
from tests.lab.faulty import Crash, Moment, Step, at, raising
from tests.lab.site import Site
from tests.lab.site import site as site_in

HELLO, OTHER = "hello-1.0-1.noarch", "other-1.0-1.noarch"
PLACE = store_path("Packages/h/hello-1.0-1.noarch.rpm")


def leave(site: Site, data: bytes) -> bytes:
    """What a stopped run left in the store."""
    site.inner.add(PLACE, [data], sha256(hashlib.sha256(data).hexdigest()))
    return data


def test_the_same_build_that_a_stopped_run_left_is_taken_as_it_lies(site: Site, one: Desk) -> None:
    left = leave(site, rpm(HELLO, signer=one.signer))
    one.put(a=rpm(HELLO))
    assert results(one.turn()) == {"a.rpm": "accepted"}
    assert site.listed == {PLACE: hashlib.sha256(left).hexdigest()}
    assert site.dump()[PLACE] == left


@pytest.mark.parametrize(
    "left",
    [
        rpm(HELLO, "another build", MacSigner()),
        rpm(HELLO),
        rpm(HELLO, signer=MacSigner("an older key of ours")),
        b"junk",
        rpm(HELLO)[:-5],
    ],
    ids=["another build", "unsigned", "signed by another key", "junk", "truncated"],
)
def test_whatever_else_lies_there_stays_and_the_package_gets_a_place_of_its_own(
    left: bytes, site: Site, one: Desk
) -> None:
    leave(site, left)
    one.put(a=rpm(HELLO))
    assert results(one.turn()) == {"a.rpm": "accepted"}
    (place,) = site.listed
    assert place != PLACE
    assert place.endswith("/hello-1.0-1.noarch.rpm")
    assert site.dump()[PLACE] == left
    one.put(b=rpm(HELLO))
    assert results(one.turn()) == {"b.rpm": "duplicate"}


def test_two_left_overs_are_both_seen_through(site: Site, one: Desk) -> None:
    leave(site, b"junk")
    one.put(a=rpm(HELLO))
    store = one.store

    def stop(step: Step) -> None:
        if step.path.startswith("Packages/h/") and step.path != PLACE and step.moment == "after":
            raise Crash

    store.plan = stop
    with pytest.raises(Crash):
        one.turn()
    store.plan = lambda _: None
    assert results(one.turn()) == {"a.rpm": "accepted"}
    assert len([path for path in site.dump() if path.startswith("Packages/")]) == 2
    assert len(site.listed) == 1


def test_a_place_of_its_own_that_is_taken_too_needs_a_person(site: Site, one: Desk) -> None:
    leave(site, b"junk")
    one.put(a=rpm(HELLO))

    def take(step: Step) -> None:
        if step.name == "add" and step.path != PLACE and step.path.startswith("Packages/") and step.moment == "before":
            site.inner.write(store_path(step.path), b"more junk", Expect.ANY)

    one.store.plan = take
    report = one.turn()
    assert results(report) == {"a.rpm": "failed"}
    assert "remove it from the store by hand" in report.outcomes[0].problem
    assert (site.listed, one.left) == ({}, {"a.rpm"})


@pytest.mark.parametrize("problem", ["missing", "unreadable"])
def test_a_published_file_that_cannot_be_compared_leaves_the_arrival(problem: str, site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO))
    one.turn()
    site.inner.remove(PLACE)
    if problem == "unreadable":
        leave(site, b"junk")
    one.put(b=rpm(HELLO))
    one.store.plan = lambda _: None
    assert results(one.turn()) == {"b.rpm": "failed"}
    assert one.left == {"b.rpm"}


def turn_until_done(one: Desk) -> None:
    """Turn after turn, as the loop does, failures included."""
    for _ in range(6):
        with contextlib.suppress(RepodError):
            one.turn()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "error", [Crash(), Unavailable("disk full"), OutcomeUnknown("timed out")], ids=["crash", "unavailable", "unknown"]
)
def test_whatever_fails_at_any_step_of_a_turn_every_arrival_ends_well(error: BaseException, moment: Moment) -> None:
    for number in itertools.count(1):
        with TemporaryDirectory() as folder, site_in(Path(folder)) as site, desk(site, Path(folder, "w")) as one:
            one.put(a=rpm("base-1-1.noarch", "first"))
            one.turn()
            one.put(a=rpm(HELLO), b=rpm("base-1-1.noarch", "second"), c=rpm(OTHER), d=b"junk")
            site.plan(one.store, at(number, moment, raising(error)))
            with contextlib.suppress(Crash, RepodError):
                one.turn()
            if len(one.store.steps) < number:
                break
            step = one.store.steps[number - 1]
            assert site.listed.keys() - {PLACE} <= {
                "Packages/b/base-1-1.noarch.rpm",
                "Packages/o/other-1.0-1.noarch.rpm",
            }
            if isinstance(error, Crash):
                with desk(site, Path(folder, "w2"), inbox=one.inbox) as again:
                    turn_until_done(again)
            else:
                site.plan(one.store)
                turn_until_done(one)
            assert one.left == set(), step
            assert set(one.inbox.rejected) == {"b.rpm", "b.rpm.reason.json", "d.rpm", "d.rpm.reason.json"}, step
            assert len(site.listed) == 3, step
            site.assert_settled()
    assert number > 20


def test_a_turn_that_committed_and_could_not_show_it_shows_it_before_it_clears_away(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO))
    down = Unavailable("no route to host")
    one.store.plan = lambda step: (
        raising(down)() if step.name == "write" and step.path == "repodata/repomd.xml" else None
    )
    for _ in range(3):
        with pytest.raises(Unavailable, match="no route"):
            one.turn()
        assert one.left == {"a.rpm"}
    one.store.plan = lambda _: None
    assert results(one.turn()) == {"a.rpm": "duplicate"}
    assert list(site.listed) == [PLACE]
    site.assert_settled()


def test_what_another_daemon_published_meanwhile_is_seen_by_the_next_turn(site: Site, tmp_path: Path) -> None:
    with desk(site, tmp_path / "one") as one, desk(site, tmp_path / "two") as two:
        one.put(a=rpm(HELLO, "first"))
        one.turn()
        two.put(a=rpm(HELLO, "first"), b=rpm(HELLO, "second"))
        assert results(two.turn()) == {"a.rpm": "duplicate", "b.rpm": "rejected"}
        two.publisher.publish(Change(removed=[site.generations[0].added[0].nevra]), actor="person", why="bad build")
        one.put(a=rpm(HELLO, "first"))
        assert results(one.turn()) == {"a.rpm": "accepted"}
        assert list(site.listed) == [PLACE]


@pytest.mark.parametrize(("content", "outcome"), [("first", {"published"}), ("second", {"published", "rejected"})])
def test_two_daemons_with_one_nevra_at_once_end_with_one_build(content: str, outcome: set[str]) -> None:
    for number in itertools.count(1):
        with (
            TemporaryDirectory() as folder,
            site_in(Path(folder)) as site,
            desk(site, Path(folder, "1")) as one,
            desk(site, Path(folder, "2")) as two,
        ):
            one.put(a=rpm(HELLO, "first"))
            two.put(a=rpm(HELLO, content))
            site.plan(one.store, at(number, "before", lambda two=two: turn_until_done(two)))
            with contextlib.suppress(Conflict):
                one.turn()
            if len(one.store.steps) < number:
                break
            site.plan(one.store)
            turn_until_done(one)
            turn_until_done(two)
            ends = ["rejected" if each.inbox.rejected else "published" for each in (one, two)]
            assert set(ends) == outcome, one.store.steps[number - 1]
            assert (one.left, two.left) == (set(), set())
            assert len(site.listed) == 1
            assert len(site.generations) == 2
            site.assert_settled()
    assert number > 12


def test_an_inbox_that_cannot_be_read_is_no_empty_inbox(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO))
    one.inbox.broken = "the mount is gone"
    with pytest.raises(Unavailable, match="the mount is gone"):
        one.turn()
    one.inbox.broken = ""
    assert results(one.turn()) == {"a.rpm": "accepted"}


def test_a_problem_with_clearing_away_one_arrival_stops_no_other(site: Site, one: Desk) -> None:
    one.put(a=b"junk", b=rpm(HELLO), c=b"more junk")

    def change(step: Step) -> None:
        if step.path == ".repod/head.json" and step.name == "write":
            one.inbox.delete("a.rpm")
            one.store.plan = lambda _: None

    one.store.plan = change
    report = one.turn()
    assert list(report.places) == ["c.rpm"]
    (problem,) = [problem.text for problem in report.problems]
    assert problem.startswith("a.rpm: ")
    assert one.left == set()


def test_a_key_that_may_not_sign_now_stops_the_turn_before_anything_is_taken(site: Site, one: Desk) -> None:
    one.unusable = "the key has expired"
    one.turn()
    one.put(a=rpm(HELLO))
    with pytest.raises(Unavailable, match="expired"):
        one.turn()
    assert (one.left, one.stages) == ({"a.rpm"}, [])


def test_a_burst_becomes_visible_in_a_few_steps_and_what_cannot_be_taken_never_holds_up_the_rest(
    site: Site, tmp_path: Path
) -> None:
    with desk(site, tmp_path / "work", settle=1e9) as one:
        for number in range(500):
            one.inbox.put(f"damaged{number:03}.rpm", b"half a fi")
        one.put(z=rpm(HELLO))
        first = one.turn()
        assert (len(first.outcomes), first.more, site.listed) == (500, False, {})
        second = one.turn()
        assert results(second)["z.rpm"] == "accepted"
        assert list(site.listed) == [PLACE]
        assert second.more
