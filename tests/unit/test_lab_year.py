"""The simulated year is no judge that sees nothing: what it must notice, it notices."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from repod.doors import Change
from repod.generation import record_path
from repod.package import Nevra, StorePath
from tests.lab.entries import made
from tests.lab.faulty import FaultyStore
from tests.lab.site import Site
from tests.lab.site import site as site_in
from tests.lab.year.promise import Facts, promised
from tests.lab.year.repository import UNDER_WAY, Intent, Repository

nevra = functools.cache(Nevra.parse)


def listed(*texts: str, requires: tuple[str, ...] = ()) -> dict[Nevra, Facts]:
    """Builds, each of a source of its own: ``NEVRA`` or ``NEVRA SOURCE``."""
    rows = [text.partition(" ") for text in texts]
    return {nevra(text): Facts(source=source or text, requires=requires) for text, _, source in rows}


@pytest.mark.parametrize(
    ("builds", "needed", "staying"),
    [
        (["a-1-9.noarch", "a-1-10.noarch", "a-1~rc1-11.noarch"], [], ["a-1-10.noarch", "a-1-9.noarch"]),
        (["a-1:1-1.noarch", "a-2-1.noarch", "a-3-1.noarch"], [], ["a-1:1-1.noarch", "a-3-1.noarch"]),
        (["a-1-1.noarch", "a-1-2.x86_64", "a-1-3.noarch"], [], ["a-1-2.x86_64", "a-1-3.noarch"]),
        (
            ["a-1-1.noarch", "a-1-2.noarch", "a-1-3.noarch"],
            ["a-1-1.noarch"],
            ["a-1-1.noarch", "a-1-2.noarch", "a-1-3.noarch"],
        ),
        (
            ["a-1-1.x86_64 s1", "a-1-2.x86_64 s2", "a-1-3.x86_64 s3", "a-debuginfo-1-1.x86_64 s1"],
            [],
            ["a-1-2.x86_64", "a-1-3.x86_64"],
        ),
        (["a-debuginfo-1-1.x86_64 s1"], [], ["a-debuginfo-1-1.x86_64"]),
    ],
)
def test_the_oracle_promises_what_the_issue_says(builds: list[str], needed: list[str], staying: list[str]) -> None:
    assert promised(listed(*builds), 2, map(nevra, needed)) == set(map(nevra, staying))


def test_the_oracle_promises_what_a_build_that_stays_requires() -> None:
    there = listed("a-1-1.x86_64", "a-1-2.x86_64", requires=("b",)) | listed(
        "b-1-1.x86_64", "b-1-2.x86_64", "b-1-3.x86_64"
    )
    assert promised(there, 1, []) == {nevra("a-1-2.x86_64"), nevra("b-1-2.x86_64"), nevra("b-1-3.x86_64")}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as site:
        yield site


def test_the_watch_stops_a_change_that_takes_away_what_was_promised_or_what_nobody_meant(site: Site) -> None:
    repository = Repository("r", site.inner, site.clock, keep=5, generations=1, grace=60)
    store = FaultyStore(site.inner, repository.plan)
    publisher = site.opened(store)
    one = made("one-1-1.noarch")
    repository.intent = Intent(added=[one.package.pkgid])
    site.publish(publisher, one)
    repository.look()
    with pytest.raises(AssertionError, match="is removed and listed"):
        store.remove(one.package.href)
    with pytest.raises(AssertionError, match="generation 1 needs it, 1 is the oldest kept"):
        store.remove(record_path(1))
    with pytest.raises(AssertionError, match="mirrorlist is removed"):
        store.remove(StorePath("mirrorlist"))
    with pytest.raises(AssertionError, match=r"generation 3 adds \['two-1-1.noarch'\]"):
        site.publish(publisher, made("two-1-1.noarch"))


def test_the_watch_stops_a_generation_that_loses_a_build(site: Site) -> None:
    repository = Repository("r", site.inner, site.clock, keep=5, generations=1, grace=60)
    publisher = site.opened(FaultyStore(site.inner, repository.plan))
    one = made("one-1-1.noarch")
    repository.intent = Intent(added=[one.package.pkgid])
    site.publish(publisher, one)
    with pytest.raises(AssertionError, match=r"generation 3 loses \['one-1-1.noarch'\]"):
        publisher.publish(Change(removed=[one.nevra]), actor="test", why="test")


def test_what_outlives_a_prune_is_noticed(site: Site) -> None:
    repository = Repository("r", site.inner, site.clock, keep=5, generations=1, grace=60)
    site.opened(FaultyStore(site.inner, repository.plan))
    site.put(made("stray-1-1.noarch"))
    repository.pruned(1, [])
    assert repository.bytes.young > 0
    site.clock.now += 2 * UNDER_WAY
    with pytest.raises(AssertionError, match=r"stray-1-1\.noarch\.rpm outlived a prune"):
        repository.pruned(1, [])
    with pytest.raises(AssertionError, match="still listed"):
        repository.pruned(1, [nevra("one-1-1.noarch")])
