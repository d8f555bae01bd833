"""The front page follows the generations, whoever writes it, and is never moved back nor written in vain."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from repod.doors import Expect
from repod.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from repod.fronting import Fronting
from repod.generation import Generation
from repod.office import Details, Named, Names, Page, Row, Search
from repod.package import Nevra
from repod.publish import Publisher
from repod.welcome import PAGE, Place, Welcome, mark
from tests.lab.entries import made
from tests.lab.faulty import FaultyStore, Step, at, raising
from tests.lab.site import Site
from tests.lab.site import site as site_in

PLACE = Place(
    repository="test",
    url="http://repod.test/repo/",
    hosts="hosts",
    config="test.repo",
    repo="[test]\n",
    key="RPM-GPG-KEY-test",
    fingerprints=["AB" * 20],
)
THEIRS = b"<!DOCTYPE html><title>ours, by hand</title>"


class Shown:
    """A catalog that lists what the generation does that it is asked of; ``behind``: by how many generations."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.behind = 0

    def names(self, limit: int) -> Names:
        current = self.site.generations[0]
        row = Row(package="p", name="p", evr="1-1", arch="noarch", size=1, sha256="0" * 64, path="Packages/p/p.rpm")
        return Names(
            rows=[Named(newest=row, builds=1, arches=["noarch"])][:limit],
            total=1,
            packages=current.packages,
            generation=current.number - self.behind,
        )

    def search(self, search: Search) -> Page:
        raise NotImplementedError

    def builds_of(self, name: str) -> Sequence[Row]:
        raise NotImplementedError

    def arches(self) -> Mapping[str, int]:
        raise NotImplementedError

    def details(self, nevra: Nevra) -> Details:
        raise NotImplementedError


