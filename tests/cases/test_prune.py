"""Cases about retention: which builds go, when their files go, and what must never go."""

import asyncio
import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from repod.doors import Change
from repod.package import Nevra
from repod.prune import Pruned
from repod.repodata import carried
from repod.retention import Policy
from repod.web.shelves import LocalShelf
from tests.cases.place import MakePlace, Place
from tests.lab import entries, rpms
from tests.lab.apps import open_app
from tests.lab.daemon import Ended, Repod
from tests.lab.faulty import FaultyStore
from tests.lab.inboxes import files_below
from tests.lab.papers import advisory, comps
from tests.lab.pruners import pruner
from tests.lab.rpmbuild import rpmbuild
from tests.lab.site import site as site_in
from tests.lab.wait import until

ARCHES = ["x86_64", "aarch64", "noarch", "src"]
DAY = 86400


def keeping(make_place: MakePlace, keep: int = 1, **retention: Any) -> Place:
    """A place that keeps so many builds of each name and architecture."""
    return make_place(arches=ARCHES, retention={"keep": keep, **retention})


def quick(folder: Path, nevra: str, **words: Any) -> Path:
    """A real package of that NEVRA."""
    parsed = Nevra.parse(nevra)
    return rpms.quick(folder, parsed.name, parsed.version, parsed.release, parsed.arch, epoch=parsed.epoch, **words)


def why(pruned: Pruned) -> dict[str, Sequence[str]]:
    """The reasons for each build that left the metadata."""
    return {str(verdict.build.nevra): verdict.why for verdict in pruned.retired}


@pytest.mark.parametrize(
    ("there", "stays"),
    [
        pytest.param(("dotnet-8.0.100-2.x86_64", "dotnet-8.0.100~rc.2-0.1.x86_64"), 0, id="C099-tilde"),
        pytest.param(("a-1.9-1.x86_64", "a-1.10-1.x86_64"), 1, id="C099-numbers"),
        pytest.param(("a-1:1.0-1.x86_64", "a-2.0-1.x86_64"), 0, id="C101-epoch"),
        pytest.param(("a-10:1.0-1.x86_64", "a-9:5.0-1.x86_64"), 0, id="C102-epoch-is-a-number"),
        pytest.param(("a-2.6-1.x86_64", "a-2.12-1.x86_64", "a-2.1-1.x86_64"), 1, id="C102-version"),
    ],
)
def test_c099_c101_c102_the_newest_by_rpms_order_stays(
    make_place: MakePlace, built: Path, there: tuple[str, ...], stays: int
) -> None:
    """Version and epoch are compared as rpm does; a missing epoch counts as 0."""
    place = keeping(make_place)
    place.publish(*(quick(built, nevra) for nevra in there))
    place.prune()
    assert list(place.sound()) == [there[stays]]


def test_c103_the_only_build_of_an_architecture_stays(make_place: MakePlace, built: Path) -> None:
    """keep 1: foo-2.0.x86_64, foo-1.0.x86_64, foo-1.0.aarch64: the last of them stays."""
    place = keeping(make_place)
    place.publish(*(quick(built, f"foo-{each}") for each in ("2.0-1.x86_64", "1.0-1.x86_64", "1.0-1.aarch64")))
    assert why(place.prune()) == {"foo-1.0-1.x86_64": ("2nd newest of foo.x86_64: keep = 1",)}
    assert set(place.sound()) == {"foo-2.0-1.x86_64", "foo-1.0-1.aarch64"}


def test_c105_versions_of_one_line_are_not_pruned_against_those_of_another(make_place: MakePlace, built: Path) -> None:
    """Protect pattern ``golang = 1.24.*``, keep 1: 1.24.3 and 1.26.0 stay, and the rule is named."""
    place = keeping(make_place, lines=["golang = 1.24.*"])
    versions = ("1.24.3", "1.25.1", "1.26.0", "1.24.1")
    place.publish(*(quick(built, f"golang-{version}-1.x86_64") for version in versions))
    assert why(place.prune()) == {
        "golang-1.24.1-1.x86_64": ("2nd newest of golang.x86_64 (golang = 1.24.*): keep = 1",),
        "golang-1.25.1-1.x86_64": ("2nd newest of golang.x86_64: keep = 1",),
    }
    assert set(place.sound()) == {"golang-1.24.3-1.x86_64", "golang-1.26.0-1.x86_64"}


