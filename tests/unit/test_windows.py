"""Maintenance windows: what people write, and when one is open."""

import calendar
import time

import pytest

from repod.windows import Window

_MONDAY = calendar.timegm((2026, 11, 23, 0, 0, 0))


def at(day: int, clock: str) -> float:
    """Seconds since 1970 of that time of a day of the week (0 is Monday), in UTC."""
    hours, _, minutes = clock.partition(":")
    return _MONDAY + day * 86400 + int(hours) * 3600 + int(minutes) * 60


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("02:00-03:30 UTC", [(0, "02:00"), (6, "03:29")], [(0, "01:59"), (6, "03:30")]),
        ("daily 02:00-03:30 UTC", [(3, "02:00")], [(3, "03:30")]),
        (
            "Mon-Fri 22:00-04:00 UTC",
            [(0, "22:00"), (4, "23:59"), (5, "03:59"), (1, "00:00")],
            [(0, "03:59"), (5, "22:00"), (6, "03:00")],
        ),
        ("sat,SUN 00:00-24:00 UTC", [(5, "00:00"), (6, "23:59")], [(4, "23:59"), (0, "00:00")]),
        ("Sun-Tue 01:00-02:00 UTC", [(6, "01:00"), (0, "01:00"), (1, "01:00")], [(2, "01:00"), (5, "01:00")]),
        ("Fri 9:05-9:06 UTC", [(4, "09:05")], [(4, "09:06"), (3, "09:05")]),
    ],
)
def test_a_window_is_open_in_its_minutes_and_no_others(
    text: str, inside: list[tuple[int, str]], outside: list[tuple[int, str]]
) -> None:
    window = Window.parse(text)
    assert [moment for moment in inside if not window.is_open(at(*moment))] == []
    assert [moment for moment in outside if window.is_open(at(*moment))] == []


def test_without_utc_the_clock_of_the_host_counts() -> None:
    def two_hours_ahead(now: float) -> time.struct_time:
        return time.gmtime(now + 7200)

    window = Window.parse("Mon 01:00-02:00")
    assert window.is_open(at(6, "23:00"), two_hours_ahead)
    assert not window.is_open(at(0, "01:00"), two_hours_ahead)


@pytest.mark.parametrize(
    "text",
    ["", "night", "02:00", "02:00-02:00", "24:00-01:00", "02:00-24:01", "02:60-03:00", "Mo 02:00-03:00",
     "Mon- 1:00-2:00", "Mon,,Tue 01:00-02:00", "1:00-2:00 CET", "Mon-Fri-Sun 1:00-2:00", "1:00-2:00\n3:00-4:00"],
)  # fmt: skip
def test_what_is_no_window_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected a window such as 'Mon-Fri 22:00-04:00'"):
        Window.parse(text)
