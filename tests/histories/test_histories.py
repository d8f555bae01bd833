"""Concurrent daemons, commands and readers: every history is one that a sequential repository could have had.

The long form is ``python -m tests.histories --schedules N --seed S``.
"""

import pytest

from tests.histories import broken
from tests.histories.__main__ import main, told
from tests.histories.actors import Deed
from tests.histories.schedule import Broken, Result, schedules

_SHORT = 60
_ENOUGH = 40  # seeds in which a broken part is found at the latest


def test_every_history_of_random_schedules_is_one_of_a_sequential_repository() -> None:
    with schedules() as some:
        for seed in range(_SHORT):
            _sound(some.run(seed))


def test_the_same_seed_is_the_same_history() -> None:
    with schedules() as some, schedules() as others:
        digests = [some.run(seed).digest for seed in range(100, 106)]
        assert digests == [others.run(seed).digest for seed in range(100, 106)]
        assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("store", "rules"),
    [
        (broken.NoCompareAndSwap, {"what is immutable stays", "a number is used once"}),
        (broken.LosesWrites, {"what is listed is there"}),
        (broken.ReadsStale, {"a reader never sees generation or time go back"}),
    ],
)
def test_a_store_that_breaks_its_promise_is_found(store: Broken, rules: set[str]) -> None:
    found = _found(store=store)
    assert rules & {violation.rule for violation in found.violations}, told(found)
    _readable(found)


@pytest.mark.parametrize(
    ("deed", "rule"),
    [
        (broken.removes_nothing, "what was told is so"),
        (broken.removes_files_too_soon, "what is needed stays"),
        (broken.keeps_quiet, "what was refused has no effect"),
    ],
)
def test_an_operation_that_breaks_its_promise_is_found(deed: Deed, rule: str) -> None:
    found = _found(deed=deed)
    assert rule in {violation.rule for violation in found.violations}, told(found)
    _readable(found)


def test_the_long_form_prints_its_figures_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schedules", "2", "--seed", "7", "--actors", "daemons=1,people=1"]) == 0
    out = capsys.readouterr().out
    assert "| schedules | 2 (seeds 7 to 8) |" in out
    assert "| that break a promise | 0 |" in out
    assert "| operation | done | refused | failed | died |" in out


def _sound(result: Result) -> None:
    assert not result.violations, told(result)


def _found(store: Broken | None = None, deed: Deed | None = None) -> Result:
    """The first history in which something is wrong."""
    with schedules(broken=store, deed=deed) as some:
        results = (some.run(seed) for seed in range(_ENOUGH))
        return next(result for result in results if result.violations)


def _readable(result: Result) -> None:
    """It says which seed it was and how to see it again, and fits on two screens."""
    text = told(result)
    assert f"seed {result.seed} (again: python -m tests.histories --schedules 1 --seed {result.seed})" in text
    assert "remove" in text or "arrive" in text
    assert len(result.story) < 80
