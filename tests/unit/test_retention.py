"""Which builds stay and why: tables from faults that others had, and rules that hold for any repository."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.doors import Need
from repod.package import Nevra, Package, Sha256
from repod.retention import DAY, Broken, Build, Decision, Pattern, Policy, decide

NOW = 1000 * DAY


def build(text: str, source: str = "", stream: str = "", days: float = 0) -> Build:
    nevra = Nevra.parse(text)
    pkgid = Sha256(hashlib.sha256(text.encode()).hexdigest())
    return Build(
        package=Package(nevra=nevra, pkgid=pkgid, size=1, href=nevra.location),
        source_rpm=source,
        streams=frozenset([("m", stream)] if stream else []),
        since=NOW - days * DAY,
    )


def builds(*texts: str) -> list[Build]:
    return [build(text) for text in texts]


def kept(decision: Decision) -> set[str]:
    return {str(verdict.build.nevra) for verdict in decision.verdicts if verdict.kept}


def why(decision: Decision, nevra: str) -> list[str]:
    return next(list(verdict.why) for verdict in decision.verdicts if str(verdict.build.nevra) == nevra)


def hello(count: int) -> list[Build]:
    return builds(*(f"hello-1.0-{n}.x86_64" for n in range(1, count + 1)))


@pytest.mark.parametrize(
    ("there", "stays"),
    [
        (("dotnet-8.0.100-2.x86_64", "dotnet-8.0.100~rc.2-0.1.x86_64"), "dotnet-8.0.100-2.x86_64"),
        (("a-1.9-1.x86_64", "a-1.10-1.x86_64"), "a-1.10-1.x86_64"),
        (("a-1:1.0-1.x86_64", "a-2.0-1.x86_64"), "a-1:1.0-1.x86_64"),
        (("a-10:1.0-1.x86_64", "a-9:5.0-1.x86_64"), "a-10:1.0-1.x86_64"),
        (("a-2.6-1.x86_64", "a-2.12-1.x86_64", "a-2.1-1.x86_64"), "a-2.12-1.x86_64"),
        (("a-1.0-9.x86_64", "a-1.0-10.x86_64"), "a-1.0-10.x86_64"),
        (("a-1.0^git1-1.x86_64", "a-1.0-1.x86_64"), "a-1.0^git1-1.x86_64"),
    ],
)
def test_the_newest_by_rpms_order_stays(there: tuple[str, ...], stays: str) -> None:
    """Rule: order by EVR; a missing epoch counts as 0; ``~`` is before the end, ``^`` after it."""
    assert kept(decide(builds(*there), Policy(keep=1), NOW)) == {stays}


def test_every_build_that_goes_says_its_place_and_the_rule() -> None:
    decision = decide(hello(7), Policy(keep=5), NOW)
    assert why(decision, "hello-1.0-1.x86_64") == ["7th newest of hello.x86_64: keep = 5"]
    assert why(decision, "hello-1.0-7.x86_64") == ["newest of hello.x86_64: keep = 5"]
    assert decision.summary == "2 builds beyond retention: 2 beyond keep = 5"


def test_architectures_are_lines_of_their_own() -> None:
    there = builds("foo-2.0-1.x86_64", "foo-1.0-1.x86_64", "foo-1.0-1.aarch64", "foo-0.9-1.src", "foo-0.8-1.src")
    assert kept(decide(there, Policy(keep=1), NOW)) == {"foo-2.0-1.x86_64", "foo-1.0-1.aarch64", "foo-0.9-1.src"}


@pytest.mark.parametrize(("old", "new"), [("noarch", "x86_64"), ("x86_64", "noarch")])
def test_a_name_that_moved_between_noarch_and_an_architecture_is_one_line(old: str, new: str) -> None:
    there = builds(*(f"foo-{n}-1.{old}" for n in (1, 2, 3)), *(f"foo-{n}-1.{new}" for n in (4, 5, 6)))
    assert kept(decide(there, Policy(keep=2), NOW)) == {f"foo-5-1.{new}", f"foo-6-1.{new}"}


def test_what_was_noarch_stays_for_the_hosts_that_find_nothing_newer() -> None:
    """It moved to x86_64; hosts of aarch64, which the repository serves too, find the noarch builds only."""
    there = builds("foo-1-1.noarch", "foo-2-1.noarch", "foo-3-1.x86_64", "bar-1-1.aarch64")
    decision = decide(there, Policy(keep=1), NOW)
    assert kept(decision) == {"foo-2-1.noarch", "foo-3-1.x86_64", "bar-1-1.aarch64"}
    assert why(decision, "foo-2-1.noarch") == ["newest of foo.noarch: keep = 1"]


def test_module_streams_are_lines_of_their_own_and_what_is_in_none_is_another() -> None:
    there = [
        build("node-18.1-1.x86_64", stream="18"),
        build("node-18.2-1.x86_64", stream="18"),
        build("node-20.1-1.x86_64", stream="20"),
        build("node-16.1-1.x86_64"),
        build("node-22.1-1.x86_64"),
    ]
    decision = decide(there, Policy(keep=1), NOW)
    assert kept(decision) == {"node-18.2-1.x86_64", "node-20.1-1.x86_64", "node-22.1-1.x86_64"}
    assert why(decision, "node-18.1-1.x86_64") == ["2nd newest of node.x86_64 of m:18: keep = 1"]


def test_a_pattern_makes_a_line_of_its_own() -> None:
    there = builds("golang-1.24.3-1.x86_64", "golang-1.25.1-1.x86_64", "golang-1.26.0-1.x86_64")
    decision = decide(there, Policy(keep=1, lines=[Pattern(name="golang", version="1.24.*")]), NOW)
    assert kept(decision) == {"golang-1.24.3-1.x86_64", "golang-1.26.0-1.x86_64"}
    assert why(decision, "golang-1.24.3-1.x86_64") == ["newest of golang.x86_64 (golang = 1.24.*): keep = 1"]
    assert why(decision, "golang-1.25.1-1.x86_64") == ["2nd newest of golang.x86_64: keep = 1"]


def test_keep_versions_keeps_every_iteration_of_the_newest_versions() -> None:
    there = builds(*(f"app-{version}-{n}.noarch" for version in ("1.0", "1.1", "1.2") for n in range(1, 41)))
    decision = decide(there, Policy(keep=5, keep_versions=2), NOW)
    assert kept(decision) == {str(one.nevra) for one in there if one.nevra.version != "1.0"}
    assert why(decision, "app-1.0-40.noarch") == [
        "81st newest of app.noarch: keep = 5",
        "of the 3rd newest version of app.noarch: keep_versions = 2",
    ]
    assert decision.summary == "40 builds beyond retention: 40 beyond keep = 5 and keep_versions = 2"


def test_versions_that_rpm_ranks_equal_are_one_version_and_each_build_counts() -> None:
    there = builds("a-1.0-1.noarch", "a-1+0-1.noarch", "a-0.9-1.noarch")
    assert kept(decide(there, Policy(keep=1, keep_versions=1), NOW)) == {"a-1.0-1.noarch", "a-1+0-1.noarch"}
    assert len(kept(decide(there, Policy(keep=1), NOW))) == 1


def test_keep_days_keeps_what_came_lately_and_never_removes_the_last() -> None:
    there = [build("a-1-1.noarch", days=400), build("b-1-1.noarch", days=40), build("b-2-1.noarch", days=29)]
    there.append(build("b-3-1.noarch", days=1))
    decision = decide(there, Policy(keep=1, keep_days=30), NOW)
    assert kept(decision) == {"a-1-1.noarch", "b-2-1.noarch", "b-3-1.noarch"}
    assert why(decision, "b-1-1.noarch") == [
        "3rd newest of b.noarch: keep = 1",
        "listed for 40 days: keep_days = 30",
    ]


def test_a_pinned_build_and_one_that_is_needed_stay_with_the_reason() -> None:
    there = hello(4)
    decision = decide(
        there,
        Policy(keep=1),
        NOW,
        pins={there[0].package.pkgid: "pinned by anna: audit"},
        needs={there[1].nevra: ["runs on host web1 (reported 2 h ago)"]},
    )
    assert kept(decision) == {f"hello-1.0-{n}.x86_64" for n in (1, 2, 4)}
    assert why(decision, "hello-1.0-1.x86_64") == ["pinned by anna: audit"]
    assert why(decision, "hello-1.0-2.x86_64") == ["runs on host web1 (reported 2 h ago)"]


def kernel(release: int) -> list[Build]:
    names = ("kernel", "kernel-debuginfo", "kernel-debuginfo-common-x86_64", "kernel-debugsource")
    source = f"kernel-5.14-{release}.src.rpm"
    return [
        build(f"kernel-5.14-{release}.src"),
        *(build(f"{name}-5.14-{release}.x86_64", source) for name in names),
    ]


def test_debug_and_source_packages_have_the_fate_of_what_was_built_with_them() -> None:
    decision = decide([*kernel(1), *kernel(2)], Policy(keep=1), NOW)
    assert kept(decision) == {str(one.nevra) for one in kernel(2)}
    assert why(decision, "kernel-debuginfo-common-x86_64-5.14-1.x86_64") == [
        "built with kernel-5.14-1.x86_64, which nothing keeps"
    ]
    assert decision.summary == (
        "5 builds beyond retention: 4 with the packages they were built with, 1 beyond keep = 1"
    )


def test_one_package_of_a_source_that_stays_keeps_the_debug_packages() -> None:
    there = [
        build("foo-1-1.x86_64", "foo-1-1.src.rpm"),
        build("foo-2-1.x86_64", "foo-2-1.src.rpm"),
        build("foo-libs-1-1.x86_64", "foo-1-1.src.rpm"),
        build("foo-debuginfo-1-1.x86_64", "foo-1-1.src.rpm"),
    ]
    decision = decide(there, Policy(keep=1), NOW)
    assert kept(decision) == {"foo-2-1.x86_64", "foo-libs-1-1.x86_64", "foo-debuginfo-1-1.x86_64"}
    assert why(decision, "foo-debuginfo-1-1.x86_64") == ["built with foo-libs-1-1.x86_64, which stays"]


def test_debug_and_source_packages_alone_are_lines_of_their_own() -> None:
    there = builds(
        *(f"{name}-{n}-1.{arch}" for n in (1, 2) for name, arch in (("a-debuginfo", "x86_64"), ("a", "src")))
    )
    assert kept(decide(there, Policy(keep=1), NOW)) == {"a-debuginfo-2-1.x86_64", "a-2-1.src"}


def exact(requires: Mapping[str, str], there: Sequence[Build]) -> Broken:
    """``broken`` of packages each of which requires another one of a certain NEVRA."""
    listed = {str(one.nevra) for one in there}

    def broken(going: Collection[Nevra]) -> Sequence[Need]:
        gone = {str(nevra) for nevra in going}
        return [
            Need(package=Nevra.parse(one), requirement=f"({other})", providers=[Nevra.parse(other)])
            for one, other in requires.items()
            if one in listed - gone and other in gone
        ]

    return broken


def test_what_a_kept_build_requires_stays() -> None:
    there = builds(*(f"foo-{n}-1.x86_64" for n in (1, 2)), *(f"foo-libs-{n}-1.x86_64" for n in (1, 2, 3, 4)))
    requires = {f"foo-{n}-1.x86_64": f"foo-libs-{n}-1.x86_64" for n in (1, 2)}
    decision = decide(there, Policy(keep=2), NOW, broken=exact(requires, there))
    assert decision.going == []
    assert why(decision, "foo-libs-1-1.x86_64") == ["foo-1-1.x86_64 requires (foo-libs-1-1.x86_64)"]


def test_what_is_kept_for_another_may_need_a_third_and_brings_its_debug_packages() -> None:
    there = [
        *builds("a-2-1.x86_64", "b-2-1.x86_64", "c-1-1.x86_64", "c-2-1.x86_64"),
        build("b-1-1.x86_64", "b-1-1.src.rpm"),
        build("b-debuginfo-1-1.x86_64", "b-1-1.src.rpm"),
    ]
    requires = {"a-2-1.x86_64": "b-1-1.x86_64", "b-1-1.x86_64": "c-1-1.x86_64"}
    assert decide(there, Policy(keep=1), NOW, broken=exact(requires, there)).going == []


def test_of_several_providers_the_newest_stays() -> None:
    there = hello(4)
    providers = [one.nevra for one in there[:3]]

    def broken(going: Collection[Nevra]) -> Sequence[Need]:
        needed = Need(package=Nevra.parse("app-1-1.noarch"), requirement="hello < 1.0-4", providers=providers)
        return [needed] if set(providers) <= set(going) else []

    decision = decide(there, Policy(keep=1), NOW, broken=broken)
    assert kept(decision) == {"hello-1.0-3.x86_64", "hello-1.0-4.x86_64"}


def test_a_need_that_nothing_listed_meets_ends_the_search() -> None:
    need = Need(package=Nevra.parse("app-1-1.noarch"), requirement="nothing", providers=[])
    assert len(decide(hello(3), Policy(keep=1), NOW, broken=lambda _: [need]).going) == 2


_NEVRAS = st.builds(
    Nevra,
    name=st.sampled_from(["a", "a-debuginfo", "b"]),
    epoch=st.sampled_from([0, 0, 1]),
    version=st.sampled_from(["1.0", "1+0", "1.0~rc1", "1.9", "1.10"]),
    release=st.sampled_from(["1", "2", "10"]),
    arch=st.sampled_from(["noarch", "x86_64", "aarch64", "src"]),
)
_BUILDS = st.lists(
    st.builds(
        lambda nevra, source, stream, days: build(str(nevra), source, stream, days),
        _NEVRAS,
        st.sampled_from(["", "a-1.0-1.src.rpm", "b-1.9-2.src.rpm"]),
        st.sampled_from(["", "", "1", "2"]),
        st.integers(0, 60),
    ),
    unique_by=lambda one: one.nevra,
    max_size=40,
)
_POLICIES = st.builds(
    Policy,
    keep=st.integers(1, 4),
    keep_versions=st.integers(0, 2),
    keep_days=st.sampled_from([0, 7, 30]),
    lines=st.sampled_from([(), (Pattern(name="a", version="1.0*"),)]),
)


@given(_BUILDS, _POLICIES)
def test_every_build_gets_one_verdict_with_a_reason_whatever_the_order(there: list[Build], policy: Policy) -> None:
    decision = decide(there, policy, NOW)
    assert [verdict.build for verdict in decision.verdicts] == there
    assert all(verdict.why and bool(verdict.rule) != verdict.kept for verdict in decision.verdicts)
    assert kept(decide(there[::-1], policy, NOW)) == kept(decision)


@given(_BUILDS, _POLICIES)
def test_for_every_host_the_newest_build_it_finds_stays(there: list[Build], policy: Policy) -> None:
    """Rule: the last build of a group is never removed; a host finds its architecture's builds and noarch ones."""
    staying = kept(decide(there, policy, NOW))
    for name in ("a", "b"):
        for arch in ("x86_64", "aarch64"):
            found = [one for one in there if one.nevra.name == name and one.nevra.arch in {arch, "noarch"}]
            here = {one.nevra.arch for one in there}
            if found and arch in here:
                newest = max(one.nevra.rank for one in found)
                assert any(str(one.nevra) in staying for one in found if one.nevra.rank == newest)


