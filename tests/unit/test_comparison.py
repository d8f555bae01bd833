"""What hosts see change between two contents of a repository."""

import itertools
import random

import pytest

from repod.comparison import KINDS, Content, compare
from repod.package import Nevra, Package, Sha256

Ends = tuple[str | None, str | None]


def package(text: str) -> Package:
    """``NEVRA`` or ``NEVRA=D``, where the digit tells other bytes apart."""
    words, _, digit = text.partition("=")
    nevra = Nevra.parse(words)
    return Package(nevra=nevra, pkgid=Sha256((digit or "0") * 64), size=1, href=nevra.location)


def content(*texts: str) -> Content:
    return Content(packages=[package(text) for text in texts])


def steps(before: str, after: str) -> dict[str, list[Ends]]:
    """The ends of the steps by kind, of contents that are written as words."""
    change = compare(content(*before.split()), content(*after.split()))
    found: dict[str, list[Ends]] = {}
    for step in change.steps:
        ends = [None if end is None else str(end.nevra) for end in (step.before, step.after)]
        found.setdefault(step.kind, []).append((ends[0], ends[1]))
    return found


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "a-1-1.noarch", {"added": [(None, "a-1-1.noarch")]}),
        ("a-1-1.noarch", "", {"removed": [("a-1-1.noarch", None)]}),
        ("a-1-1.noarch", "a-1-2.noarch a-1-1.noarch", {"upgraded": [("a-1-1.noarch", "a-1-2.noarch")]}),
        ("a-1-9.noarch", "a-1-10.noarch", {"upgraded": [("a-1-9.noarch", "a-1-10.noarch")]}),
        ("a-2-1.noarch", "a-1:1-1.noarch", {"upgraded": [("a-2-1.noarch", "a-1:1-1.noarch")]}),
        ("a-2~rc1-1.noarch", "a-2-1.noarch", {"upgraded": [("a-2~rc1-1.noarch", "a-2-1.noarch")]}),
        ("a-2^git-1.noarch", "a-2-1.noarch", {"downgraded": [("a-2^git-1.noarch", "a-2-1.noarch")]}),
        ("a-1-2.noarch a-1-1.noarch", "a-1-1.noarch", {"downgraded": [("a-1-2.noarch", "a-1-1.noarch")]}),
        ("a-1-1.noarch", "a-1-1.noarch=2", {"replaced": [("a-1-1.noarch", "a-1-1.noarch")]}),
        ("a-1.0-1.noarch", "a-1+0-1.noarch", {"replaced": [("a-1.0-1.noarch", "a-1+0-1.noarch")]}),
        ("a-1-1.noarch b-1-1.noarch", "b-1-1.noarch a-1-1.noarch", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_newest_builds_of_a_name_are_compared_by_the_rule_of_rpm(
    before: str, after: str, expected: dict[str, list[Ends]]
) -> None:
    assert steps(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a-1-1.noarch", "a-2-1.x86_64", {"upgraded": [("a-1-1.noarch", "a-2-1.x86_64")]}),
        ("a-2-1.x86_64", "a-1-1.noarch", {"downgraded": [("a-2-1.x86_64", "a-1-1.noarch")]}),
        ("a-1-1.noarch", "a-1-1.noarch a-2-1.x86_64", {"upgraded": [("a-1-1.noarch", "a-2-1.x86_64")]}),
        ("a-1-1.noarch a-2-1.x86_64", "a-1-1.noarch", {"downgraded": [("a-2-1.x86_64", "a-1-1.noarch")]}),
        (
            "a-1-1.noarch",
            "a-2-1.x86_64 a-2-1.aarch64",
            {"upgraded": [("a-1-1.noarch", "a-2-1.aarch64"), ("a-1-1.noarch", "a-2-1.x86_64")]},
        ),
        (
            "a-1-1.x86_64 a-1-1.aarch64",
            "a-2-1.x86_64",
            {"removed": [("a-1-1.aarch64", None)], "upgraded": [("a-1-1.x86_64", "a-2-1.x86_64")]},
        ),
        ("a-2-1.noarch a-1-1.x86_64", "a-3-1.noarch a-1-1.x86_64", {"upgraded": [("a-2-1.noarch", "a-3-1.noarch")]}),
        (
            "a-2-1.noarch a-1-1.x86_64 a-1-1.aarch64",
            "a-3-1.noarch a-1-1.x86_64 a-1-1.aarch64",
            {"upgraded": [("a-2-1.noarch", "a-3-1.noarch")]},
        ),
        ("a-1-1.noarch", "a-1-1.x86_64", {"replaced": [("a-1-1.noarch", "a-1-1.x86_64")]}),
        (
            "a-1-1.src a-1-1.noarch",
            "a-2-1.src a-2-1.noarch",
            {"upgraded": [("a-1-1.noarch", "a-2-1.noarch"), ("a-1-1.src", "a-2-1.src")]},
        ),
        ("a-1-1.src", "a-1-1.src a-1-1.x86_64", {"added": [(None, "a-1-1.x86_64")]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_noarch_and_an_architecture_are_one_line_of_builds_and_source_is_its_own(
    before: str, after: str, expected: dict[str, list[Ends]]
) -> None:
    assert steps(before, after) == expected


def test_builds_that_are_not_the_newest_are_told_apart() -> None:
    before = content("a-1-1.noarch", "a-1-2.noarch", "a-1-3.noarch", "b-1-1.noarch")
    after = content("a-1-0.noarch", "a-1-2.noarch", "b-1-1.noarch", "b-0-1.noarch")
    change = compare(before, after)
    assert [str(step.after.nevra) for step in change.of("downgraded") if step.after] == ["a-1-2.noarch"]
    assert [str(one.nevra) for one in change.came] == ["a-1-0.noarch", "b-0-1.noarch"]
    assert [str(one.nevra) for one in change.went] == ["a-1-1.noarch"]


def test_where_a_build_lies_is_no_difference() -> None:
    one = package("a-1-1.noarch")
    moved = Package(nevra=one.nevra, pkgid=one.pkgid, size=1, href=package("b-1-1.noarch").href)
    assert not compare(Content(packages=[one]), Content(packages=[moved]))


def test_advisories_and_documents_that_came_went_and_changed() -> None:
    before = Content(packages=[], documents={"group": "1", "x": "1", "y": "1"}, advisories={"A": b"1", "B": b"1"})
    after = Content(packages=[], documents={"modules": "1", "x": "2", "y": "1"}, advisories={"B": b"2", "C": b"1"})
    change = compare(before, after)
    assert change
    lists = (change.advisories, change.documents)
    assert [(one.came, one.went, one.changed) for one in lists] == [
        (["C"], ["A"], ["B"]),
        (["modules"], ["group"], ["x"]),
    ]


def test_nothing_differs_from_itself_and_the_way_back_is_the_other_way_round() -> None:
    """Over random contents; every build that differs is named once."""
    draw = random.Random(4)
    names, arches = "abc", ("noarch", "x86_64", "aarch64", "src")
    every = [f"{n}-{v}-1.{a}={d}" for n, v, a, d in itertools.product(names, ("1.0", "1+0", "2", "1:0"), arches, "01")]
    back = {"added": "removed", "upgraded": "downgraded", "replaced": "replaced"}
    back |= {value: key for key, value in back.items()}
    for _ in range(300):
        one, other = (content(*unique(draw.sample(every, draw.randint(0, 12)))) for _ in range(2))
        assert not compare(one, one)
        there, again = compare(one, other), compare(other, one)
        assert [(s.kind, s.before, s.after) for s in there.steps] == [
            (back[s.kind], s.after, s.before) for s in again.steps
        ]
        assert (there.came, there.went) == (again.went, again.came)
        assert {step.kind for step in there.steps} <= set(KINDS)
        named = [*there.came, *there.went]
        assert len(named) == len(set(named))
        differing = set(one.packages) ^ set(other.packages)
        ends = {end for step in there.steps for end in (step.before, step.after) if end}
        assert differing <= ends | set(named)
        assert set(named) <= differing


def unique(texts: list[str]) -> list[str]:
    """At most one build of a NEVRA."""
    return list({text.partition("=")[0]: text for text in texts}.values())
