"""Builds that a person names: exactly, by pattern, or almost."""

import pytest

from repod.errors import NotFound
from repod.selection import select
from tests.lab.entries import made

BUILDS = [
    made(text).package
    for text in ("hello-1.0-9.noarch", "hello-1.0-10.noarch", "hello-libs-2:1-1.x86_64", "lib++-1^a~b-1.x86_64")
]


def chosen(*words: str) -> list[str]:
    return [str(package.nevra) for package in select(BUILDS, words, "prod")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hello-1.0-9.noarch"], ["hello-1.0-9.noarch"]),
        (["hello-0:1.0-9.noarch"], ["hello-1.0-9.noarch"]),
        (["hello-libs-2:1-1.x86_64"], ["hello-libs-2:1-1.x86_64"]),
        (["lib++-1^a~b-1.x86_64"], ["lib++-1^a~b-1.x86_64"]),
        (["hello-1.0-*"], ["hello-1.0-9.noarch", "hello-1.0-10.noarch"]),
        (["hello-1.0-?.noarch"], ["hello-1.0-9.noarch"]),
        (["*.x86_64", "hello-libs*"], ["hello-libs-2:1-1.x86_64", "lib++-1^a~b-1.x86_64"]),
        (["*"], [str(package.nevra) for package in BUILDS]),
    ],
)
def test_a_nevra_or_a_pattern_means_builds_each_once_in_their_order(words: list[str], expected: list[str]) -> None:
    assert chosen(*words) == expected


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("hello", "of that name there are: hello-1.0-10.noarch, hello-1.0-9.noarch"),
        ("hello-1.0-8.noarch", "of that name there are: hello-1.0-10.noarch, hello-1.0-9.noarch"),
        ("hello-libs-1-1.x86_64", "of that name there are: hello-libs-2:1-1.x86_64"),
        ("helo-1.0-9.noarch", "names alike: hello"),
        ("zzz", "the command packages lists all"),
        ("HELLO-1.0-9.noarch", "the command packages lists all"),
    ],
)
def test_a_word_that_means_nothing_is_told_with_what_is_alike(word: str, says: str) -> None:
    with pytest.raises(NotFound) as error:
        chosen("hello-1.0-9.noarch", word)
    assert str(error.value) == f"no build of prod is {word!r}; {says}"


def test_every_word_that_means_nothing_has_its_line() -> None:
    with pytest.raises(NotFound) as error:
        chosen("a", "*", "b*")
    assert [line.split("'")[1] for line in str(error.value).splitlines()] == ["a", "b*"]


def test_of_many_builds_the_newest_are_named() -> None:
    many = [made(f"a-1-{number}.noarch").package for number in range(20)]
    with pytest.raises(NotFound, match=r"a-1-19\.noarch, .* a-1-15\.noarch and 15 more"):
        select(many, ["a"], "prod")
