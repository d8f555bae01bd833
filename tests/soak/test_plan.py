"""The plan of a day: the same for the same seed, and with all that a day of CI has in it."""

from collections import Counter
from pathlib import Path

from tests.soak.judge import Verdict
from tests.soak.plan import BAD, WAYS, Shape, plan
from tests.soak.report import Found, text_of, write

_SHAPE = Shape(seed=7)


def test_the_same_seed_gives_the_same_day_and_another_one_another() -> None:
    assert plan(_SHAPE) == plan(Shape(seed=7))
    assert plan(_SHAPE) != plan(Shape(seed=8))


def test_a_day_has_every_way_and_every_fault_in_every_repository_and_ends_before_the_run_does() -> None:
    drops = plan(_SHAPE).drops
    assert len(drops) == _SHAPE.packages
    assert {drop.way for drop in drops} == set(WAYS)
    assert {drop.fault for drop in drops} == {"", *BAD}
    assert {drop.repository for drop in drops} == set(_SHAPE.names)
    assert max(drop.at for drop in drops) < _SHAPE.seconds
    assert len({drop.file for drop in drops}) == len(drops)


def test_no_two_good_packages_of_a_day_are_of_one_nevra_in_one_repository() -> None:
    fresh = [drop for drop in plan(_SHAPE).drops if drop.of is None]
    (most,) = Counter((drop.repository, drop.nvra) for drop in fresh).most_common(1)
    assert most[1] == 1


def test_a_package_alone_comes_into_the_midst_of_each_burst_in_another_repository() -> None:
    drops = plan(_SHAPE).drops
    bursts = {drop.burst: drop for drop in drops if drop.burst}
    beside = [drop for drop in drops if drop.beside]
    assert {drop.beside for drop in beside} == set(bursts)
    assert all(drop.repository != bursts[drop.beside].repository and not drop.fault for drop in beside)


def test_what_comes_again_came_before() -> None:
    drops = {drop.number: drop for drop in plan(_SHAPE).drops}
    again = [drop for drop in drops.values() if drop.of is not None]
    assert again
    assert all(drops[drop.of].at < drop.at for drop in again if drop.of is not None)


def test_the_report_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- last run: begin -->\nold\n<!-- last run: end -->\nafter\n")
    found = Found(
        shape=_SHAPE,
        command="python -m tests.soak",
        load=[1.0, 2.0],
        figures=[("drops", "5,000")],
        latencies=[("cp", [0.5])],
        verdicts=[Verdict(what="threads: flat", found="+9", bound="at most +4", fine=False)],
        violations=["one"],
    )
    write(text_of(found), readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "\nold\n" not in text
    assert "| threads: flat | +9 | at most +4 | **violated** |" in text
    assert not found.fine
