"""A rebuild gives the documents that stood there, from the packages alone, or says what it could not know."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from repod.doors import Change, Expect
from repod.errors import Conflict, Corrupt, Refused
from repod.finding import FAULT, MENDED, NOTE
from repod.generation import HEAD, Generation, record_path
from repod.package import StorePath
from repod.publish import Publisher
from repod.repodata.carried import SetDocument
from repod.views import REPOMD
from tests.lab.care import Care
from tests.lab.entries import made, many
from tests.lab.fakes import armor
from tests.lab.faulty import Crash, FaultyStore, Step, at, raising
from tests.lab.inline import inline
from tests.lab.site import URL, Site, seen
from tests.lab.site import site as site_in
from tests.lab.stated import statements

A, B, C = made("a-1.0-1.noarch"), made("b-1.0-1.noarch"), made("c-1.0-1.noarch")
COMPS = b"<comps><group><id>core</id></group></comps>"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A and B, then groups, then C and not A; the daemon's cache is lost."""
    with site_in(tmp_path) as site:
        _fill(site, tmp_path / "hosts")
        yield site


def _fill(site: Site, folder: Path) -> None:
    publisher = site.opened()
    site.publish(publisher, A, B)
    publisher.publish(Change(edits=[SetDocument(type="group", data=COMPS)]), actor="test", why="test")
    site.put(C)
    publisher.publish(Change(entries=[C.entry], removed=[A.nevra]), actor="test", why="test")
    Care(site, folder).write_host_files()


@pytest.fixture
def care(site: Site, tmp_path: Path) -> Care:
    return Care(site, tmp_path / "care")


def _own(generation: Generation) -> list[StorePath]:
    """What is made from the packages, in both views."""
    return [path for path, document in generation.stored.items() if document.type != "group"]


def _lose_documents(site: Site) -> None:
    """Of every generation, all that is made from the packages."""
    for generation in site.generations:
        for path in _own(generation):
            site.inner.remove(path)


def _faults(care: Care) -> list[str]:
    return [finding.path for finding in care.findings() if finding.severity == FAULT]


def test_views_are_brought_to_what_the_records_say(site: Site, care: Care) -> None:
    before = site.dump()
    site.inner.remove(REPOMD)
    site.inner.remove(StorePath("generations/4/" + REPOMD))
    assert care.rebuild().generation.number == 4
    assert site.dump() == before


def test_lost_documents_are_stored_again_under_their_names_and_no_generation_is_made(site: Site, care: Care) -> None:
    before = site.dump()
    for path in _own(site.generations[0]):
        site.inner.remove(path)
    done = care.rebuild()
    assert {finding.severity for finding in done.findings} == {MENDED}
    assert (done.generation.number, done.packages) == (4, 2)
    assert site.dump() == before


def test_a_sound_repository_comes_out_as_it_was_and_nothing_is_written(site: Site, care: Care) -> None:
    before = site.dump()
    assert care.rebuild().findings == []
    assert site.dump() == before


