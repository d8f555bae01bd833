"""From samples to verdicts: pure. Every bound stands here, and none is a time."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WARM_UP = 0.35
"""The part of a run that is not judged: caches fill, pools grow to their size, retention finds its balance."""

LEAST = 120.0
"""Seconds of samples below which drift is shown and not judged."""

SHARE = 0.10
"""Growth over what is judged, as a part of the level, that is no leak: the longer the run, the finer."""

FLOORS: Mapping[str, float] = {
    "daemon RSS, MiB": 8,
    "daemon PSS, MiB": 8,
    "workers RSS, MiB": 16,
    "workers PSS, MiB": 16,
    "processes": 1,
    "threads": 4,
    "open files": 12,
    "files in TMPDIR": 2,
    "files in state_dir/work": 8,
    "bytes of /metrics": 4096,
}
"""Growth that is no leak however low the level is, in the gauge's own unit."""

_POINTS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was asked, what was found, and whether that is as it must be (None: it could not be judged)."""

    what: str
    found: str
    bound: str
    fine: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a gauge moves: its level, its slope per hour, its growth over ``window`` seconds."""

    level: float
    per_hour: float
    growth: float
    window: float


def drift(at: Sequence[float], values: Sequence[float], warm_up: float = WARM_UP) -> Drift:
    """The median of all slopes between two samples (Theil and Sen): peaks of single bursts do not move it."""
    begin = at[0] + warm_up * (at[-1] - at[0]) if at else 0.0
    points = [(x, y) for x, y in zip(at, values, strict=True) if x >= begin]
    points = points[:: max(1, len(points) // _POINTS)]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for number, earlier in enumerate(points)
        for later in points[number + 1 :]
        if later[0] > earlier[0]
    ]
    slope = statistics.median(slopes) if slopes else 0.0
    window = points[-1][0] - points[0][0] if points else 0.0
    level = statistics.median(y for _, y in points) if points else 0.0
    return Drift(level=level, per_hour=slope * 3600, growth=slope * window, window=window)


def flat(gauge: str, at: Sequence[float], values: Sequence[float]) -> Verdict:
    """A gauge does not grow, beyond what its bound says."""
    moved = drift(at, values)
    most = max(FLOORS[gauge], SHARE * moved.level)
    grown = f"{moved.growth:+,.1f} in {moved.window / 60:.1f} min"
    return Verdict(
        what=f"{gauge}: flat",
        found=f"{moved.level:,.0f}; {moved.per_hour:+,.1f} an hour, {grown}",
        bound=f"at most {most:+,.1f}",
        fine=None if moved.window < LEAST else moved.growth <= most,
    )


def none_of(what: str, found: Sequence[str], of: str = "") -> Verdict:
    """Nothing of a kind happened; ``of``: among how many things it could have."""
    said = f"{len(found)}{f' of {of}' if of else ''}"
    return Verdict(what=what, found=said, bound="0", fine=not found)


def at_most(what: str, values: Sequence[float], most: float) -> Verdict:
    """A number never was above a bound."""
    highest = max(values, default=0.0)
    return Verdict(what=what, found=f"{highest:,.0f}", bound=f"{most:,.0f}", fine=highest <= most)


def not_starved(pairs: Sequence[tuple[float, float]]) -> Verdict:
    """Of drops in the midst of a burst of another repository: how long each took, and how long the whole burst.

    Most take less: who waits for the whole burst is starved.
    """
    before = sum(1 for alone, whole in pairs if alone < whole)
    return Verdict(
        what="a package alone does not wait for another repository's burst",
        found=f"{before} of {len(pairs)} took less time than the burst",
        bound="three in four",
        fine=before >= 0.75 * len(pairs) if pairs else None,
    )


def percentiles(seconds: Sequence[float]) -> tuple[float, float, float, float]:
    """p50, p90, p99 and the longest; of nothing, zeros."""
    row = sorted(seconds) or [0.0]
    p50, p90, p99 = (row[min(len(row) - 1, int(len(row) * part))] for part in (0.5, 0.9, 0.99))
    return p50, p90, p99, row[-1]