def test_c107_a_file_is_served_for_the_grace_after_its_build_left(make_place: MakePlace, built: Path) -> None:
    """It leaves metadata at once; GET works for 60 s; after that 404, and the space is free."""
    place = keeping(make_place, generations=1, grace=60)
    place.publish(quick(built, "foo-1.0-1.noarch", files={"/data": os.urandom(100_000)}))
    place.publish(quick(built, "foo-2.0-1.noarch"))
    place.prune()
    # By the record of the generation that it left with, however long that took.
    left_at = json.loads(_record(place.store))["time"]
    assert list(place.sound()) == ["foo-2.0-1.noarch"]
    before = _bytes(place)
    path = Nevra.parse("foo-1.0-1.noarch").location
    for later, status in ((0, 200), (30, 200), (55, 200), (62, 404)):
        place.prune(left_at - time.time() + later)
        assert _get(place, path) == status, f"{later} s after the build left"
    assert before - _bytes(place) > 100_000
    place.sound()


def _get(place: Place, path: str) -> int:
    """The status of a GET from the repository as the daemon serves it."""
    app = open_app({"test": LocalShelf(place.store)})

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://repod") as client:
            return await client.get(f"/repos/test/{path}")

    return asyncio.run(ask()).status_code


def _bytes(place: Place) -> int:
    return sum(map(len, files_below(place.store).values()))


def test_c109_a_rule_by_age_never_removes_the_only_build(make_place: MakePlace, built: Path) -> None:
    """30 days, and the package came 400 days ago: it stays, as does what came within them."""
    place = keeping(make_place, keep_days=30)
    place.publish(quick(built, "stable-1.0-1.noarch"), quick(built, "moving-1.0-1.noarch"))
    place.publish(quick(built, "moving-2.0-1.noarch"), quick(built, "moving-3.0-1.noarch"))
    assert why(place.prune(29 * DAY)) == {}
    gone = why(place.prune(400 * DAY))
    assert gone["moving-2.0-1.noarch"] == (
        "2nd newest of moving.noarch: keep = 1",
        "listed for 400 days: keep_days = 30",
    )
    assert set(place.sound()) == {"stable-1.0-1.noarch", "moving-3.0-1.noarch"}


def test_c111_debug_packages_have_the_fate_of_their_main_package(make_place: MakePlace, built: Path) -> None:
    """Those of a kept kernel stay, whatever their suffix; those of a removed one go."""
    place = keeping(make_place)
    names = ("kernel", "kernel-debuginfo", "kernel-debuginfo-common-x86_64", "kernel-debugsource")
    for release in ("1", "2"):
        source = f"kernel-5.14-{release}.src.rpm"
        place.publish(*(quick(built, f"{name}-5.14-{release}.x86_64", source_rpm=source) for name in names))
    gone = why(place.prune())
    assert set(gone) == {f"{name}-5.14-1.x86_64" for name in names}
    assert gone["kernel-debuginfo-common-x86_64-5.14-1.x86_64"] == (
        "built with kernel-5.14-1.x86_64, which nothing keeps",
    )
    assert set(place.sound()) == {f"{name}-5.14-2.x86_64" for name in names}


def test_debug_packages_of_a_source_that_nobody_names_are_counted_by_themselves(
    make_place: MakePlace, built: Path
) -> None:
    """Builders such as rpm-rs write (none) as the source of all they make; that joins no packages."""
    place = keeping(make_place)
    place.publish(quick(built, "other-1.0-1.x86_64"))
    for version in ("1.0", "2.0"):
        place.publish(*(quick(built, f"{name}-{version}-1.x86_64") for name in ("tool", "tool-debuginfo")))
    assert place.sound()["tool-1.0-1.x86_64"].texts["sourcerpm"] == "(none)"
    assert set(why(place.prune())) == {"tool-1.0-1.x86_64", "tool-debuginfo-1.0-1.x86_64"}