def test_many_packages_come_out_in_the_same_bytes_whatever_their_history(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        publisher = site.opened()
        # Two that differ by their epochs alone would have one place.
        packages = list({one.package.href: one for one in many(320)}.values())[:300]
        for start in range(0, 300, 50):
            site.publish(publisher, *packages[start : start + 50])
        Care(site, tmp_path / "hosts").write_host_files()
        publisher.publish(Change(removed=[one.nevra for one in packages[::7]]), actor="test", why="test")
        before = site.dump()
        _lose_documents(site)
        care = Care(site, tmp_path / "care")
        care.repair()
        assert site.dump() == before


def test_what_is_listed_is_told_by_the_chain_of_records_where_no_document_is_left(site: Site, care: Care) -> None:
    """A was removed: its file is there still, and it is not listed again."""
    _lose_documents(site)
    care.rebuild()
    assert site.listed == seen(B, C)


def test_what_is_listed_is_told_by_an_older_or_a_newer_generation(site: Site, care: Care) -> None:
    site.inner.remove(record_path(1))
    site.inner.remove(record_path(2))
    for path in _own(site.generations[0]):
        site.inner.remove(path)
    care.rebuild()
    assert site.listed == seen(B, C)
    for path in _own(site.generations[1]):
        if path not in site.generations[0].stored:
            site.inner.remove(path)
    assert {finding.severity for finding in care.repair()} == {MENDED}


def test_documents_that_do_not_come_out_as_they_were_are_published_as_a_new_generation(site: Site, care: Care) -> None:
    """As where they were made with other changelogs."""
    now = site.generations[0]
    care.rpms.odd = True
    done = care.rebuild()
    assert (done.generation.number, done.generation.why) == (5, "rebuilt from the packages")
    assert (done.generation.added, done.generation.removed) == ((), ())
    assert done.generation.documents[3] == now.documents[3]
    assert site.listed == seen(B, C)


def test_a_listed_package_that_is_missing_stops_it_unless_it_may_be_left_out(site: Site, care: Care) -> None:
    site.inner.remove(B.package.href)
    before = site.dump()
    with pytest.raises(Corrupt, match=r"1 listed packages are missing .*b-1.0-1.noarch.rpm; restore .*--drop-missing"):
        care.rebuild()
    assert site.dump() == before
    done = care.rebuild(drop=True)
    assert [finding.path for finding in done.findings] == [B.package.href]
    assert done.generation.removed == (B.package,)
    assert site.listed == seen(C)


def test_a_lost_carried_document_is_left_out_with_a_line(site: Site, care: Care) -> None:
    groups = site.generations[0].documents[3]
    site.inner.remove(groups.href)
    done = care.rebuild()
    assert [(finding.severity, finding.path) for finding in done.findings] == [(FAULT, groups.href)]
    assert "goes on without its group: put it in again" in done.findings[0].text
    assert [document.type for document in done.generation.documents] == ["primary", "filelists", "other"]
    assert site.listed == seen(B, C)


def test_a_lost_record_begins_anew_with_what_its_own_frozen_index_lists(site: Site, care: Care) -> None:
    site.inner.remove(record_path(4))
    done = care.rebuild()
    assert (done.generation.number, done.generation.parent) == (5, 0)
    assert done.generation.added == (B.package, C.package)
    assert [document.type for document in done.generation.documents][3:] == ["group"]
    assert site.listed == seen(B, C)
    assert _faults(care) == []


def test_a_lost_record_whose_indexes_are_lost_lists_all_packages_but_those_known_to_be_removed(
    site: Site, care: Care
) -> None:
    publisher = site.opened()
    site.publish(publisher, made("d-1.0-1.noarch"))
    site.inner.remove(record_path(5))
    for path in [stored.path for stored in site.inner.list("")]:
        if path.startswith(("repodata/", "generations/5/")):
            site.inner.remove(path)
    done = care.rebuild()
    assert done.generation.number == 6
    assert site.listed == seen(B, C, made("d-1.0-1.noarch"))


def test_of_packages_alone_a_repository_is_made_and_of_two_with_one_nevra_one_is_listed(
    tmp_path: Path,
) -> None:
    """C072: ours before a stranger's, then the one at its usual place, then the first by path."""
    with site_in(tmp_path) as site:
        care = Care(site, tmp_path / "care")
        away = StorePath("Packages/a/elsewhere/a.rpm")
        foreign = StorePath("Packages/0.rpm")
        site.put(A, B, made(A.nevra, "another", away), made(B.nevra, "key=STRANGER", foreign))
        site.inner.write(StorePath("Packages/junk.rpm"), b"junk\n", Expect.ABSENT)
        done = care.rebuild()
        assert site.listed == seen(A, B)
        assert (done.generation.number, done.generation.parent, done.packages) == (1, 0, 2)
        texts = {finding.path: (finding.severity, finding.text) for finding in done.findings}
        assert texts["Packages/junk.rpm"][0] == FAULT
        assert texts[away] == (NOTE, f"a second file of {A.nevra}; that at {A.package.href} is listed; remove this one")
        assert texts[foreign][0] == NOTE
        assert care.rebuild().generation == done.generation


def test_a_repository_without_records_whose_documents_are_sound_is_to_be_adopted(site: Site, care: Care) -> None:
    for stored in [*site.inner.list(".repod/")]:
        site.inner.remove(stored.path)
    with pytest.raises(Refused, match="repod adopt"):
        care.rebuild()
    for stored in [*site.inner.list("repodata/")]:
        if "filelists" in stored.path:
            site.inner.remove(stored.path)
    done = care.rebuild()
    assert done.generation.number == 5, "the numbers of the frozen views are used already"
    assert site.listed == seen(B, C)


def test_a_writer_that_was_faster_makes_it_a_conflict(site: Site, tmp_path: Path) -> None:
    publisher = site.publisher(FaultyStore(site.inner))
    publisher.open("test")
    site.inner.remove(site.generations[0].documents[3].href)
    late = iter([made("late-1.0-1.noarch")])

    def publish(step: Step) -> None:
        if step.name == "write" and step.path == record_path(5) and step.moment == "before":
            for one in late:
                site.put(one)
                _restore_groups(site)
                publisher.publish(Change(entries=[one.entry]), actor="test", why="test")

    with pytest.raises(Conflict, match="another writer published meanwhile"):
        Care(site, tmp_path / "slow", FaultyStore(site.inner, publish)).rebuild()
    assert site.listed == seen(B, C, made("late-1.0-1.noarch"))


def _restore_groups(site: Site) -> None:
    now = site.generations[0]
    site.inner.copy(StorePath(now.view + now.documents[3].href), now.documents[3].href, now.documents[3].checksum)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rebuild_that_is_stopped_at_any_step_is_carried_on_by_the_next(moment: str, tmp_path: Path) -> None:
    for number in itertools.count(1 if moment == "before" else 2, 3):
        with site_in(tmp_path / f"{moment}{number}") as site:
            _fill(site, tmp_path / "hosts")
            site.inner.remove(record_path(4))
            site.inner.remove(REPOMD)
            store = FaultyStore(site.inner, at(number, moment, raising(Crash())))  # type: ignore[arg-type]
            with suppress(Crash):
                Care(site, tmp_path / f"{moment}{number}/dead", store).rebuild()
            if number > len(store.steps):
                break
            care = Care(site, tmp_path / f"{moment}{number}/next")
            care.rebuild()
            assert site.listed == seen(B, C)
            assert _faults(care) == []


def _mending(site: Site, care: Care, warnings: list[str]) -> Publisher:
    """A daemon's publisher."""
    store = FaultyStore(site.inner)
    return Publisher(
        store=store,
        url=URL,
        repodata=site.repodata(store),
        signer=site.signer,
        armor=armor,
        clock=site.clock,
        pause=site.pause,
        warn=warnings.append,
        statements=statements(store, site.signer, site.clock),
        restore=care.rebuilder().restore,
        threads=inline,
    )


def test_a_daemon_without_documents_and_cache_rebuilds_and_goes_on_with_one_warning(site: Site, care: Care) -> None:
    """C070."""
    _lose_documents(site)
    care.repair()  # the frozen views of old generations are no business of a daemon's
    for path in _own(site.generations[0]):
        site.inner.remove(path)
    warnings: list[str] = []
    publisher = _mending(site, care, warnings)
    publisher.open("test")
    site.publish(publisher, made("d-1.0-1.noarch"))
    assert site.listed == seen(B, C, made("d-1.0-1.noarch"))
    assert len(warnings) == 1
    assert "made anew from the packages" in warnings[0]
    assert site.generations[0].number == 5
    assert _faults(care) == []


def test_a_daemon_publishes_anew_where_the_documents_do_not_come_out_as_they_were(site: Site, care: Care) -> None:
    for path in _own(site.generations[0]):
        site.inner.remove(path)
    care.rpms.odd = True
    publisher = _mending(site, care, [])
    assert publisher.open("test").number == 5
    site.publish(publisher, made("d-1.0-1.noarch"))
    assert site.generations[0].number == 6
    assert site.listed == seen(B, C, made("d-1.0-1.noarch"))


def test_a_daemon_that_cannot_know_what_was_listed_leaves_it_to_a_person(site: Site, care: Care) -> None:
    _lose_documents(site)
    site.inner.remove(record_path(1))
    before = site.dump()
    with pytest.raises(Corrupt, match=r"nothing tells which packages it lists; .*repod rebuild"):
        _mending(site, care, []).open("test")
    assert site.dump() == before
    assert site.inner.read(HEAD)
