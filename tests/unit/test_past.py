"""What is known of builds over time, from chains of records and the ledger."""

import itertools
import random

from repod.ledger import Coming, Known
from repod.package import Nevra, Origin, Package, Sha256, StorePath
from repod.past import Build, Past, listings, way
from tests.lab.records import record

NEVRA = Nevra.parse("hello-1.0-1.noarch")


def package(digit: str = "1", href: str = "") -> Package:
    return Package(nevra=NEVRA, pkgid=Sha256(digit * 64), size=1, href=StorePath(href) if href else NEVRA.location)


def test_the_generations_that_list_a_build_are_those_between_its_comings_and_goings() -> None:
    """Over random lives, whole and with the oldest records pruned."""
    draw = random.Random(7)
    one = package()
    for _ in range(200):
        life = [draw.random() < 0.5 for _ in range(12)]
        chain = [
            record(number, [one] if now and not before else (), [one] if before and not now else ())
            for number, (before, now) in enumerate(itertools.pairwise([False, *life]), start=1)
        ]
        kept = list(reversed(chain[draw.randint(0, 11) :]))
        found = [n for first, last in listings(kept, one.pkgid, listed=life[-1]) for n in range(first, last + 1)]
        assert sorted(found) == [g.number for g in reversed(kept) if life[g.number - 1]]


def test_a_build_that_moved_to_another_path_was_listed_all_the_time() -> None:
    old, new = package(), package(href="Packages/other.rpm")
    kept = [record(3, [new], [old]), record(2, [old])]
    assert listings(kept, old.pkgid, listed=True) == [(2, 3)]


def test_each_build_of_a_nevra_is_told_apart_the_listed_one_first() -> None:
    old, new, gone = package("1"), package("2"), package("3")
    kept = [record(4, [new], [old]), record(3, [old], [gone]), record(2, [gone])]
    found = Past(kept=kept).builds(NEVRA, [new])
    assert [build.pkgid[0] for build in found] == ["2", "1", "3"]
    assert [(build.listed, list(build.ranges)) for build in found] == [
        (True, [(4, 4)]),
        (False, [(3, 3)]),
        (False, [(2, 2)]),
    ]
    assert [build.since and build.since.number for build in found] == [4, None, None]
    assert [build.went and build.went.number for build in found] == [None, 4, 3]


def test_a_build_from_before_the_oldest_kept_record_says_so_and_how_it_came_is_the_ledgers() -> None:
    one = package()
    came = Coming(generation=1, time=100, actor="inbox", why="", origin=Origin(how="arrival", of="hello.rpm"))
    book = {one.pkgid: Known(nevra=NEVRA, pkgid=one.pkgid, came=came)}
    (build,) = Past(kept=[record(9), record(8)], book=book).builds(NEVRA, [one])
    assert (build.since, list(build.ranges), build.came) == (None, [(8, 9)], came)


def test_a_build_that_only_the_ledger_remembers_is_known() -> None:
    one = package()
    book = {one.pkgid: Known(nevra=NEVRA, pkgid=one.pkgid)}
    (build,) = Past(kept=[record(9)], book=book).builds(NEVRA, [])
    assert (build.package, build.listed, list(build.ranges), build.came) == (None, False, [], None)


def test_a_stranger_is_not_known() -> None:
    assert Past(kept=[record(2, [package()])]).builds(Nevra.parse("other-1-1.noarch"), []) == []


def build_in(past: Past) -> Build:
    return past.builds(NEVRA, [])[0]


def promoted(of: str, pkgid: str = "1") -> Past:
    return Past(kept=[record(2, [package(pkgid)], origins=[Origin(how="promotion", of=of)])])


def test_a_way_through_repositories_is_followed_to_its_beginning() -> None:
    dev = Past(kept=[record(7, [package()], origins=[Origin(how="arrival", of="hello.rpm")])])
    places = {"prod": promoted("stage@5"), "stage": promoted("dev@9"), "dev": dev}
    found = way("prod", build_in(places["prod"]), places.get)
    assert [(name, coming.generation, coming.origin.of) for name, coming in found] == [
        ("prod", 2, "stage@5"),
        ("stage", 2, "dev@9"),
        ("dev", 7, "hello.rpm"),
    ]


def test_a_build_that_was_signed_anew_on_its_way_is_followed_by_its_nevra() -> None:
    dev = Past(kept=[record(7, [package("9")], origins=[Origin(how="arrival", of="hello.rpm")])])
    places = {"prod": promoted("dev@7"), "dev": dev}
    assert [name for name, _ in way("prod", build_in(places["prod"]), places.get)] == ["prod", "dev"]


def test_a_way_ends_where_a_repository_is_gone_or_it_comes_back() -> None:
    gone = {"prod": promoted("lost@5")}
    assert [name for name, _ in way("prod", build_in(gone["prod"]), gone.get)] == ["prod"]
    circle = {"prod": promoted("dev@5"), "dev": promoted("prod@5")}
    assert [name for name, _ in way("prod", build_in(circle["prod"]), circle.get)] == ["prod", "dev"]
