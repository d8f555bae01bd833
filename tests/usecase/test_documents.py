"""Documents that arrive: published with the packages of their turn, or refused alone; the old ones stay."""

import bz2
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from repod.documents import publish_edits
from repod.doors import Change, Edit, Find
from repod.errors import Unavailable, Unfit
from repod.intake import HELD
from repod.repodata.carried import RemoveAdvisories, SetDocument, read
from repod.repodata.listing import plain
from tests.lab import advisories
from tests.lab.desk import Desk, desk, results
from tests.lab.fakes import rpm
from tests.lab.faulty import Step
from tests.lab.site import Site

HELLO = "hello-1.0-1.noarch"
MODULES = b"""---
document: modulemd-defaults
version: 1
data:
  module: hi
  stream: "1"
"""


def comps(name: str) -> bytes:
    return f"<comps><group><id>{name}</id><name>{name}</name></group></comps>".encode()


def advisory(key: str, *nevras: str) -> bytes:
    fields = {"id": key, "type": "security", "title": "t", "issued": "2026-01-01", "packages": nevras or [HELLO]}
    return json.dumps(fields).encode()


def arrive(one: Desk, files: Mapping[str, bytes]) -> dict[str, str]:
    """Files arrive, one second after the other; what one turn makes of them."""
    for name, data in files.items():
        one.site.clock.now += 1
        one.inbox.put(name, data)
    return results(one.turn())


def carried(one: Desk) -> dict[str, bytes]:
    """The plain carried documents of the current generation by their type."""
    generation = one.site.generations[0]
    return {kind: plain(one.site.inner, document) for kind, document in generation.carried.items()}


def reasons(one: Desk, name: str) -> list[tuple[str, str]]:
    said = json.loads(one.inbox.rejected[f"{name}.reason.json"])
    return [(fault["code"], fault["text"]) for fault in said["faults"]]


def test_documents_and_packages_of_a_turn_become_one_generation(site: Site, one: Desk) -> None:
    files = {
        "comps.xml": comps("web"),
        "a/hello.rpm": rpm(HELLO),
        "FOO-1.json": advisory("FOO-1"),
        "hi.modules.yaml": MODULES,
    }
    assert arrive(one, files) == dict.fromkeys(files, "accepted")
    generation = site.generations[0]
    assert (generation.number, generation.why) == (2, "1 package and 3 documents arrived")
    assert (generation.packages, sorted(generation.carried)) == (1, ["group", "modules", "updateinfo"])
    assert (carried(one)["group"], carried(one)["modules"]) == (comps("web"), MODULES)
    assert f'<sum type="sha256">{generation.added[0].pkgid}</sum>'.encode() in carried(one)["updateinfo"]
    assert (one.left, one.inbox.rejected) == (set(), {})


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("el9-comps.xml", comps("web"), "comps.xml arrived"),
        ("x.modules.yaml", MODULES, "modules.yaml arrived"),
        ("x.json", advisory("FOO-1"), "advisory FOO-1 arrived"),
        ("updateinfo.xml", advisories.updates(*map(advisories.update, "AB")), "2 advisories arrived"),
    ],
)
def test_the_record_says_which_document_arrived(site: Site, one: Desk, name: str, data: bytes, why: str) -> None:
    arrive(one, {name: data})
    assert site.generations[0].why == why


def test_what_changes_nothing_is_a_duplicate_and_makes_no_generation(site: Site, one: Desk) -> None:
    files = {"comps.xml": comps("web"), "x.json": advisory("FOO-1"), "x.modules.yaml": MODULES}
    arrive(one, files)
    assert arrive(one, files) == dict.fromkeys(files, "duplicate")
    assert (len(site.generations), one.left) == (2, set())


def test_of_two_comps_in_one_turn_the_later_wins(one: Desk) -> None:
    assert arrive(one, {"z-comps.xml": comps("first"), "a-comps.xml": comps("second")}) == {
        "z-comps.xml": "accepted",
        "a-comps.xml": "accepted",
    }
    assert carried(one)["group"] == comps("second")


