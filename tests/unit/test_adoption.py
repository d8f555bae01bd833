"""Which packages are taken over, where their files are looked for, and where they will lie."""

import random

import pytest

from repod.adoption import Spot, one_of_each, place, spots
from repod.elsewhere import Listed
from repod.package import Nevra

NEVRA = Nevra.parse("hello-2:1.0-1.noarch")


def _listed(
    nevra: str = "hello-1.0-1.noarch",
    href: str = "a.rpm",
    *,
    checksum: str = "a",
    built: int = 1,
    filed: int = 1,
    base: str = "",
) -> Listed:
    return Listed(
        nevra=Nevra.parse(nevra),
        algorithm="sha256",
        checksum=checksum * 64,
        size=1,
        href=href,
        base=base,
        built=built,
        filed=filed,
    )


# ---------------------------------------------------------------- one entry per NEVRA


@pytest.mark.parametrize(
    ("best", "other"),
    [
        ({"built": 3}, {"built": 2, "filed": 9, "checksum": "f"}),
        ({"filed": 3}, {"filed": 2, "checksum": "f"}),
        ({"checksum": "b"}, {"checksum": "a"}),
        ({"href": "a.rpm"}, {"href": "b.rpm"}),
    ],
)
def test_of_two_builds_the_last_built_stays_then_the_newest_file_then_the_highest_checksum(
    best: dict[str, int | str], other: dict[str, int | str]
) -> None:
    winner, loser = _listed(**{"href": "w.rpm"} | best), _listed(**{"href": "x.rpm"} | other)  # type: ignore[arg-type]
    for pair in ([winner, loser], [loser, winner]):
        kept, left = one_of_each(pair)
        assert kept == [winner]
        assert [(one.kind, one.href) for one in left] == [("twice", loser.href)]


def test_the_choice_does_not_depend_on_the_order_of_entries() -> None:
    draw = random.Random(7)
    listed = [
        _listed(href=f"{n}.rpm", built=draw.randint(0, 2), filed=draw.randint(0, 2), checksum=draw.choice("abc"))
        for n in range(30)
    ]
    chosen = set()
    for _ in range(20):
        draw.shuffle(listed)
        kept, left = one_of_each(listed)
        assert len(left) == 29
        chosen.add(kept[0].href)
    assert len(chosen) == 1


def test_the_reason_names_both_paths_and_both_checksums() -> None:
    _, (left,) = one_of_each([_listed(href="x/a.rpm", built=2), _listed(href="y/a.rpm", checksum="b")])
    assert all(word in left.text for word in ("x/a.rpm", "y/a.rpm", "a" * 12, "b" * 12))


def test_different_builds_of_one_name_are_no_duplicates() -> None:
    listed = [_listed("hello-1.0-1.noarch"), _listed("hello-1:1.0-1.noarch"), _listed("hello-1.0-1.x86_64")]
    assert one_of_each(listed) == (listed, [])


# ---------------------------------------------------------------- where a file may lie


@pytest.mark.parametrize(
    ("href", "looked"),
    [
        ("Packages/a-1-1.noarch.rpm", ["Packages/a-1-1.noarch.rpm"]),
        ("Packages\\a.rpm", ["Packages/a.rpm", "Packages\\a.rpm"]),
        ("a%2Bb.rpm", ["a%2Bb.rpm", "a+b.rpm"]),
        ("p\\a%2Bb.rpm", ["p/a%2Bb.rpm", "p/a+b.rpm", "p\\a%2Bb.rpm"]),
        ("a+b.rpm", ["a+b.rpm"]),
    ],
)
def test_an_href_is_raw_and_else_what_other_tools_mean_by_it(href: str, looked: list[str]) -> None:
    assert list(spots(_listed(href=href))) == [Spot(href=each, base="") for each in looked]


def test_a_file_beside_the_documents_comes_before_one_at_its_base() -> None:
    found = list(spots(_listed(base="http://x/")))
    assert found == [Spot(href="a.rpm", base=""), Spot(href="a.rpm", base="http://x/")]


# ---------------------------------------------------------------- where it will lie


@pytest.mark.parametrize(
    ("href", "kept"),
    [
        ("Packages/h/hello.rpm", "Packages/h/hello.rpm"),
        ("hello.rpm", "hello.rpm"),
        ("./x//hello.rpm", "x/hello.rpm"),
        ("/x/hello.rpm", "x/hello.rpm"),
        ("x/../y/hello.rpm", "y/hello.rpm"),
        ("repodatas/hello.rpm", "repodatas/hello.rpm"),
    ],
)
def test_an_href_is_kept_so_that_hosts_with_the_old_metadata_find_it(href: str, kept: str) -> None:
    assert place(href, NEVRA) == kept


@pytest.mark.parametrize(
    "href",
    [
        "../pool/hello.rpm",
        "x/../../hello.rpm",
        "repodata/hello.rpm",
        "generations/1/hello.rpm",
        ".repod/hello.rpm",
        "./.repod/tmp/hello.rpm",
        "mirrorlist",
        "x\\hello.rpm",
        "\udcff.rpm",
        "x/\0.rpm",
    ],
)
def test_an_href_that_could_leave_the_store_or_meet_what_is_ours_gives_way(href: str) -> None:
    assert place(href, NEVRA) == "Packages/h/hello-1.0-1.noarch.rpm"