class Desk:
    """A site with a publisher, and daemons that write its page."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.publisher: Publisher = site.opened(FaultyStore(site.inner))
        self.catalog = Shown(site)
        self.told: list[str] = []
        self.rendered = 0
        self.store = FaultyStore(site.inner)

    def daemon(self, store: FaultyStore | None = None, place: Place = PLACE, looks: str = "1") -> Fronting:
        return Fronting(
            store=store or self.store,
            catalog=self.catalog,
            place=place,
            looks=looks,
            render=self.render,
            tell=self.told.append,
        )

    def render(self, welcome: Welcome) -> bytes:
        self.rendered += 1
        return f'<meta name="repod" content="{welcome.mark}">{welcome.names.packages} {welcome.place.url}'.encode()

    def publish(self) -> Generation:
        number = self.site.generations[0].number
        return self.site.publish(self.publisher, made(f"hello-1.0-{number}.noarch"))

    def put(self, data: bytes) -> None:
        self.site.inner.write(PAGE, data, Expect.ANY)

    @property
    def page(self) -> bytes:
        return self.site.inner.read(PAGE).data

    @property
    def at(self) -> int:
        """The generation that the page is of."""
        found = mark(self.page)
        assert found
        return found.generation

    @property
    def steps(self) -> Sequence[str]:
        """What was asked of the store about the page, since ``store.steps`` was cleared."""
        return [step.name for step in self.store.steps if step.path == PAGE]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with site_in(tmp_path) as site:
        yield Desk(site)


def test_the_page_is_written_and_follows_the_generations(desk: Desk) -> None:
    front = desk.daemon()
    front.follow(desk.publish())
    assert (desk.at, desk.page.endswith(b">1 http://repod.test/repo/")) == (2, True)
    front.follow(desk.publish())
    assert desk.at == 3


def test_a_page_that_is_right_is_neither_made_nor_written_again(desk: Desk) -> None:
    generation = desk.publish()
    desk.daemon().follow(generation)
    desk.rendered = 0
    desk.store.steps.clear()
    desk.daemon().follow(generation)
    assert (desk.rendered, desk.steps) == (0, ["read"])


def test_who_wrote_the_page_need_not_read_it_to_write_the_next(desk: Desk) -> None:
    front = desk.daemon()
    front.follow(desk.publish())
    desk.store.steps.clear()
    front.follow(desk.publish())
    assert desk.steps == ["write"]


@pytest.mark.parametrize(
    "change",
    [
        {"place": replace(PLACE, url="http://other.test/")},
        {"place": replace(PLACE, fingerprints=["CD" * 20])},
        {"looks": "2"},
    ],
    ids=["another URL", "another key", "another template"],
)
def test_a_page_of_other_settings_or_of_another_template_is_written_again(
    desk: Desk, change: dict[str, object]
) -> None:
    generation = desk.publish()
    desk.daemon().follow(generation)
    before = desk.page
    desk.daemon(**change).follow(generation)  # type: ignore[arg-type]
    assert desk.page != before


def test_a_daemon_that_is_behind_does_not_move_the_page_back(desk: Desk) -> None:
    late, older = desk.daemon(), desk.publish()
    desk.daemon().follow(desk.publish())
    late.follow(older)
    assert desk.at == 3
    assert desk.rendered == 1


def test_a_daemon_that_was_overtaken_while_it_wrote_leaves_the_newer_page(desk: Desk) -> None:
    older = desk.publish()
    newer = desk.publish()
    desk.catalog.behind = 1  # as the one that is behind sees it
    slow = FaultyStore(desk.site.inner)

    def overtake(step: Step) -> None:
        if (step.name, step.path, step.moment) == ("write", PAGE, "before"):
            slow.plan = lambda _: None
            desk.catalog.behind = 0
            desk.daemon().follow(newer)

    slow.plan = overtake
    desk.daemon(slow).follow(older)
    assert desk.at == 3


def test_a_page_of_a_generation_that_there_is_not_is_that_of_another_history(desk: Desk) -> None:
    desk.put(b'<meta name="repod" content="generation=99 state=' + b"0" * 64 + b'">')
    desk.daemon().follow(desk.publish())
    assert desk.at == 2


def test_a_page_that_somebody_else_put_there_stays_and_is_told_of(desk: Desk) -> None:
    desk.put(THEIRS)
    front = desk.daemon()
    front.follow(desk.publish())
    assert desk.page == THEIRS
    assert desk.told == ["index.html is not repod's, and stays as it is; remove it to get a front page"]
    desk.site.inner.remove(PAGE)
    front.follow(desk.publish())
    assert desk.at == 3


def test_somebody_elses_page_that_came_after_ours_stays_too(desk: Desk) -> None:
    front = desk.daemon()
    front.follow(desk.publish())
    desk.put(THEIRS)
    front.follow(desk.publish())
    assert desk.page == THEIRS


def test_a_page_that_was_removed_is_there_again_with_the_next_generation(desk: Desk) -> None:
    front = desk.daemon()
    front.follow(desk.publish())
    desk.site.inner.remove(PAGE)
    front.follow(desk.publish())
    assert desk.at == 3


def test_a_write_of_which_nobody_knows_whether_it_happened_is_looked_at_again(desk: Desk) -> None:
    generation = desk.publish()
    store = FaultyStore(desk.site.inner, at(2, "after", raising(OutcomeUnknown("no answer"))))
    desk.daemon(store).follow(generation)
    assert desk.at == 2
    assert [step.name for step in store.steps if step.path == PAGE] == ["read", "write", "read"]


def test_a_store_in_which_every_write_loses_is_given_up_and_tried_again_later(desk: Desk) -> None:
    generation = desk.publish()

    def lose(step: Step) -> None:
        if step.name == "write":
            raise Conflict("another was faster")

    with pytest.raises(Unavailable, match=r"index\.html was written by others 10 times meanwhile"):
        desk.daemon(FaultyStore(desk.site.inner, lose)).follow(generation)
    with pytest.raises(NotFound):
        desk.site.inner.read(PAGE)


def test_without_the_list_of_that_generation_there_is_no_page_yet(desk: Desk) -> None:
    generation = desk.publish()
    desk.catalog.behind = 1
    with pytest.raises(Unavailable, match="the list of packages is that of generation 1, expected 2"):
        desk.daemon().follow(generation)
