"""A repository goes back to what it listed before, byte for byte, beside other writers and through crashes."""

import contextlib
import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from repod.doors import Change, Expect
from repod.errors import Conflict, Refused, RepodError
from repod.generation import Generation, record_path
from repod.ledger import Ledger, Mark, comings
from repod.package import Origin, store_path
from repod.repodata.carried import SetDocument, read
from tests.lab.entries import made
from tests.lab.faulty import Crash, FaultyStore, Moment, Step, at, raising
from tests.lab.papers import advisory, stream
from tests.lab.rolling import rolling
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

OLD, NEW, B, C = (made(f"{name}-1.noarch") for name in ("a-1.0", "a-2.0", "b-1.0", "c-1.0"))
OTHER_B = made(B.nevra, "another build", store_path("Packages/b/other/b-1.0-1.noarch.rpm"))
THEIRS = made("theirs-1-1.noarch")
COMPS = b"<comps><group><id>core</id></group></comps>"
ARRIVED = Origin(how="arrival", of="a.rpm", checksum="ab" * 32)
LAST = 6


@contextlib.contextmanager
def shop() -> Iterator[tuple[Site, Path]]:
    """Six generations of packages and documents that follow them; a folder for private copies."""
    with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
        for path, data in filled().items():
            site.inner.write(store_path(path), data, Expect.ABSENT)
        site.clock.now += 1000
        yield site, Path(folder) / "copies"


@functools.cache
def filled() -> dict[str, bytes]:
    """Everything in the store of such a shop."""
    with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
        fill(site)
        return site.dump()


def fill(site: Site) -> None:
    """1: nothing. 2: OLD, B. 3: with groups, a stream, an advisory. 4: NEW, C, no OLD. 5: no groups. 6: another B."""
    publisher = site.opened()
    site.put(OLD, NEW, B, OTHER_B, C, THEIRS)
    papers = [
        SetDocument(type="group", data=COMPS),
        read("m.modules.yaml", stream("1", "a-0:1.0-1.noarch")),
        read("x.toml", advisory("LAB-1", "a-1.0-1.noarch", "b-1.0-1.noarch")),
    ]
    changes = [
        Change(entries=[OLD.entry, B.entry]),
        Change(edits=papers),
        Change(entries=[NEW.entry, C.entry], removed=[OLD.nevra]),
        Change(edits=[SetDocument(type="group", data=None)]),
        Change(entries=[OTHER_B.entry]),
    ]
    for change in changes:
        site.clock.now += 10
        publisher.publish(change, actor="test", why="test", replace=True)


@pytest.fixture
def place() -> Iterator[tuple[Site, Path]]:
    with shop() as found:
        yield found


def texts(generation: Generation) -> dict[str, str]:
    """The checksum of each plain document."""
    return {document.type: document.open_checksum for document in generation.documents}


def record(site: Site, number: int) -> Generation:
    return next(generation for generation in site.generations if generation.number == number)


@pytest.mark.parametrize("number", range(1, LAST))
def test_every_document_is_again_what_it_was(place: tuple[Site, Path], number: int) -> None:
    site, copies = place
    plan, generation = rolling(site, copies).run(number, actor="anna", why="it broke")
    assert generation.number == LAST + 1
    assert texts(generation) == texts(record(site, number))
    assert (generation.actor, generation.why) == ("anna", f"rolled back to generation {number}: it broke")
    assert {one.href: one.pkgid for one in plan.after} == site.listed
    site.assert_settled()
    assert list(copies.iterdir()) == []


def test_there_and_back_again_gives_every_document_as_it_was(place: tuple[Site, Path]) -> None:
    site, copies = place
    rolling(site, copies).run(3, actor="anna", why="")
    _, generation = rolling(site, copies).run(LAST, actor="anna", why="")
    assert texts(generation) == texts(record(site, LAST))
    assert site.listed == seen(NEW, OTHER_B, C)


def test_documents_that_are_lost_are_made_from_the_packages_as_they_were(place: tuple[Site, Path]) -> None:
    site, copies = place
    then = record(site, 3)
    for path, document in then.stored.items():
        if document.type in {"filelists", "other"} and path not in record(site, LAST).stored:
            site.inner.remove(path)
    _, generation = rolling(site, copies, FaultyStore(site.inner)).run(3, actor="anna", why="")
    assert texts(generation) == texts(then)


def test_what_is_there_already_makes_no_generation(place: tuple[Site, Path]) -> None:
    site, copies = place
    before = site.dump()
    plan, generation = rolling(site, copies).run(LAST, actor="anna", why="")
    assert (bool(plan), generation.number) == (False, LAST)
    rolling(site, copies).plan(2)
    assert site.dump() == before


