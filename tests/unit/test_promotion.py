"""Which builds a promotion means, what they do on hosts, and every reason why one may not come."""

import pytest

from repod.builds import Built
from repod.package import Nevra, Package, sha256
from repod.promotion import (
    Candidate,
    Effect,
    Gates,
    Move,
    Target,
    choose,
    decide,
    refused_source,
    siblings,
    spoken,
)

ARCHES = ("x86_64", "noarch")
NOW = 1_000_000.0
DAY = 86400.0


def package(text: str, digit: str = "1") -> Package:
    nevra = Nevra.parse(text)
    return Package(nevra=nevra, pkgid=sha256(digit * 64), size=1, href=nevra.location)


def built(*texts: str, source: str = "") -> list[Built]:
    return [Built(package=package(text), source_rpm=source, time=0) for text in texts]


def meant(listed: list[Built], *specs: str) -> list[str]:
    chosen = choose(listed, specs, ARCHES, "generation 7 of dev")
    assert not chosen.missing
    return [str(build.package.nevra) for build in chosen.builds]


def missing(listed: list[Built], *specs: str) -> list[str]:
    return list(choose(listed, specs, ARCHES, "generation 7 of dev").missing)


LISTED = built(
    "foo-1.0-1.x86_64",
    "foo-1.0-2.x86_64",
    "foo-1.0-2.aarch64",
    "foo-1.0-2.src",
    "foo-doc-1.0-2.noarch",
    "foo-bar-2:1.0-1.noarch",
)


# ---------------------------------------------------------------- which builds are meant


def test_a_name_means_its_newest_build_for_every_arch_of_the_target_and_no_source_package() -> None:
    assert meant(LISTED, "foo") == ["foo-1.0-2.x86_64"]
    assert meant(built("foo-1-1.x86_64", "foo-1-1.noarch", "foo-0-1.noarch"), "foo") == [
        "foo-1-1.noarch",
        "foo-1-1.x86_64",
    ]


def test_the_newest_is_by_rpms_order_and_not_by_text() -> None:
    assert meant(built("foo-9-1.noarch", "foo-10-1.noarch", "foo-1:1-1.noarch"), "foo") == ["foo-1:1-1.noarch"]


def test_the_newest_is_that_of_the_arches_that_the_target_takes() -> None:
    assert meant(built("foo-2-1.aarch64", "foo-1-1.x86_64"), "foo") == ["foo-1-1.x86_64"]


def test_a_name_with_evr_means_that_build_for_every_arch_with_or_without_its_epoch() -> None:
    assert meant(LISTED, "foo-1.0-1") == ["foo-1.0-1.x86_64"]
    assert meant(LISTED, "foo-bar-1.0-1") == meant(LISTED, "foo-bar-2:1.0-1") == ["foo-bar-2:1.0-1.noarch"]


def test_a_nevra_means_one_build_even_one_that_the_target_does_not_take() -> None:
    assert meant(LISTED, "foo-1.0-2.aarch64", "foo-1.0-2.src") == ["foo-1.0-2.aarch64", "foo-1.0-2.src"]


def test_where_there_is_nothing_for_the_target_all_is_meant_so_that_the_reason_is_told() -> None:
    assert meant(built("foo-1-1.aarch64", "foo-1-1.s390x"), "foo") == ["foo-1-1.aarch64", "foo-1-1.s390x"]
    assert meant(built("foo-1-1.src"), "foo") == ["foo-1-1.src"]


def test_a_build_that_is_said_twice_is_meant_once() -> None:
    assert meant(LISTED, "foo", "foo", "foo-1.0-2.x86_64") == ["foo-1.0-2.x86_64"]


def test_all_that_is_not_there_is_told_with_what_there_is_instead() -> None:
    assert missing(LISTED, "foo-3.0-1", "fo", "nix") == [
        (
            "foo-3.0-1: not in generation 7 of dev; of foo it lists: "
            "foo-1.0-2.x86_64, foo-1.0-2.aarch64, foo-1.0-2.src, foo-1.0-1.x86_64"
        ),
        "fo: not in generation 7 of dev; names like it: foo, foo-bar, foo-doc",
        "nix: not in generation 7 of dev; it lists: foo, foo-bar, foo-doc",
    ]
    assert missing([], "foo") == ["foo: not in generation 7 of dev; it lists nothing"]


