"""What hosts run and other repositories list keeps builds, and nothing that is unclear lets one go."""

import pytest

from repod.builds import HostReport
from repod.errors import Unavailable
from repod.needed import by_hosts, by_repositories, by_rings, joined
from repod.package import Nevra, sha256
from repod.rings import Ring, RingBuild

HOUR, DAY = 3600.0, 86400.0
NOW = 1000 * DAY
OLD, NEW, EPOCH = (Nevra.parse(text) for text in ("a-1-1.noarch", "a-2-1.noarch", "b-2:1-1.x86_64"))


def report(*lines: str, host: str = "web1", age: float = 2 * HOUR, previous: tuple[str, ...] = ()) -> HostReport:
    return HostReport(host=host, time=NOW - age, lines=lines, previous=previous)


def needs(*reports: HostReport) -> dict[Nevra, list[str]]:
    running = by_hosts([OLD, NEW, EPOCH], reports, now=NOW, max_age=30 * DAY)
    return {nevra: list(texts) for nevra, texts in running.needs.items()}


@pytest.mark.parametrize("line", ["a-1-1.noarch", "a-0:1-1.noarch", "a-(none):1-1.noarch"])
def test_a_build_without_an_epoch_is_known_however_its_epoch_is_written(line: str) -> None:
    assert needs(report(line)) == {OLD: ["runs on host web1 (reported 2 h ago)"]}


@pytest.mark.parametrize(
    ("line", "found"),
    [("b-2:1-1.x86_64", True), ("b-1-1.x86_64", True), ("b-3:1-1.x86_64", False), ("b-(none):1-1.x86_64", False)],
)
def test_a_line_without_an_epoch_is_a_build_of_any_and_one_with_an_epoch_of_that_alone(line: str, found: bool) -> None:
    assert (EPOCH in needs(report(line))) == found


def test_other_builds_and_imported_keys_are_passed_over() -> None:
    assert needs(report("bash-5.1.8-6.el9.x86_64", "gpg-pubkey-fd431d51-4ae0493b")) == {}


def test_many_hosts_are_one_reason_that_names_the_first() -> None:
    reports = [report("a-1-1.noarch", host=f"web{n}", age=n * 60.0) for n in range(1, 21)]
    (text,) = needs(*reports)[OLD]
    assert text == (
        "runs on hosts web1 (reported 1 min ago), web2 (reported 2 min ago), web3 (reported 3 min ago) and 17 more"
    )


def test_a_report_that_is_too_old_is_ignored_and_named() -> None:
    running = by_hosts([OLD], [report("a-1-1.noarch", age=45 * DAY)], now=NOW, max_age=30 * DAY)
    assert running.needs == {}
    assert running.notes == [
        "report of host web1 is 45 d old, and counts for 30 d: ignored; remove it if that host is gone"
    ]


def test_what_a_host_would_be_downgraded_to_is_needed_as_what_it_runs_is() -> None:
    reports = [report("a-2-1.noarch", previous=("a-1-1.noarch",)), report("a-1-1.noarch", host="web2", age=DAY)]
    assert needs(*reports) == {
        NEW: ["runs on host web1 (reported 2 h ago)"],
        OLD: ["runs on host web2 (reported 1 d ago)", "would be downgraded to on host web1 (reported 2 h ago)"],
    }
    with pytest.raises(Unavailable, match="report of host web1: expected lines"):
        needs(report("a-2-1.noarch", previous=("nonsense",)))


def test_a_host_that_reports_in_two_ways_is_named_once_and_is_not_old_by_the_one_it_gave_up() -> None:
    twice = [report("a-1-1.noarch"), report("a-1-1.noarch", age=DAY), report("a-1-1.noarch", age=45 * DAY)]
    running = by_hosts([OLD], twice, now=NOW, max_age=30 * DAY)
    assert (running.needs, running.notes) == ({OLD: ["runs on host web1 (reported 2 h ago)"]}, [])


@pytest.mark.parametrize("lines", [(), ("a-1-1.noarch", "error: rpmdb open failed")])
def test_a_report_that_is_not_what_rpm_prints_stops_everything(lines: tuple[str, ...]) -> None:
    with pytest.raises(Unavailable, match="report of host web1"):
        needs(report(*lines))


def test_what_other_repositories_list_is_needed_and_all_reasons_are_joined() -> None:
    others = by_repositories([OLD, NEW], {"prod": {OLD}, "staging": {OLD}, "lab": set()})
    assert others == {OLD: ["listed by repository prod", "listed by repository staging"]}
    assert dict(joined(others, {OLD: ["because"], NEW: ["so"]})) == {OLD: [*others[OLD], "because"], NEW: ["so"]}


def test_what_a_ring_names_is_needed_and_what_its_hosts_would_go_back_to() -> None:
    builds = [Nevra.parse(f"hello-1.0-{release}.noarch") for release in (9, 10, 11, 12)]
    builds += [Nevra.parse("hello-1.0-10.aarch64"), Nevra.parse("hello-doc-1.0-10.noarch")]
    ring = Ring(
        builds=[RingBuild(nevra=builds[2], header_sha256=sha256("a" * 64))],
        before=[builds[0], Nevra.parse("hello-1.0-1.noarch")],
    )
    needs = by_rings(builds, {"web": ring, "db": Ring(builds=ring.builds)})
    assert set(needs) == {builds[0], builds[1], builds[2], builds[4]}
    back = "names hello-1.0-11.noarch: hosts go back from it to this one"
    assert needs[builds[4]] == [f"ring {name} {back}" for name in ("web", "db")]
    assert needs[builds[2]] == ["ring web names it", "ring db names it"]
    assert needs[builds[0]] == ["ring web named it before: hosts go back to it"]
    assert by_rings(builds, {}) == {}