def test_how_a_build_first_came_is_still_known_when_it_comes_back(tmp_path: Path) -> None:
    with site_in(tmp_path / "site") as site:
        publisher = site.opened()
        site.put(OLD, B)
        publisher.publish(Change(entries=[replace(OLD.entry, origin=ARRIVED), B.entry]), actor="inbox", why="")
        publisher.publish(Change(removed=[OLD.nevra, B.nevra]), actor="anna", why="")
        _, generation = rolling(site, tmp_path / "copies").run(2, actor="anna", why="")
        assert generation.origins == (ARRIVED, Origin(how="rollback", of="2"))
        came = comings(site.generations)[OLD.package.pkgid]
        assert (came.generation, came.actor, came.origin) == (2, "inbox", ARRIVED)


def test_how_a_build_came_is_known_from_the_ledger_where_its_record_is_pruned(tmp_path: Path) -> None:
    with site_in(tmp_path / "site") as site:
        publisher = site.opened()
        site.put(OLD, B)
        publisher.publish(Change(entries=[replace(OLD.entry, origin=ARRIVED)]), actor="inbox", why="")
        publisher.publish(Change(entries=[B.entry]), actor="inbox", why="")
        publisher.publish(Change(removed=[OLD.nevra]), actor="anna", why="")
        Ledger(site.inner, site.pause).fold([record(site, 2)])
        for number in (1, 2):
            site.inner.remove(record_path(number))
        _, generation = rolling(site, tmp_path / "copies").run(3, actor="anna", why="")
        assert generation.origins == (ARRIVED,)


def test_it_is_refused_with_every_file_that_prune_or_anybody_took_or_changed(place: tuple[Site, Path]) -> None:
    site, copies = place
    site.inner.remove(OLD.package.href)
    site.inner.write(B.package.href, b"shorter", Expect.ANY)
    for path, document in record(site, 4).stored.items():
        if document.type == "group":
            site.inner.remove(path)
            site.inner.remove(store_path(path.replace("/4/", "/3/")))
    before = site.dump()
    for act in (lambda back: back.plan(3), lambda back: back.run(3, actor="anna", why="")):
        with pytest.raises(Refused) as error:
            act(rolling(site, copies))
        head, *lines = str(error.value).splitlines()
        assert head.startswith("generation 3 cannot come back, since of its files 3 are gone or altered")
        assert lines[0] == "Packages/a/a-1.0-1.noarch.rpm: a-1.0-1.noarch is not there any more"
        assert lines[1] == f"Packages/b/b-1.0-1.noarch.rpm: b-1.0-1.noarch: expected {B.package.size} bytes, found 7"
        assert lines[2].startswith("group: generations/3/")
    assert site.dump() == before


def test_a_file_of_the_right_size_with_other_bytes_is_never_listed_again(place: tuple[Site, Path]) -> None:
    site, copies = place
    site.inner.write(OLD.package.href, bytes(OLD.package.size), Expect.ANY)
    before = site.dump()
    with pytest.raises(Refused, match=r"a-1\.0-1\.noarch is altered"):
        rolling(site, copies, FaultyStore(site.inner)).run(3, actor="anna", why="")
    assert site.dump() == before


def test_a_file_that_goes_after_the_plan_was_made_is_missed_before_anything_is_published(
    place: tuple[Site, Path],
) -> None:
    site, copies = place

    def take(step: Step) -> None:
        if step.name == "copy" and step.moment == "before":
            site.inner.remove(OLD.package.href)

    back = rolling(site, copies, FaultyStore(site.inner, take))
    with pytest.raises(Refused, match="not there any more"):
        back.run(3, actor="anna", why="")
    assert len(site.generations) == LAST


def test_what_comes_back_counts_as_stored_now_so_that_no_prune_takes_it(place: tuple[Site, Path]) -> None:
    site, copies = place
    site.clock.now += 1000
    rolling(site, copies).run(3, actor="anna", why="")
    modified = {stored.path: stored.modified for stored in site.inner.list("Packages/")}
    assert modified[OLD.package.href] == modified[B.package.href] == site.clock.now
    assert modified[C.package.href] < site.clock.now


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2, "generation 2 is not kept any more; the oldest that is kept is 3"),
        (0, "there is no generation 0; the current one is 6, the oldest that is kept 3"),
        (7, "there is no generation 7; the current one is 6, the oldest that is kept 3"),
    ],
)
def test_a_generation_that_is_not_there_is_refused_with_those_there_are(
    place: tuple[Site, Path], number: int, text: str
) -> None:
    site, copies = place
    for gone in (1, 2):
        site.inner.remove(record_path(gone))
    with pytest.raises(Refused) as error:
        rolling(site, copies).plan(number)
    assert str(error.value) == text


