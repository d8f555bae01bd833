"""The judge: what it takes for a leak, and what not; samples are made here, and no clock is asked."""

import math

import pytest

from tests.soak.judge import FLOORS, LEAST, at_most, drift, flat, none_of, not_starved, percentiles
from tests.soak.probing import GAUGES

_HOUR = 3600.0


def _samples(
    seconds: float, per_hour: float, level: float = 200.0, every: float = 3.0
) -> tuple[list[float], list[float]]:
    """A gauge that grows evenly under waves, with a peak in every tenth sample."""
    at = [every * number for number in range(int(seconds / every))]
    peaks = [40.0 if number % 10 == 0 else 0.0 for number in range(len(at))]
    return at, [level + per_hour * x / _HOUR + 3 * math.sin(x / 7) + peak for x, peak in zip(at, peaks, strict=True)]


def test_a_gauge_that_only_swings_is_flat() -> None:
    assert flat("daemon PSS, MiB", *_samples(1200, per_hour=0)).fine is True


def test_growth_of_a_tenth_of_the_level_over_what_is_judged_is_a_leak() -> None:
    # 65 % of twenty minutes are judged: 13 minutes, in which a tenth of 200 MiB is 92 MiB an hour.
    assert flat("daemon PSS, MiB", *_samples(1200, per_hour=150)).fine is False
    assert flat("daemon PSS, MiB", *_samples(1200, per_hour=40)).fine is True


def test_the_longer_the_run_the_smaller_the_leak_that_is_found() -> None:
    assert flat("daemon PSS, MiB", *_samples(1200, per_hour=5)).fine is True
    assert flat("daemon PSS, MiB", *_samples(24 * _HOUR, per_hour=5, every=60)).fine is False


def test_what_fills_while_it_warms_up_is_no_leak() -> None:
    at, values = _samples(1200, per_hour=0)
    filling = [value - max(0.0, 150 - 150 * x / 400) for x, value in zip(at, values, strict=True)]
    assert flat("daemon PSS, MiB", at, filling).fine is True


def test_a_gauge_that_falls_is_no_leak() -> None:
    assert flat("workers PSS, MiB", *_samples(1200, per_hour=-500)).fine is True


@pytest.mark.parametrize("gauge", ["threads", "open files", "files in TMPDIR", "processes"])
def test_one_more_each_minute_is_a_leak_of_anything_that_is_counted(gauge: str) -> None:
    at = [float(second) for second in range(0, 1200, 3)]
    assert flat(gauge, at, [20.0 + second // 60 for second in range(0, 1200, 3)]).fine is False
    assert flat(gauge, at, [20.0 for _ in at]).fine is True


def test_a_run_that_is_too_short_is_shown_and_not_judged() -> None:
    verdict = flat("daemon PSS, MiB", *_samples(LEAST, per_hour=10_000))
    assert verdict.fine is None
    assert "an hour" in verdict.found


def test_a_run_without_samples_is_not_judged() -> None:
    assert flat("threads", [], []).fine is None
    assert drift([5.0], [1.0]).growth == 0


def test_every_gauge_has_a_bound() -> None:
    assert set(FLOORS) < set(GAUGES)
    assert set(GAUGES) - set(FLOORS) == {"files in state_dir"}


def test_a_number_above_its_bound_is_a_violation_however_short_it_was() -> None:
    assert at_most("files", [1.0, 9.0, 1.0], 8).fine is False
    assert at_most("files", [1.0, 8.0], 8).fine is True


def test_whoever_waits_for_the_whole_burst_of_another_is_starved() -> None:
    assert not_starved([(1.0, 9.0)] * 9 + [(9.5, 9.0)]).fine is True
    assert not_starved([(1.0, 9.0), (9.5, 9.0)]).fine is False
    assert not_starved([]).fine is None


def test_one_error_among_thousands_is_a_violation() -> None:
    assert none_of("reads that failed", ["404"], "9,000").fine is False
    assert none_of("reads that failed", [], "9,000").fine is True


def test_percentiles_are_those_of_the_sorted_values() -> None:
    assert percentiles([float(number) for number in reversed(range(100))]) == (50.0, 90.0, 99.0, 99.0)
    assert percentiles([]) == (0.0, 0.0, 0.0, 0.0)