def test_of_two_advisories_with_one_id_the_later_wins(one: Desk) -> None:
    arrive(one, {"z.json": advisory("A", "a-1-1.noarch"), "a.json": advisory("A", "b-1-1.noarch")})
    assert b'name="b"' in carried(one)["updateinfo"]
    assert b'name="a"' not in carried(one)["updateinfo"]


def test_many_large_documents_are_taken_a_few_at_a_time_in_their_order(site: Site, tmp_path: Path) -> None:
    """Packed they are small: the daemon must not hold all of them unpacked at once."""
    with desk(site, tmp_path / "work") as one:
        large = b"<!--" + b" " * (1 << 20) + b"-->"
        for number in range(5):
            site.clock.now += 1
            one.inbox.put(f"{9 - number}-comps.xml.bz2", bz2.compress(comps(f"web{number}") + large * (HELD >> 21)))
        taken = []
        while one.left:
            report = one.turn()
            taken.append(list(results(report).values()).count("accepted"))
            assert report.more is bool(one.left)
        assert taken == [2, 2, 1]
        assert b"web4" in carried(one)["group"][:100]


def test_a_name_that_is_not_utf8_is_told_as_text(one: Desk) -> None:
    name = os.fsdecode(b"caf\xe9.json")
    assert arrive(one, {name: b"[]"}) == {name: "rejected"}
    assert [text.partition(": ")[0] for _, text in reasons(one, name)] == [r"caf\xe9.json"]


@pytest.mark.parametrize("name", ["comps.xml", "x.modules.yaml", "updateinfo.xml", "x.json", "x.toml", "comps.xml.gz"])
def test_what_cannot_be_read_is_rejected_with_its_reason_and_the_old_documents_stay(one: Desk, name: str) -> None:
    arrive(one, {"comps.xml": comps("web"), "x.json": advisory("FOO-1"), "x.modules.yaml": MODULES})
    before = carried(one)
    files = {name: b"<<: {", "hello.rpm": rpm(HELLO)}
    assert arrive(one, files) == {name: "rejected", "hello.rpm": "accepted"}
    assert [code for code, _ in reasons(one, name)] == ["document"]
    after = carried(one)
    assert (after["group"], after["modules"]) == (before["group"], before["modules"])
    assert b"FOO-1" in after["updateinfo"]
    assert one.site.listed.keys() == {"Packages/h/hello-1.0-1.noarch.rpm"}


def test_all_faults_of_an_advisory_stand_in_its_reason(one: Desk) -> None:
    arrive(one, {"a/x.json": b'{"id": "a b", "type": "x"}'})
    texts = [text for _, text in reasons(one, "x.json")]
    assert all(any(f": {key}: " in text for text in texts) for key in ("id", "type", "title", "issued", "packages"))


def test_a_document_that_cannot_join_what_is_there_is_rejected_and_all_else_is_published(one: Desk) -> None:
    """What is there was taken over as it was, and is not sound."""
    one.publisher.publish(Change(edits=[SetDocument(type="updateinfo", data=b"junk")]), actor="me", why="")
    files = {"x.json": advisory("FOO-1"), "hello.rpm": rpm(HELLO), "comps.xml": comps("web")}
    assert arrive(one, files) == {"x.json": "rejected", "hello.rpm": "accepted", "comps.xml": "accepted"}
    ((code, text),) = reasons(one, "x.json")
    assert (code, text.startswith("advisory FOO-1 cannot join what is there: updateinfo.xml: ")) == ("document", True)
    assert carried(one)["updateinfo"] == b"junk"
    assert one.site.generations[0].why == "1 package and 1 document arrived"


