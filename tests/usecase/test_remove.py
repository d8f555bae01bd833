"""Builds leave the metadata: all of them or none, beside other writers and through crashes."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from repod.errors import NotFound, Refused
from repod.ledger import Ledger, Mark
from repod.remove import Removing
from tests.lab.entries import made
from tests.lab.faulty import Crash, FaultyStore, Moment, at, raising
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

ONE, TWO, TEN = (made(f"hello-1.0-{release}.noarch") for release in ("1", "2", "10"))
OTHER, THEIRS = made("other-1-1.noarch"), made("hello-1.0-20.noarch")
MARK = Mark(time=1.0, actor="anna", why="audit")


@contextlib.contextmanager
def shop() -> Iterator[Site]:
    with TemporaryDirectory() as folder, site_in(Path(folder)) as site:
        site.publish(site.opened(), ONE, TWO, TEN, OTHER)
        yield site


@pytest.fixture
def site() -> Iterator[Site]:
    with shop() as found:
        yield found


def removing(site: Site, store: FaultyStore | None = None) -> Removing:
    store = store or site.store()
    repodata = site.repodata(store)
    return Removing(
        repository="prod",
        repodata=repodata,
        publisher=site.publisher(store, repodata=repodata),
        ledger=Ledger(store, site.pause),
        pause=site.pause,
    )


def test_builds_go_from_the_metadata_and_their_files_stay(site: Site) -> None:
    plan, generation = removing(site).run(["hello-1.0-1.noarch", "*-2.noarch"], actor="anna", why="broken")
    assert site.listed == seen(TEN, OTHER)
    assert (generation.actor, generation.why) == ("anna", "2 packages removed: broken")
    assert list(generation.removed) == [ONE.package, TWO.package] == list(plan.gone)
    assert site.inner.read(ONE.package.href).data == ONE.file
    site.assert_settled()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hello-1.0-1.noarch"], []),
        (["hello-1.0-10.noarch"], [(TEN, TWO)]),
        (["hello-1.0-10.noarch", "hello-1.0-2.noarch"], [(TEN, ONE)]),
        (["other-*"], [(OTHER, None)]),
    ],
)
def test_the_plan_tells_where_hosts_have_what_went_and_what_is_next(
    site: Site, words: list[str], expected: list
) -> None:
    steps = removing(site).plan(words).seen
    assert [(step.before, step.after) for step in steps] == [
        (before.package, after and after.package) for before, after in expected
    ]
    assert len(site.generations) == 2


def test_nothing_goes_where_one_word_means_nothing_or_one_build_is_pinned(site: Site) -> None:
    Ledger(site.inner, site.pause).pin(TWO.package, MARK)
    for words, error, says in (
        (["hello-1.0-1.noarch", "hello-1.0-3.noarch"], NotFound, "of that name there are: hello-1.0-10.noarch"),
        (["hello-*"], Refused, "hello-1.0-2.noarch is pinned by anna: audit; first: repod unpin prod hello-1.0-2"),
    ):
        with pytest.raises(error, match=says):
            removing(site).run(words, actor="anna", why="")
    assert site.listed == seen(ONE, TWO, TEN, OTHER)


def test_a_pin_is_of_these_bytes_only(site: Site) -> None:
    Ledger(site.inner, site.pause).pin(made(TWO.nevra, "another build").package, MARK)
    removing(site).run([str(TWO.nevra)], actor="anna", why="")
    assert site.listed == seen(ONE, TEN, OTHER)


def test_where_nothing_was_published_there_is_nothing_to_remove(tmp_path: Path) -> None:
    with site_in(tmp_path) as site, pytest.raises(Refused, match="nothing was ever published in prod"):
        removing(site).run(["*"], actor="anna", why="")


def test_a_pattern_takes_what_it_meant_when_it_was_given_whatever_comes_meanwhile() -> None:
    for number in itertools.count(1):
        with shop() as site:
            theirs, store = site.opened(), site.store()
            mine = removing(site, store)
            site.plan(store, at(number, "before", lambda site=site, theirs=theirs: site.publish(theirs, THEIRS)))
            plan, _ = mine.run(["hello-*"], actor="anna", why="")
            if len(store.steps) < number:
                break
            meant = THEIRS.package in plan.gone
            assert site.listed == seen(OTHER, *([] if meant else [THEIRS])), store.steps[number - 1]
            site.assert_settled()
    assert number > 12


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_crash_at_any_step_the_build_is_listed_or_not_and_the_same_command_ends_it(moment: Moment) -> None:
    for number in itertools.count(1):
        with shop() as site:
            store = site.store()
            mine = removing(site, store)
            site.plan(store, at(number, moment, raising(Crash())))
            with contextlib.suppress(Crash):
                mine.run([str(TEN.nevra)], actor="anna", why="")
                if len(store.steps) < number:
                    break
            assert site.listed in (seen(ONE, TWO, TEN, OTHER), seen(ONE, TWO, OTHER)), number
            with contextlib.suppress(NotFound):
                removing(site).run([str(TEN.nevra)], actor="anna", why="")
            assert site.listed == seen(ONE, TWO, OTHER), number
            assert len(site.generations) == 3, number
            site.assert_settled()
    assert number > 12
