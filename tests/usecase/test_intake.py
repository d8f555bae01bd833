"""Intake and turns: every arrival ends published, or rejected with a reason, or is still in the inbox."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.lab.desk import Desk, desk, results
from tests.lab.fakes import MacSigner, rpm
from tests.lab.faulty import Step
from tests.lab.site import Site

HELLO = "hello-1.0-1.noarch"
PLACE = "Packages/h/hello-1.0-1.noarch.rpm"


def stored(site: Site, path: str = PLACE) -> bytes:
    return site.dump()[path]


def test_an_arrival_is_signed_stored_published_and_then_taken_away(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO))
    report = one.turn()
    assert results(report) == {"a.rpm": "accepted"}
    assert site.listed == {PLACE: hashlib.sha256(stored(site)).hexdigest()}
    assert json.loads(stored(site).removeprefix(b"FAKE RPM "))["key"] == one.signer.fingerprint
    assert report.generation is not None
    assert (report.generation.number, report.generation.actor) == (2, "inbox")
    assert report.generation.why == f"{HELLO} arrived"
    assert (one.left, one.inbox.rejected, report.more) == (set(), {}, False)
    assert one.stages == ["copy", "read", "sign", "seal", "store"]
    site.assert_settled()


def test_what_arrives_together_becomes_one_generation(site: Site, one: Desk) -> None:
    one.put(**{f"f{number}": rpm(f"p{number}-1-1.noarch") for number in range(9)})
    report = one.turn()
    assert report.generation is not None
    assert (report.generation.number, report.generation.why, len(site.listed)) == (2, "9 packages arrived", 9)


def test_an_empty_inbox_is_a_turn_that_touches_no_store(site: Site, one: Desk) -> None:
    one.store.steps.clear()
    assert not one.turn().outcomes
    assert one.store.steps == []
    assert len(site.generations) == 1


# C020: "one entry, second counted as duplicate and removed from incoming, no new generation for it".
def test_the_same_file_twice_is_published_once(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO), b_c=rpm(HELLO))
    first = one.turn()
    assert (results(first), first.more) == ({"a.rpm": "accepted", "b/c.rpm": "waiting"}, True)
    second = one.turn()
    assert (results(second), second.more) == ({"b/c.rpm": "duplicate"}, False)
    assert (one.left, len(site.listed), len(site.generations)) == (set(), 1, 2)


def test_a_build_that_another_key_signed_is_still_the_same_build(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO, signer=MacSigner("theirs")))
    one.turn()
    before = stored(site)
    one.put(b=rpm(HELLO), c=before, d=rpm(HELLO, signer=MacSigner("third")))
    assert results(one.turn()) == {
        "b.rpm": "duplicate",
        "c.rpm": "duplicate",
        "d.rpm": "duplicate",
    }
    assert (stored(site), len(site.generations)) == (before, 2)


# C018: "B is refused with both sha256 values in the reason, bytes and metadata of A unchanged".
def test_another_build_under_a_published_nevra_is_refused_with_both_checksums(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO, "first"))
    one.turn()
    before = site.dump()
    one.put(b=rpm(HELLO, "second"))
    report = one.turn()
    (outcome,) = report.outcomes
    assert (outcome.result, [fault.code for fault in outcome.faults]) == ("rejected", ["conflict"])
    assert site.listed[PLACE] in outcome.faults[0].text
    assert hashlib.sha256(rpm(HELLO, "second")).hexdigest() in outcome.faults[0].text
    assert (site.dump(), one.left) == (before, set())
    assert one.inbox.rejected["b.rpm"] == rpm(HELLO, "second")
    assert report.places == {"b.rpm": "b.rpm"}
    assert "conflict" in one.inbox.rejected["b.rpm.reason.json"].decode()


def test_a_twin_with_other_content_waits_for_the_first_and_is_then_refused(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO, "first"), b=rpm(HELLO, "second"))
    assert results(one.turn()) == {"a.rpm": "accepted", "b.rpm": "waiting"}
    assert results(one.turn()) == {"b.rpm": "rejected"}
    assert len(site.generations) == 2


def test_where_replacing_is_allowed_the_new_build_gets_a_place_of_its_own(site: Site, tmp_path: Path) -> None:
    with desk(site, tmp_path / "work", replace=True) as one:
        for content in ("first", "second", "first", "third"):
            one.put(a=rpm(HELLO, content))
            assert results(one.turn()) == {"a.rpm": "accepted"}
            (place,) = site.listed
            assert json.loads(stored(site, place).removeprefix(b"FAKE RPM "))["header"]["content"] == content
        one.put(a=rpm(HELLO, "third"))
        assert results(one.turn()) == {"a.rpm": "duplicate"}
    kept = [path for path in site.dump() if path.startswith("Packages/")]
    assert PLACE in kept
    assert len(kept) == 4
    site.assert_settled()


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (b"", ["not-rpm"]),
        (b"<html>502</html>", ["not-rpm"]),
        (rpm(HELLO)[:-9], ["truncated"]),
        (rpm(HELLO, "fault=digest fault=text"), ["digest", "text"]),
        (rpm("hello-1.0-1.ppc64"), ["arch"]),
        (rpm(HELLO, "x" * 10_001), ["size"]),
    ],
)
def test_a_bad_arrival_is_rejected_with_every_reason_and_hurts_no_other(
    data: bytes, codes: list[str], site: Site, one: Desk
) -> None:
    one.put(a=data, b=rpm("good-1-1.noarch"))
    report = one.turn()
    assert results(report) == {"a.rpm": "rejected", "b.rpm": "accepted"}
    (bad,) = [outcome for outcome in report.outcomes if outcome.result == "rejected"]
    assert [fault.code for fault in bad.faults] == codes
    assert one.inbox.rejected["a.rpm"] == data
    assert list(site.listed) == ["Packages/g/good-1-1.noarch.rpm"]
    assert one.left == set()


@pytest.mark.parametrize("data", [b"", rpm(HELLO)[:-9], rpm(HELLO, "fault=digest"), rpm(HELLO, "fault=reader")])
def test_a_file_that_looks_damaged_may_still_be_written_until_it_has_settled(
    data: bytes, site: Site, tmp_path: Path
) -> None:
    with desk(site, tmp_path / "work", settle=60) as one:
        one.put(a=data)
        for _ in range(2):
            report = one.turn()
            assert (results(report), report.more, one.left) == ({"a.rpm": "waiting"}, False, {"a.rpm"})
            site.clock.now += 29
        site.clock.now += 10
        assert results(one.turn()) == {"a.rpm": "rejected"}
        one.put(b=rpm("hello-1.0-1.ppc64"))
        assert results(one.turn()) == {"b.rpm": "rejected"}


def test_a_file_that_becomes_whole_while_it_waits_is_published(site: Site, tmp_path: Path) -> None:
    with desk(site, tmp_path / "work", settle=60) as one:
        one.put(a=rpm(HELLO)[:-9])
        one.turn()
        one.put(a=rpm(HELLO))
        assert results(one.turn()) == {"a.rpm": "accepted"}
        assert one.inbox.rejected == {}


@pytest.mark.parametrize("change", ["again", "away"])
def test_an_arrival_that_changes_between_look_and_copy_waits(change: str, site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO), b=rpm("b-1-1.noarch"))
    seen = one.inbox.scan()
    if change == "again":
        one.put(a=rpm(HELLO, "newer"))
    else:
        one.inbox.delete("a.rpm")
    outcomes = {outcome.arrival.name: outcome.result for outcome in one.intake.take_in(seen)}
    assert outcomes == {"a.rpm": "waiting", "b.rpm": "accepted"}
    assert list(one.work.iterdir()) == []


def test_an_arrival_that_changes_while_it_is_published_is_not_taken_away(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO))

    def newer(step: Step) -> None:
        if step.path == ".repod/head.json" and step.name == "write" and step.moment == "after":
            one.put(a=rpm("hello-2.0-1.noarch"))

    one.store.plan = newer
    assert results(one.turn()) == {"a.rpm": "accepted"}
    assert one.left == {"a.rpm"}
    assert results(one.turn()) == {"a.rpm": "accepted"}
    assert len(site.listed) == 2


def test_an_arrival_is_taken_away_only_when_clients_can_see_it(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO), b=b"junk")
    left = {"a.rpm", "b.rpm"}

    def look(step: Step) -> None:
        assert one.left == left
        assert one.inbox.rejected == {}

    one.store.plan = look
    one.turn()
    assert one.left == set()


def test_after_it_is_told_to_stop_nothing_more_is_begun_and_everything_stays(site: Site, one: Desk) -> None:
    one.put(a=rpm(HELLO), b=b"junk")
    one.turns.stop()
    report = one.turn()
    assert (report.outcomes, report.generation, report.more) == ([], None, False)
    assert (one.left, site.listed) == ({"a.rpm", "b.rpm"}, {})


def test_a_signer_that_fails_leaves_everything_where_it_is(site: Site, one: Desk) -> None:
    one.signer.broken = "the agent is gone"
    one.put(a=rpm(HELLO), b=rpm(HELLO, "twin"), c=b"junk")
    before = site.dump()
    report = one.turn()
    assert results(report) == {"a.rpm": "failed", "b.rpm": "waiting", "c.rpm": "rejected"}
    assert [outcome.problem for outcome in report.outcomes if outcome.result == "failed"] == ["the agent is gone"]
    assert (site.dump(), one.left) == (before, {"a.rpm", "b.rpm"})
    assert not one.turn().more  # nothing gets on, so there is no hurry
    one.signer.broken = ""
    assert results(one.turn())["a.rpm"] == "accepted"


# C051: "Signer stub that flips one byte and exits 0 -> package not published, original bytes kept for retry".
def test_a_signer_that_spoils_the_package_publishes_nothing(site: Site, one: Desk) -> None:
    one.rpms.hurt = lambda data: data.replace(b'"signature": "', b'"signature": "9')
    one.put(a=rpm(HELLO))
    report = one.turn()
    assert results(report) == {"a.rpm": "failed"}
    assert "does not verify" in report.outcomes[0].problem
    assert (site.listed, one.left) == ({}, {"a.rpm"})
    one.rpms.hurt = None
    assert results(one.turn()) == {"a.rpm": "accepted"}


def test_a_repository_may_ask_for_packages_that_are_signed_already(site: Site, tmp_path: Path) -> None:
    builder = MacSigner("builder")
    with desk(site, tmp_path / "work", trusted="builder") as one:
        one.put(a=rpm("a-1-1.noarch", signer=builder), b=rpm("b-1-1.noarch"), c=rpm("c-1-1.noarch", signer=one.signer))
        report = one.turn()
        assert results(report) == {"a.rpm": "accepted", "b.rpm": "rejected", "c.rpm": "rejected"}
        assert sorted(f.code for outcome in report.outcomes for f in outcome.faults) == ["signer", "unsigned"]


def test_a_package_with_our_own_signature_is_stored_as_it_came(site: Site, one: Desk) -> None:
    signed = rpm(HELLO, signer=one.signer)
    one.put(a=signed)
    one.turn()
    assert stored(site) == signed


def test_a_package_whose_signature_by_us_is_not_good_enough_is_signed_anew(site: Site, one: Desk) -> None:
    signed = rpm(HELLO, signer=one.signer)
    one.rpms.doubtful = True
    one.put(a=signed)
    assert results(one.turn()) == {"a.rpm": "accepted"}
    assert stored(site) != signed
    assert json.loads(stored(site).removeprefix(b"FAKE RPM "))["key"] == one.signer.fingerprint