def test_of_many_builds_only_the_newest_are_told() -> None:
    (line,) = missing(built(*(f"foo-1-{number}.noarch" for number in range(40))), "foo-2-1")
    assert "foo-1-39.noarch, foo-1-38.noarch" in line
    assert line.endswith("foo-1-30.noarch and 30 more")


def test_siblings_are_all_that_was_built_from_the_same_source_package() -> None:
    listed = [
        *built("foo-1-1.x86_64", "libfoo-1-1.x86_64", "foo-debuginfo-1-1.x86_64", source="foo-1-1.src.rpm"),
        *built("libfoo-1-1.aarch64", source="foo-1-1.src.rpm"),
        *built("foo-2-1.x86_64", source="foo-2-1.src.rpm"),
        *built("foo-1-1.src", "bar-1-1.noarch"),
    ]
    found = siblings(listed, listed[:1], ARCHES)
    assert [str(build.package.nevra) for build in found] == [
        "foo-1-1.x86_64",
        "foo-debuginfo-1-1.x86_64",
        "libfoo-1-1.x86_64",
    ]
    assert "foo-1-1.src" in {str(build.package.nevra) for build in siblings(listed, listed[:1], [*ARCHES, "src"])}


def test_a_build_without_a_source_package_has_no_siblings() -> None:
    listed = built("foo-1-1.x86_64", "bar-1-1.x86_64")
    assert siblings(listed, listed[:1], ARCHES) == listed[:1]


# ---------------------------------------------------------------- what it does on hosts


def verdict(coming: str, *there: str, whole: bool = False, beside: str = "", **gates: object) -> Move:
    target = Target(
        name="prod",
        listed={Nevra.parse(text): package(text, "2") for text in there},
        gates=Gates(**gates),  # type: ignore[arg-type]
        now=NOW,
    )
    candidates = [Candidate(package=package(text)) for text in (coming, beside) if text]
    beside_it = [one.package.nevra for one in candidates] if whole else []
    return decide(candidates, "dev", target, whole=beside_it)[0]


@pytest.mark.parametrize(
    ("there", "effect"),
    [
        ((), "new"),
        (("foo-1-1.noarch",), "upgrade from 1-1"),
        (("foo-1-1.noarch", "foo-3-1.noarch"), "downgrade from 3-1"),
        (("foo-1:1-1.noarch",), "downgrade from 1:1-1"),
        (("foo-2-1.noarch",), "instead of 2-1"),
        (("foo-2.0-1.noarch",), "upgrade from 2.0-1"),
        (("bar-9-1.noarch", "foo-9-1.src"), "new"),
        (("foo-9-1.x86_64",), "downgrade from 9-1"),
    ],
)
def test_the_effect_is_by_what_hosts_have_as_the_newest(there: tuple[str, ...], effect: str) -> None:
    coming = "foo-2.1-1.noarch" if there == ("foo-2.0-1.noarch",) else "foo-2-1.noarch"
    assert str(verdict(coming, *there).effect) == effect


def test_arches_are_lines_of_their_own_but_for_noarch() -> None:
    assert verdict("foo-1-1.x86_64", "foo-9-1.aarch64").effect == Effect(kind="new")
    assert verdict("foo-1-1.x86_64", "foo-9-1.noarch").effect.kind == "downgrade"


# ---------------------------------------------------------------- gates


def test_where_no_gate_is_set_a_build_only_may_not_be_older_nor_other_bytes() -> None:
    move = verdict("foo-2-1.noarch", "foo-1-1.noarch")
    assert (move.passed, move.shut, move.refused) == (["acceptance", "bytes", "downgrade"], [], [])


