"""The catalog follows the generations: by their records where that leads there, else read whole."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from repod.catalog.sqlite import SqliteCatalog
from repod.cataloguing import Cataloguing
from repod.doors import Change
from repod.errors import NotFound, Unavailable
from repod.generation import Generation, record_path
from repod.history import History
from repod.ledger import Ledger
from repod.listings import Listed
from repod.office import Row, Search
from repod.package import Entry, Package, store_path
from repod.repodata.summaries import StoredSummaries
from tests.lab.entries import Made, made, many
from tests.lab.faulty import FaultyStore
from tests.lab.site import Site
from tests.lab.site import site as site_in


class Desk:
    """A site and one process that keeps a catalog of it."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.known: dict[str, Made] = {}
        self.heads: list[str] = []
        self.store = FaultyStore(site.inner)
        self.folder = folder
        self.catalog = SqliteCatalog(folder / "r.sqlite")
        self.stopping = False
        self.step = self.opened(self.catalog)
        self.publisher = site.opened(FaultyStore(site.inner))  # other tests look at it after every write

    def opened(self, catalog: SqliteCatalog) -> Cataloguing:
        return Cataloguing(
            book=catalog,
            history=History(self.store),
            ledger=Ledger(self.store, self.site.pause),
            listings=StoredSummaries(self.store, self.describe),
            stopping=lambda: self.stopping,
        )

    def describe(self, package: Package) -> Entry:
        self.heads.append(str(package.nevra))
        self.store.read(package.href)
        return self.known[package.pkgid].entry

    def publish(self, *packages: Made, removed: Sequence[Made] = ()) -> Generation:
        self.known |= {one.package.pkgid: one for one in packages}
        self.site.put(*packages)
        self.site.clock.now += 10
        change = Change(entries=[one.entry for one in packages], removed=[one.nevra for one in removed])
        return self.publisher.publish(change, actor="test", why="test", replace=True)

    def follow(self) -> None:
        """Catch up; forget what was asked of the store before."""
        self.store.steps.clear()
        self.heads.clear()
        self.step.follow(self.site.generations[0])

    @property
    def read_whole(self) -> bool:
        """Whether documents were read since ``follow``."""
        return any("primary" in step.path for step in self.store.steps)

    def rows(self, catalog: SqliteCatalog | None = None) -> Sequence[Row]:
        return (catalog or self.catalog).search(Search(limit=1000)).rows

    def fresh(self) -> Sequence[Row]:
        """What a catalog says that is made now."""
        catalog = SqliteCatalog(self.folder / f"fresh-{random.random()}.sqlite")
        self.opened(catalog).follow(self.site.generations[0])
        return self.rows(catalog)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with site_in(tmp_path / "site") as site:
        yield Desk(site, tmp_path / "catalog")


A, B, C = (made(f"{name}-1.0-1.noarch") for name in "abc")


def test_what_documents_say_of_packages_is_what_is_listed_whatever_they_hold(desk: Desk) -> None:
    packages = many(150, seed=3)
    desk.publish(*packages)
    desk.follow()
    said = {
        (str(one.nevra), one.described.summary or "", one.package.pkgid, one.package.href, one.package.size)
        for one in packages
    }
    assert {(row.package, row.summary, row.sha256, row.path, row.size) for row in desk.rows()} == said


def test_an_entry_is_read_the_same_from_documents_and_from_the_head_of_its_package(desk: Desk) -> None:
    packages = many(60, seed=4)
    generation = desk.publish(*packages)
    listings = StoredSummaries(desk.store, desk.describe)
    from_documents: list[Listed] = [one for batch in listings.listed(generation) for one in batch]
    assert from_documents == [listings.one(one.package) for one in from_documents]


def test_a_few_new_builds_are_read_from_their_own_heads_and_no_document_is(desk: Desk) -> None:
    desk.publish(*many(100))
    desk.follow()
    assert desk.read_whole
    desk.publish(A, B)
    desk.follow()
    assert (desk.read_whole, sorted(desk.heads)) == (False, [str(A.nevra), str(B.nevra)])
    desk.publish(C, removed=[A])
    desk.follow()
    assert (desk.read_whole, desk.heads) == (False, [str(C.nevra)])
    assert desk.rows() == desk.fresh()


def test_several_generations_behind_only_what_is_listed_in_the_end_is_read(desk: Desk) -> None:
    desk.publish(A)
    desk.follow()
    desk.publish(B)
    desk.publish(C, removed=[B])
    desk.publish(removed=[A])
    desk.publish(A)
    desk.site.inner.remove(B.package.href)
    desk.follow()
    assert not desk.read_whole
    assert sorted(desk.heads) == [str(A.nevra), str(C.nevra)]
    assert {row.package for row in desk.rows()} == {str(A.nevra), str(C.nevra)}
    assert desk.rows() == desk.fresh()


@pytest.mark.parametrize("seed", range(4))
def test_however_it_got_there_a_catalog_says_what_a_new_one_says(desk: Desk, seed: int) -> None:
    dice, pool = random.Random(seed), many(40, seed=seed)
    listed: dict[str, Made] = {}
    for _ in range(12):
        come = [one for one in pool if str(one.nevra) not in listed and dice.random() < 0.2]
        go = [one for one in listed.values() if dice.random() < 0.15]
        desk.publish(*come, removed=go)
        listed |= {str(one.nevra): one for one in come}
        for one in go:
            del listed[str(one.nevra)]
        if dice.random() < 0.6:
            desk.follow()
    desk.follow()
    assert {row.package for row in desk.rows()} == set(listed)
    assert desk.rows() == desk.fresh()