def test_c111_what_rpmbuild_makes_of_one_source_stays_and_goes_together(make_place: MakePlace, built: Path) -> None:
    """Main, sub, debuginfo, debugsource and source package of two versions; the source package is let in too."""
    machine = os.uname().machine
    place = make_place(arches=[machine, "src"], retention={"keep": 1})
    for version in ("1.0", "2.0"):
        made = rpmbuild(built, "prog", version, arch=machine, subpackages=["libs"], source=True, debuginfo=True)
        place.publish(*made)
    before = set(place.sound())
    place.prune()
    assert set(place.sound()) == {nevra for nevra in before if "-2.0-" in nevra}
    assert len(before) == 2 * len(place.sound()) >= 8


def test_c112_what_a_kept_build_requires_stays_as_long_as_that(make_place: MakePlace, built: Path) -> None:
    """foo-{1,2} require foo-libs of their version; foo-libs has 1 to 4; keep 2: foo-libs 1 and 2 stay."""
    place = keeping(make_place, keep=2)
    place.publish(*(quick(built, f"foo-{n}-1.x86_64", requires=[f"foo-libs = {n}-1"]) for n in (1, 2)))
    place.publish(*(quick(built, f"foo-libs-{n}-1.x86_64") for n in (1, 2, 3, 4)))
    assert why(place.prune()) == {}
    place.publish(quick(built, "foo-3-1.x86_64", requires=["foo-libs = 3-1"]))
    assert why(place.prune()) == {
        "foo-1-1.x86_64": ("3rd newest of foo.x86_64: keep = 2",),
        "foo-libs-1-1.x86_64": ("4th newest of foo-libs.x86_64: keep = 2",),
    }
    assert len(place.sound()) == 5


def _answer(ended: Ended) -> list[dict[str, Any]]:
    assert ended.rc == 0, ended.err
    rows: list[dict[str, Any]] = json.loads(ended.out)
    return rows


def test_c113_the_dry_run_is_what_is_done_and_a_second_run_does_nothing(
    tmp_path: Path, key_file: Path, built: Path
) -> None:
    """Its list is the set that goes and the difference of the two metadata, and it changes nothing."""
    repod = Repod(tmp_path, key_file, {"test": {"retention": {"keep": 10, "generations": 1}}})
    for number in range(1, 11):
        quick(built, f"hello-1.0-{number}.noarch").rename(repod.inbox() / f"{number}.rpm")
    assert repod.once().rc == 0
    repod.declare("test", retention={"keep": 3, "generations": 1, "grace": 0})
    repod.write_config()
    before = files_below(repod.store())
    dry = _answer(repod.cli("prune", "test", "--dry-run", "--json"))
    assert files_below(repod.store()) == before
    key = key_file.read_bytes()
    try:
        key_file.write_bytes(b"")
        assert _answer(repod.cli("prune", "test", "--dry-run", "--json")) == dry, "it needs no key"
    finally:
        key_file.write_bytes(key)
    listed = _listed(repod)
    done = _answer(repod.cli("prune", "test", "--json"))
    assert done == dry
    builds = {row["name"] for row in done if row["what"] == "build"}
    assert builds == listed - _listed(repod) == {f"hello-1.0-{number}.noarch" for number in range(1, 8)}
    after = files_below(repod.store())
    assert {row["name"] for row in done if row["what"] == "file"} == before.keys() - after.keys()
    until(lambda: time.time() > json.loads(_record(repod.store()))["time"] + 1, 30, "the clock to move on")
    assert [row for row in _answer(repod.cli("prune", "test", "--json")) if row["what"] == "build"] == []
    assert _answer(repod.cli("prune", "test", "--json")) == []
    assert len(_listed(repod)) == 3


def _listed(repod: Repod) -> set[str]:
    return {row["package"] for row in _answer(repod.cli("packages", "test", "--json"))}


def _record(store: Path) -> bytes:
    """That of the current generation."""
    number = json.loads((store / ".repod/head.json").read_bytes())["generation"]
    return (store / f".repod/generations/{number}.json").read_bytes()