def test_a_document_waits_in_the_inbox_while_what_is_there_cannot_be_read(site: Site, one: Desk) -> None:
    def plan(step: Step) -> None:
        if step.name == "stream" and step.path.endswith("updateinfo.xml.gz"):
            raise Unavailable("the store is away")

    arrive(one, {"x.json": advisory("FOO-1")})
    arrive(one, {"third.rpm": rpm("third-1-1.noarch")})
    site.plan(one.store, plan)
    files = {"y.json": advisory("FOO-2"), "other.rpm": rpm("other-1-1.noarch")}
    assert arrive(one, files) == {"y.json": "failed", "other.rpm": "accepted"}
    assert one.left == {"y.json"}
    site.plan(one.store)
    assert results(one.turn()) == {"y.json": "accepted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Poison:
    """An edit that brings about what nobody thought of."""

    type: str = "updateinfo"
    what: str = "poison"
    size: int = 0

    def apply(self, present: bytes | None, find: Find) -> bytes | None:
        raise RecursionError(f"deep {present!r} {find}")


def test_an_edit_that_fails_in_a_way_of_its_own_hurts_itself_only(site: Site, one: Desk) -> None:
    edits: list[Edit] = [_Poison(), read("y.json", advisory("FOO-2"))]
    verdicts = one.scales.weigh(site.generations[0], edits)
    assert [verdict.result for verdict in verdicts] == ["failed", "accepted"]
    with pytest.raises(Unavailable, match="poison cannot join what is there: RecursionError"):
        publish_edits(one.publisher, one.scales, edits, actor="me", done="added")


def test_a_repository_that_wants_no_documents_refuses_them_and_names_the_setting(site: Site, tmp_path: Path) -> None:
    with desk(site, tmp_path / "work", documents=False) as one:
        assert arrive(one, {"comps.xml": comps("web"), "hello.rpm": rpm(HELLO)}) == {
            "comps.xml": "rejected",
            "hello.rpm": "accepted",
        }
        ((code, text),) = reasons(one, "comps.xml")
        assert (code, "[repository.acceptance] documents = false" in text) == ("document", True)
        assert carried(one) == {}


def test_a_document_that_is_larger_than_the_policy_allows_is_refused_unread(one: Desk) -> None:
    arrive(one, {"comps.xml": b"x" * 10_001})
    ((code, text),) = reasons(one, "comps.xml")
    assert (code, "max_size" in text) == ("size", True)
    assert one.stages == []


def test_other_files_are_left_alone(one: Desk) -> None:
    files = dict.fromkeys(("README.txt", "hello.rpm.sha256", "x.toml.reason.json", "primary.xml"), b"x")
    assert arrive(one, files) == {}
    assert one.left == files.keys()


def test_edits_by_hand_are_all_made_or_none(site: Site, one: Desk) -> None:
    arrive(one, {"x.json": advisory("FOO-1")})
    gone, none = RemoveAdvisories(ids=("FOO-1",)), RemoveAdvisories(ids=("BAR-9",))
    with pytest.raises(Unfit, match="no advisory BAR-9 in this repository"):
        publish_edits(one.publisher, one.scales, [gone, none], actor="me", done="removed")
    assert len(site.generations) == 2
    generation, verdicts = publish_edits(one.publisher, one.scales, [gone], actor="me", done="removed")
    assert [verdict.result for verdict in verdicts] == ["accepted"]
    assert (generation.number, generation.actor, generation.why) == (3, "me", "advisory FOO-1 removed")
    assert "updateinfo" not in generation.carried


def test_edits_by_hand_that_change_nothing_make_no_generation_and_the_record_names_only_the_others(
    site: Site, one: Desk
) -> None:
    first, second = (read("x.json", advisory(key)) for key in ("FOO-1", "FOO-2"))
    publish_edits(one.publisher, one.scales, [first], actor="me", done="added")
    generation, _ = publish_edits(one.publisher, one.scales, [first], actor="me", done="added")
    assert (generation.number, len(site.generations)) == (2, 2)
    generation, verdicts = publish_edits(one.publisher, one.scales, [first, second], actor="me", done="added")
    assert [verdict.result for verdict in verdicts] == ["duplicate", "accepted"]
    assert (generation.number, generation.why) == (3, "advisory FOO-2 added")


def test_an_edit_that_lost_its_ground_to_another_writer_is_told_as_such_and_not_as_damage(site: Site) -> None:
    publisher = site.opened()
    with pytest.raises(Unfit, match="advisory FOO-1: no advisory FOO-1"):
        publisher.publish(Change(edits=[RemoveAdvisories(ids=("FOO-1",))]), actor="me", why="")
    assert (site.warnings, len(site.generations)) == ([], 1)
