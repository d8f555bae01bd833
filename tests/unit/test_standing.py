"""How what a host runs stands to what a repository has."""

from collections.abc import Sequence

import pytest

from repod.client.fleet import Installed
from repod.client.standing import Standing, newest_of, origin, standings
from repod.package import Nevra


def _builds(*texts: str) -> Sequence[Nevra]:
    return [Nevra.parse(text) for text in texts]


def _installed(text: str, digest: str = "a") -> Installed:
    return Installed(nevra=Nevra.parse(text), header_sha256=digest)


def _takes(arch: str) -> bool:
    return arch in {"x86_64", "noarch"}


@pytest.mark.parametrize(
    ("digest", "known", "expected"),
    [
        ("a", ["a"], "same"),
        ("a", ["b", "a"], "same"),
        ("a", ["b"], "other"),
        ("a", [], "other"),
        ("a", None, "unknown"),
        ("", ["a"], "named"),
        ("", None, "unknown"),
    ],
)
def test_a_build_is_the_repositorys_by_the_digest_of_its_header(
    digest: str, known: Sequence[str] | None, expected: str
) -> None:
    assert origin(_installed("hello-1-1.noarch", digest), known) == expected


def test_the_newest_is_by_rpms_rule_and_of_an_arch_that_the_host_takes() -> None:
    listed = {
        "hello": _builds("hello-1.9-1.x86_64", "hello-1.10-1.x86_64", "hello-2-1.aarch64", "hello-1.10~rc1-1.noarch")
    }
    (found,) = standings(["hello"], [_installed("hello-1.9-1.x86_64")], listed, _takes, {})
    assert str(found.newest) == "hello-1.10-1.x86_64"
    assert found.origin == ""
    assert newest_of([]) is None


@pytest.mark.parametrize("here", ["hello-1.10-1.x86_64", "hello-1:0.1-1.x86_64"])
def test_a_host_that_runs_the_newest_or_a_newer_one_could_get_nothing(here: str) -> None:
    listed = {"hello": _builds("hello-1.10-1.x86_64")}
    (found,) = standings(["hello"], [_installed(here)], listed, _takes, {here: ["a"]})
    assert (found.newest, found.origin) == (None, "same")


def test_a_build_that_the_repository_had_and_lists_no_more_is_told() -> None:
    listed = {"hello": _builds("hello-1-1.x86_64")}
    here = [_installed("hello-1-1.x86_64"), _installed("hello-2-1.x86_64")]
    found = standings(["hello"], here, listed, _takes, {"hello-1-1.x86_64": ["a"], "hello-2-1.x86_64": ["a"]})
    assert [(one.origin, one.listed) for one in found] == [("same", True), ("same", False)]


def test_a_package_that_is_not_there_could_be_got() -> None:
    listed = {"hello": _builds("hello-1-1.noarch")}
    assert standings(["hello", "other"], [], listed, _takes, {}) == [
        Standing(name="hello", installed=None, newest=listed["hello"][0]),
        Standing(name="other", installed=None),
    ]


def test_of_builds_beside_each_other_only_the_newest_is_behind() -> None:
    here = [_installed("kernel-2-1.x86_64"), _installed("kernel-1-1.x86_64")]
    found = standings(["kernel"], here, {"kernel": _builds("kernel-3-1.x86_64")}, _takes, {"kernel-1-1.x86_64": None})
    assert [(str(one.installed.nevra), one.origin, str(one.newest)) for one in found if one.installed] == [
        ("kernel-1-1.x86_64", "unknown", "None"),
        ("kernel-2-1.x86_64", "", "kernel-3-1.x86_64"),
    ]