def test_c115_old_documents_go_those_of_groups_and_advisories_too(tmp_path: Path) -> None:
    """500 publishes, 5 generations kept, no grace: at most 5 x records + 3 files in repodata."""
    with site_in(tmp_path) as site:
        publisher = site.opened(FaultyStore(site.inner))
        pruning = pruner(site, publisher=publisher, policy=Policy(keep=500), generations=5)
        for number in range(500):
            text = f"{number}"
            edits = [
                carried.read("comps.xml", comps("hello", group=f"web{text}")),
                carried.read("x.toml", advisory("LAB-1", "hello-1-1.noarch", title=text)),
            ]
            made = entries.made(Nevra.parse(f"hello-{text}-1.noarch"), text)
            site.put(made)
            site.clock.now += 60
            publisher.publish(Change(entries=[made.entry], edits=edits), actor="test", why="")
            pruning.prune(site.clock.now)
        generation = site.generations[0]
        assert (generation.number, sorted(generation.carried)) == (501, ["group", "updateinfo"])
        files = [stored.path for stored in site.inner.list("repodata/")]
        assert len(files) <= 5 * len(generation.documents) + 3
        assert {document.href for document in generation.documents} < set(files)


def test_the_daemon_prunes_once_the_inbox_is_quiet_and_says_so(tmp_path: Path, key_file: Path, built: Path) -> None:
    settings = {"test": {"retention": {"keep": 3, "generations": 1, "grace": 0}}}
    repod = Repod(tmp_path, key_file, settings)
    # All there before it looks: where some come later, the inbox is quiet in between, and there are two prunes.
    for number in range(1, 11):
        quick(built, f"hello-1.0-{number}.noarch").rename(repod.inbox() / f"{number}.rpm")
    with repod:
        until(lambda: repod.find_events("builds left the metadata; their files go after grace"), 60, "a prune")
        until(lambda: _sample(repod, "repod_pruned_packages_total") == 7, 30, "the metric")
        until(lambda: _sample(repod, "repod_packages") == 3, 30, "the other metric")
        assert _sample(repod, "repod_store_bytes") > 3000
        (event,) = repod.find_events("builds left the metadata; their files go after grace")
        assert event["why"] == "7 builds beyond retention: 7 beyond keep = 3"
        assert len(_listed(repod)) == 3


def _sample(repod: Repod, name: str) -> float:
    (value,) = re.findall(rf'^{name}{{repository="test"}} (\S+)$', repod.get("/metrics")[1].decode(), re.MULTILINE)
    return float(value)


def test_where_reports_of_hosts_cannot_be_read_nothing_goes_and_packages_still_come_in(
    make_place: MakePlace, built: Path, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    place = keeping(make_place, hosts=str(reports))
    place.publish(*(quick(built, f"hello-{n}-1.noarch") for n in (1, 2, 3)))
    with place.running():
        until(lambda: place.metric("repod_errors_total", kind="unavailable") >= 1, 60, "an error to be counted")
        place.put(quick(built, "other-1-1.noarch"))
        until(lambda: not place.waiting(), 60, "another package to be published")
    assert len(place.sound()) == 4
    assert any(f"reports of hosts in {reports} cannot be read" in text for text in place.log.errors)
    reports.mkdir()
    (reports / "web1").write_text("hello-1-1.noarch\nbash-5.1-1.x86_64\n")
    assert list(why(place.prune())) == ["hello-2-1.noarch"]


def test_what_another_repository_lists_stays_and_one_that_is_not_there_stops_it(
    tmp_path: Path, key_file: Path, built: Path
) -> None:
    dev = {"retention": {"keep": 1, "needed_by": ["prod"]}}
    repod = Repod(tmp_path, key_file, {"dev": dev, "prod": {}})
    for number in (1, 2, 3):
        quick(built, f"hello-1.0-{number}.noarch").rename(repod.inbox("dev") / f"{number}.rpm")
    quick(built, "hello-1.0-1.noarch").rename(repod.inbox("prod") / "1.rpm")
    assert repod.once().rc == 0
    rows = _answer(repod.cli("packages", "dev", "--json"))
    assert {row["package"] for row in rows} == {"hello-1.0-1.noarch", "hello-1.0-3.noarch"}
    (repod.store("prod") / ".repod/head.json").unlink()
    ended = repod.cli("prune", "dev", "--dry-run")
    assert ended.rc == 4
    assert "repository prod, which needs builds of dev (needed_by), has no generation" in ended.err