def test_without_a_number_it_is_the_last_change_and_never_twice_by_accident(place: tuple[Site, Path]) -> None:
    site, copies = place
    plan, _ = rolling(site, copies).run(None, actor="anna", why="")
    assert plan.to.number == 5
    with pytest.raises(Refused, match="7, by anna, lists again what generation 5 did: it went back or forth already"):
        rolling(site, copies).plan(None)


def test_without_a_number_what_retention_did_is_not_the_last_change(place: tuple[Site, Path]) -> None:
    site, copies = place
    site.opened().publish(Change(removed=[C.nevra]), actor="retention", why="")
    assert rolling(site, copies).plan(None).to.number == 5


def test_what_is_pinned_and_goes_is_told(place: tuple[Site, Path]) -> None:
    site, copies = place
    book = Ledger(site.inner, site.pause)
    for build in (NEW, OLD):
        book.pin(build.package, Mark(time=1.0, actor="anna", why=""))
    plan, _ = rolling(site, copies).run(3, actor="anna", why="")
    assert list(plan.pinned) == [NEW.nevra]


def test_an_empty_repository_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    with site_in(tmp_path / "site") as site:
        with pytest.raises(Refused, match="nothing was ever published"):
            rolling(site, tmp_path / "copies").plan(None)
        site.opened()
        with pytest.raises(Refused, match="no generation is kept that lists something else than 1"):
            rolling(site, tmp_path / "copies").plan(None)


def test_beside_another_writer_the_result_is_what_was_asked_for_at_every_step() -> None:
    results = set[bool]()
    for number in itertools.count(1):
        with shop() as (site, copies):
            theirs, store = site.opened(), site.store()
            mine = rolling(site, copies, store)
            site.plan(store, at(number, "before", lambda site=site, theirs=theirs: site.publish(theirs, THEIRS)))
            _, generation = mine.run(3, actor="anna", why="")
            if len(store.steps) < number:
                break
            after = THEIRS.package in site.generations[0].added
            results.add(after)
            # Whoever came last: a build that came first was not listed at 3, one that came after stays.
            assert texts(generation) == texts(record(site, 3)), store.steps[number - 1]
            assert site.listed == seen(OLD, B, *([THEIRS] if after else [])), store.steps[number - 1]
            site.assert_settled()
    assert results == {True, False}


def test_writers_that_never_rest_make_it_give_up_and_change_nothing(place: tuple[Site, Path]) -> None:
    site, copies = place
    store, theirs, numbers = site.store(), site.opened(), itertools.count()
    back = rolling(site, copies, store)

    def publish(step: Step) -> None:
        if step.name == "copy" and step.moment == "after" and step.path == OLD.package.href:
            site.publish(theirs, made(f"t{next(numbers)}-1-1.noarch"))

    site.plan(store, publish)
    with pytest.raises(Conflict, match="10 times meanwhile"):
        back.run(3, actor="anna", why="")
    assert {generation.actor for generation in site.generations} == {"test"}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_crash_at_any_step_the_same_command_ends_it_and_nothing_is_done_twice(moment: Moment) -> None:
    for number in itertools.count(1):
        with shop() as (site, copies):
            store = site.store()
            back = rolling(site, copies, store)
            site.plan(store, at(number, moment, raising(Crash())))
            with contextlib.suppress(Crash):
                back.run(3, actor="anna", why="")
                if len(store.steps) < number:
                    break
            _, generation = rolling(site, copies).run(3, actor="anna", why="")
            assert generation.number == LAST + 1, number
            assert texts(generation) == texts(record(site, 3)), number
            assert site.listed == seen(OLD, B), number
            site.publish(site.opened(), THEIRS)
            assert site.listed == seen(OLD, B, THEIRS), number
            site.assert_settled()
    assert number > 20


def test_after_an_error_at_any_step_the_same_process_can_try_again() -> None:
    for number in itertools.count(1):
        with shop() as (site, copies):
            store = site.store()
            back = rolling(site, copies, store)
            site.plan(store, at(number, "before", raising(RepodError("disk full"))))
            with contextlib.suppress(RepodError):
                back.run(3, actor="anna", why="")
                if len(store.steps) < number:
                    break
            site.plan(store)
            back.run(3, actor="anna", why="")
            assert site.listed == seen(OLD, B), number
            site.assert_settled()