def test_hosts_of_an_architecture_of_which_only_debug_packages_are_listed_count_too() -> None:
    source = "a-1.0-1.src.rpm"
    there = [build("a-1.0-1.noarch"), build("a-1.0-1.x86_64", source), build("a-debuginfo-1.0-1.aarch64", source)]
    assert "a-1.0-1.noarch" in kept(decide(there, Policy(keep=1), NOW))


@given(_BUILDS, st.integers(1, 4))
def test_a_host_finds_the_promised_number_of_builds_of_each_name(there: list[Build], keep: int) -> None:
    """Rule: ``keep`` newest builds per name and arch, in which those that rank equal count each."""
    plain = [build(str(one.nevra)) for one in there if one.nevra.name != "a-debuginfo"]
    staying = kept(decide(plain, Policy(keep=keep), NOW))
    for name in ("a", "b"):
        for arch in {one.nevra.arch for one in plain} - {"noarch", "src"}:
            found = [one for one in plain if one.nevra.name == name and one.nevra.arch in {arch, "noarch"}]
            left = [one for one in found if str(one.nevra) in staying]
            assert len(left) >= min(keep, len(found))


@given(_BUILDS, _POLICIES)
def test_a_wider_policy_keeps_no_less_and_a_second_run_removes_nothing(there: list[Build], policy: Policy) -> None:
    staying = kept(decide(there, policy, NOW))
    wider = Policy(keep=policy.keep + 1, keep_versions=policy.keep_versions, keep_days=policy.keep_days)
    if not policy.lines:
        assert staying <= kept(decide(there, wider, NOW))
    left = [one for one in there if str(one.nevra) in staying]
    if not any(one.nevra.arch == "noarch" for one in there):
        assert kept(decide(left, policy, NOW)) == staying


@given(_BUILDS, _POLICIES, st.data())
def test_pins_only_add(there: list[Build], policy: Policy, data: st.DataObject) -> None:
    pinned = data.draw(st.lists(st.sampled_from(there), unique=True)) if there else []
    pins = {one.package.pkgid: "pinned" for one in pinned}
    staying = kept(decide(there, policy, NOW, pins=pins))
    assert staying >= kept(decide(there, policy, NOW)) | {str(one.nevra) for one in pinned}


@given(_BUILDS, _POLICIES, st.data())
def test_nothing_that_stays_loses_what_it_requires(there: list[Build], policy: Policy, data: st.DataObject) -> None:
    names = [str(one.nevra) for one in there]
    requires = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(names))) if names else {}
    broken = exact(requires, there)
    decision = decide(there, policy, NOW, broken=broken)
    assert list(broken({verdict.build.nevra for verdict in decision.going})) == []