def test_a_build_came_with_the_generation_that_listed_it_first_though_it_left_and_came_back(desk: Desk) -> None:
    first = desk.publish(A)
    desk.publish(B, removed=[A])
    desk.follow()
    desk.publish(A)
    desk.follow()
    (row,) = [row for row in desk.rows() if row.package == str(A.nevra)]
    assert row.generation == first.number
    assert desk.rows() == desk.fresh()


def test_a_build_whose_record_is_pruned_came_when_the_ledger_says(desk: Desk) -> None:
    first = desk.publish(A)
    desk.publish(B)
    Ledger(desk.site.inner, desk.site.pause).fold([first])
    desk.site.inner.remove(record_path(first.number))
    desk.follow()
    assert {row.package: row.generation for row in desk.rows()} == {str(A.nevra): 2, str(B.nevra): 3}


def test_a_build_of_which_nothing_is_known_any_more_is_listed_without_a_generation(desk: Desk) -> None:
    first = desk.publish(A)
    desk.publish(B)
    desk.site.inner.remove(record_path(first.number))
    desk.follow()
    assert [(row.package, row.generation, row.since is None) for row in desk.rows()] == [
        (str(B.nevra), 3, False),
        (str(A.nevra), None, True),
    ]


def test_another_build_of_the_same_nevra_takes_its_place(desk: Desk) -> None:
    other = made(A.nevra, "another build", store_path("Packages/a/other/a-1.0-1.noarch.rpm"))
    desk.publish(A)
    desk.follow()
    desk.publish(other)
    desk.follow()
    assert not desk.read_whole
    assert [row.sha256 for row in desk.rows()] == [other.package.pkgid]


@pytest.mark.parametrize("gone", ["record", "head"])
def test_where_the_records_do_not_lead_there_everything_is_read(desk: Desk, gone: str) -> None:
    desk.publish(A)
    desk.follow()
    between = desk.publish(B)
    desk.publish(C)
    desk.site.inner.remove(record_path(between.number) if gone == "record" else B.package.href)
    desk.follow()
    assert desk.read_whole
    assert {row.package for row in desk.rows()} == {str(one.nevra) for one in (A, B, C)}


def test_what_is_far_behind_is_read_whole(desk: Desk) -> None:
    desk.publish(A)
    desk.follow()
    for number in range(65):
        desk.publish(made(f"d-1-{number}.noarch"))
    desk.follow()
    assert desk.read_whole
    assert len(desk.rows()) == 66


def test_many_builds_at_once_are_read_from_the_documents(desk: Desk) -> None:
    desk.publish(A)
    desk.follow()
    desk.publish(*many(60))
    desk.follow()
    assert (desk.read_whole, desk.heads) == (True, [])
    assert len(desk.rows()) == 61


def test_a_store_that_was_put_back_with_another_history_is_read_whole(desk: Desk, tmp_path: Path) -> None:
    desk.publish(A)
    desk.publish(B)
    desk.follow()
    with site_in(tmp_path / "other") as other:
        again = Desk(other, tmp_path / "catalog")
        again.publish(C)
        again.follow()
        assert [row.package for row in again.rows()] == [str(C.nevra)]
        again.publish(A)
        again.follow()
        assert not again.read_whole
        assert {row.package for row in again.rows()} == {str(A.nevra), str(C.nevra)}


def test_a_catalog_that_another_process_brought_further_is_left_alone(desk: Desk) -> None:
    older = desk.publish(A)
    desk.publish(B)
    desk.follow()
    desk.store.steps.clear()
    desk.opened(SqliteCatalog(desk.folder / "r.sqlite")).follow(older)
    assert not desk.read_whole
    assert len(desk.rows()) == 2


def test_a_catalog_that_was_lost_says_so_when_it_is_asked_and_is_read_again(desk: Desk) -> None:
    desk.publish(A)
    desk.follow()
    assert not desk.step.lost
    for path in desk.folder.iterdir():
        path.unlink()
    with pytest.raises(Unavailable):
        desk.rows()
    assert desk.step.lost
    desk.follow()
    assert not desk.step.lost
    assert [row.package for row in desk.rows()] == [str(A.nevra)]


def test_reading_everything_is_given_up_when_the_daemon_stops(desk: Desk) -> None:
    desk.publish(*many(20))
    desk.stopping = True
    with pytest.raises(Unavailable, match="repod ends"):
        desk.follow()
    desk.stopping = False
    desk.follow()
    assert len(desk.rows()) == 20


def test_a_document_that_is_missing_is_an_error_and_what_was_listed_stays(desk: Desk) -> None:
    desk.publish(A)
    desk.follow()
    generation = desk.publish(*many(60))
    desk.site.inner.remove(generation.documents[0].href)
    with pytest.raises(NotFound):
        desk.follow()
    assert [row.package for row in desk.rows()] == [str(A.nevra)]
