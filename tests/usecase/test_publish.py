"""Publishing: a change becomes the next generation, whole, or nothing happens."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from repod.doors import Change, Expect
from repod.errors import Conflict, Corrupt, Misconfigured, NotFound, OutcomeUnknown, Unavailable
from repod.generation import HEAD, record_path
from repod.history import History
from repod.package import UNKNOWN, Nevra, Origin, StorePath, store_path
from repod.repodata.carried import SetDocument
from repod.views import REPOMD, SIGNATURE
from tests.lab.entries import made
from tests.lab.faulty import FaultyStore, Step, raising
from tests.lab.site import Site, seen

A, B, C = made("a-1.0-1.noarch"), made("b-1.0-1.noarch"), made("c-1.0-1.noarch")
OTHER_A = made(A.nevra, "another build", store_path("Packages/a/other/a-1.0-1.noarch.rpm"))


def test_a_store_without_any_trace_of_a_repository_gets_an_empty_first_generation(site: Site) -> None:
    generation = site.publisher().open("who")
    assert (generation.number, generation.parent, generation.packages) == (1, 0, 0)
    assert (generation.actor, generation.why, generation.time) == ("who", "repository created", 1_000_000)
    assert site.listed == {}
    site.assert_settled()


def test_opening_a_repository_again_changes_nothing(site: Site) -> None:
    site.publish(site.opened(), A)
    before = site.dump()
    assert site.publisher().open("again").number == 2
    assert site.dump() == before


def test_a_published_package_is_in_the_live_view_and_in_the_record(site: Site) -> None:
    publisher = site.opened()
    generation = site.publish(publisher, A, B)
    assert site.listed == seen(A, B)
    assert (generation.number, generation.parent, generation.packages) == (2, 1, 2)
    assert set(generation.added) == {A.package, B.package}
    assert generation.removed == ()
    assert site.generations == [generation, History(site.inner).record(1)]
    assert generation.repomd.encode() == site.inner.read(REPOMD).data
    assert generation.signature.encode() == site.inner.read(SIGNATURE).data
    site.assert_settled()


@pytest.mark.parametrize(
    "change",
    [
        Change(),
        Change(entries=[A.entry]),
        Change(removed=[B.nevra]),
        Change(entries=[A.entry], removed=[C.nevra]),
    ],
)
def test_what_changes_nothing_makes_no_generation(change: Change, site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    before = site.dump()
    assert publisher.publish(change, actor="x", why="y").number == 2
    assert site.dump() == before


def test_the_record_says_of_each_added_build_where_it_came_from(site: Site) -> None:
    publisher = site.opened()
    site.put(A)
    site.put(B)
    origin = Origin(how="arrival", of="ci/a.rpm", checksum="ab")
    change = Change(entries=[B.entry, replace(A.entry, origin=origin)])
    generation = publisher.publish(change, actor="inbox", why="they arrived")
    came = dict(zip((package.nevra for package in generation.added), generation.origins, strict=True))
    assert came == {A.nevra: origin, B.nevra: UNKNOWN}
    assert History(site.inner).record(2) == generation


def test_a_change_that_was_planned_on_another_generation_is_refused(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    before = site.dump()
    with pytest.raises(Conflict, match="generation 2 is current, and this was planned on 1"):
        publisher.publish(Change(removed=[A.nevra]), actor="retention", why="old", on=1)
    assert site.dump() == before
    assert publisher.publish(Change(removed=[A.nevra]), actor="retention", why="old", on=2).number == 3


def test_of_a_change_only_what_is_not_so_already_is_recorded(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    site.put(B)
    generation = publisher.publish(Change(entries=[A.entry, B.entry], removed=[C.nevra]), actor="x", why="y")
    assert (generation.added, generation.removed) == ((B.package,), ())


def test_a_removed_package_leaves_the_view_and_its_file_stays(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A, B)
    generation = publisher.publish(Change(removed=[A.nevra]), actor="x", why="y")
    assert (generation.added, generation.removed, generation.packages) == ((), (A.package,), 1)
    assert site.listed == seen(B)
    assert site.inner.read(A.package.href).data == A.file


def test_a_published_nevra_keeps_its_bytes(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    before = site.dump()
    with pytest.raises(Conflict, match=rf"(?s){A.package.pkgid}.*{OTHER_A.package.pkgid}.*judge it again"):
        publisher.publish(Change(entries=[B.entry, OTHER_A.entry]), actor="x", why="y")
    assert site.dump() == before


def test_a_package_can_be_replaced_where_that_is_asked_for(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A, B)
    generation = site.publish(publisher, OTHER_A, replace=True)
    assert (generation.added, generation.removed) == ((OTHER_A.package,), (A.package,))
    assert site.listed == seen(OTHER_A, B)
    assert site.inner.read(A.package.href).data == A.file


def test_all_packages_can_be_removed_and_published_again(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A, B)
    assert publisher.publish(Change(removed=[A.nevra, B.nevra]), actor="x", why="y").packages == 0
    assert site.listed == {}
    site.publish(publisher, A)
    assert site.listed == seen(A)
    site.assert_settled()


# C120: "revision and all record timestamps of the second are greater or equal".
def test_neither_revision_nor_time_goes_back_when_the_clock_does(site: Site) -> None:
    publisher = site.opened()
    first = site.publish(publisher, A)
    site.clock.now -= 3600
    second = site.publish(site.opened(), B)
    site.clock.now += 7200
    third = site.publish(publisher, C)
    assert [first.number, second.number, third.number] == [2, 3, 4]
    assert [first.time, second.time, third.time] == [1_000_000, 1_000_000, 1_003_600]
    for generation in (first, second, third):
        stamps = re.findall(r"<timestamp>(\d+)</timestamp>", generation.repomd)
        assert stamps == [str(generation.time)] * 3
        assert f"<revision>{generation.number}</revision>" in generation.repomd


def test_documents_are_named_by_their_content_so_that_equal_content_is_stored_once(site: Site) -> None:
    publisher = site.opened()
    first = site.publish(publisher, A)
    site.publish(publisher, B)
    third = publisher.publish(Change(removed=[B.nevra]), actor="x", why="y")
    assert [d.href for d in third.documents] == [d.href for d in first.documents]
    assert third.repomd != first.repomd


# C098: a failed read is never "empty".
@pytest.mark.parametrize("error", [Unavailable("403"), Unavailable("500"), OutcomeUnknown("timed out")])
@pytest.mark.parametrize("path", [HEAD, record_path(2), record_path(3)])
def test_a_failed_look_at_the_present_state_publishes_nothing(error: Exception, path: StorePath, site: Site) -> None:
    site.publish(site.opened(), A)
    before = site.dump()

    def fail(step: Step) -> None:
        if (step.name, step.path) == ("read", path):
            raise error

    with pytest.raises(type(error), match=str(error)):
        site.publisher(site.store(fail)).open("x")
    with pytest.raises(type(error), match=str(error)):
        site.publisher(site.store(fail)).publish(Change(entries=[B.entry]), actor="x", why="y")
    assert site.dump() == before


@pytest.mark.parametrize("error", [Unavailable("500"), OutcomeUnknown("timed out")])
def test_a_store_that_cannot_be_listed_is_not_an_empty_one(error: Exception, site: Site) -> None:
    store = site.store(lambda step: raising(error)() if step.name == "list" else None)
    with pytest.raises(type(error)):
        site.publisher(store).open("x")
    assert site.dump() == {}


def test_a_repository_by_another_tool_is_not_taken_for_an_empty_store(site: Site) -> None:
    site.inner.write(REPOMD, b"<repomd/>", Expect.ABSENT)
    with pytest.raises(Misconfigured, match="another tool's repository"):
        site.publisher().open("x")
    assert site.dump() == {REPOMD: b"<repomd/>"}


def test_a_lost_pointer_is_found_again_from_the_records(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    site.publish(publisher, B)
    site.inner.remove(HEAD)
    assert site.publisher(FaultyStore(site.inner)).open("x").number == 3
    assert site.listed == seen(A, B)
    site.assert_settled()


def test_a_lost_pointer_whose_first_records_are_pruned_is_not_a_new_repository(site: Site) -> None:
    site.publish(site.opened(), A)
    site.inner.remove(HEAD)
    site.inner.remove(record_path(1))
    before = site.dump()
    with pytest.raises(Misconfigured, match=r"generations/2\.json but no \.repod/head\.json.*restore"):
        site.publisher().open("x")
    assert site.dump() == before


def test_a_pointer_without_its_record_is_corrupt(site: Site) -> None:
    site.publish(site.opened(), A)
    site.inner.remove(record_path(2))
    before = site.dump()
    with pytest.raises(Corrupt, match=r"says generation 2, but \.repod/generations/2\.json is missing; restore it"):
        site.publisher().open("x")
    assert site.dump() == before


def test_a_store_that_was_emptied_is_not_a_new_one(site: Site) -> None:
    publisher = site.opened(cache="mine")
    site.publish(publisher, A)
    site.close()
    for path in site.dump():
        site.inner.remove(StorePath(path))
    with pytest.raises(Misconfigured, match="held generation 2 before: is it mounted"):
        site.publisher(cache="mine").open("x")
    assert site.dump() == {}


def test_a_store_that_is_emptied_under_a_running_publisher_is_not_a_new_one(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    for path in site.dump():
        site.inner.remove(StorePath(path))
    for act in (lambda: publisher.open("x"), publisher.refresh, lambda: site.publish(publisher, A)):
        with pytest.raises(Misconfigured, match="is it mounted"):
            act()
    assert site.dump() == {A.package.href: A.file}  # put there for the last of these


def test_if_it_cannot_sign_it_does_not_publish(site: Site) -> None:
    publisher = site.opened()
    site.signer.broken = "the token is unplugged"
    with pytest.raises(Unavailable, match="unplugged"):
        site.publish(publisher, A)
    assert (site.listed, len(site.generations)) == ({}, 1)
    site.signer.broken = ""
    site.publish(publisher, A)
    assert site.listed == seen(A)
    site.assert_settled()


def test_a_damaged_cache_is_made_anew_in_the_middle_of_a_publish(site: Site, tmp_path: Path) -> None:
    publisher = site.opened(cache="mine")
    site.publish(publisher, A, B)
    for kind in ("primary.text", "filelists.packed"):
        (log,) = (tmp_path / "mine").glob(f"epoch-*/{kind}")
        log.write_bytes(bytes(log.stat().st_size))
        site.publish(publisher, C)
        assert site.listed == seen(A, B, C)
        publisher.publish(Change(removed=[C.nevra]), actor="x", why="y")
    site.assert_settled()


def test_a_document_that_was_altered_in_the_store_is_carried_into_no_generation(site: Site) -> None:
    publisher = site.opened(FaultyStore(site.inner))
    generation = site.publish(publisher, *[made(f"p{number}-1-1.noarch") for number in range(200)])
    document = generation.documents[1]
    data = bytearray(site.inner.read(document.href).data)
    data[len(data) // 2] ^= 1
    site.inner.write(document.href, bytes(data), Expect.ANY)
    with pytest.raises(Corrupt, match=r"gzip|does not have its checksum"):
        publisher.publish(Change(removed=[Nevra.parse("p0-1-1.noarch")]), actor="x", why="y")
    assert len(site.generations) == 2


def test_a_document_that_was_lost_in_the_store_is_made_anew_from_the_cache(site: Site) -> None:
    publisher = site.opened(FaultyStore(site.inner))
    packages = [made(f"p{number}-1-1.noarch") for number in range(200)]
    generation = site.publish(publisher, *packages)
    site.inner.remove(generation.documents[1].href)
    publisher.publish(Change(removed=[packages[0].nevra]), actor="x", why="y")
    assert site.listed == seen(*packages[1:])
    site.assert_settled()


def test_a_cache_that_is_deleted_between_two_processes_changes_nothing(site: Site, tmp_path: Path) -> None:
    site.publish(site.opened(cache="mine"), A, B)
    site.close()
    shutil.rmtree(tmp_path / "mine")
    site.publish(site.opened(cache="mine"), C)
    assert site.listed == seen(A, B, C)


def test_history_ends_where_the_records_are_pruned(site: Site) -> None:
    publisher = site.opened()
    for one in (A, B, C):
        site.publish(publisher, one)
    site.inner.remove(record_path(2))
    assert [generation.number for generation in site.generations] == [4, 3]
    with pytest.raises(NotFound):
        History(site.inner).record(2)


def test_an_empty_store_has_no_history(site: Site) -> None:
    assert site.generations == []


def test_a_carried_document_that_the_live_view_lost_comes_back_from_the_frozen_one(site: Site) -> None:
    publisher = site.opened(FaultyStore(site.inner))  # one that does not look for what is lost
    site.put(A)
    groups = SetDocument(type="group", data=b"<comps/>")
    publisher.publish(Change(entries=[A.entry], edits=[groups]), actor="x", why="y")
    (lost,) = [d for d in site.generations[0].documents if d.type == "group"]
    site.inner.remove(lost.href)
    generation = site.publish(publisher, B)
    assert lost in generation.documents
    assert site.inner.read(lost.href).data == site.inner.read(store_path(generation.view + lost.href)).data
    site.assert_settled()