def test_a_downgrade_is_refused_and_force_allows_it_and_nothing_else() -> None:
    assert verdict("foo-1-1.noarch", "foo-2-1.noarch").refused == [
        (
            "foo-1-1.noarch: prod lists the newer foo-2-1.noarch: hosts that have it would not go back by themselves; "
            "to list it all the same: --force"
        )
    ]
    assert verdict("foo-1-1.noarch", "foo-2-1.noarch", force=True).refused == []
    assert verdict("foo-1-1.noarch", "foo-2-1.noarch", force=True, label="ok").shut == ["label"]


def test_of_a_whole_generation_older_builds_come_beside_one_that_is_not_older() -> None:
    whole = verdict("foo-1-1.noarch", "foo-2-1.noarch", whole=True, beside="foo-3-1.noarch")
    assert (str(whole.effect), whole.refused) == ("older than 2-1", [])
    assert verdict("foo-1-1.noarch", "foo-2-1.noarch", beside="foo-3-1.noarch").shut == ["downgrade"]
    assert verdict("foo-1-1.noarch", "foo-2-1.noarch", whole=True).shut == ["downgrade"]


def test_other_bytes_of_a_listed_nevra_are_refused_unless_the_target_replaces() -> None:
    assert verdict("foo-1-1.noarch", "foo-1-1.noarch").refused == [
        (
            f"foo-1-1.noarch: prod lists other bytes under this NEVRA: sha256 {'2' * 64}, here {'1' * 64}; "
            "give the new build a higher release"
        )
    ]
    assert verdict("foo-1-1.noarch", "foo-1-1.noarch", replace=True).refused == []


def judged(gates: Gates, **known: object) -> Move:
    target = Target(name="prod", listed={}, gates=gates, now=NOW)
    candidate = Candidate(package=package("foo-1-1.noarch"), **known)  # type: ignore[arg-type]
    return decide([candidate], "dev", target)[0]


def test_a_build_must_have_been_listed_long_enough_to_the_second() -> None:
    gates = Gates(min_age=3 * DAY)
    assert judged(gates, since=NOW - 3 * DAY).refused == []
    assert judged(gates, since=NOW - 3 * DAY + 1).refused == [
        (
            "foo-1-1.noarch: listed in dev for 2d 23h, expected at least 3d ([repository.promotion] min_age); "
            "try again after 1970-01-12T13:46:41Z"
        )
    ]
    assert judged(gates, since=NOW + 60).refused[0].startswith("foo-1-1.noarch: listed in dev for 0s")


def test_a_build_must_have_the_label() -> None:
    gates = Gates(label="tested")
    assert judged(gates, labels=["tested", "x"]).refused == []
    assert judged(gates, labels=["y", "x"]).refused == [
        (
            "foo-1-1.noarch: has no label tested in dev, found: x, y ([repository.promotion] label); "
            "when it earned that: repod label dev foo-1-1.noarch tested"
        )
    ]


def test_what_cannot_be_installed_is_refused_only_where_that_is_asked() -> None:
    assert judged(Gates(), unmet=["nothing provides x"]).refused == []
    assert judged(Gates(dependencies=True), unmet=["nothing provides x", "nothing provides y"]).refused == [
        "foo-1-1.noarch: cannot be installed: nothing provides x",
        "foo-1-1.noarch: cannot be installed: nothing provides y",
    ]


def test_every_shut_gate_is_told_at_once() -> None:
    gates = Gates(min_age=DAY, label="tested", dependencies=True)
    move = judged(gates, since=NOW, faults=["bad"], unmet=["no x"])
    assert move.shut == ["acceptance", "age", "label", "dependencies"]
    assert len(move.refused) == 4
    assert move.passed == ["bytes", "downgrade"]


def test_a_target_may_take_builds_from_some_repositories_only() -> None:
    assert refused_source("dev", "prod", Gates()) == ""
    assert refused_source("dev", "prod", Gates(sources=["dev"])) == ""
    assert refused_source("dev", "prod", Gates(sources=["staging", "hotfix"])) == (
        "prod takes builds from staging, hotfix only, not from dev ([repository.promotion] from)"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m"), (3661, "1h 1m"), (90000, "1d 1h"), (86400, "1d"), (86405, "1d 5s")]
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
