"""Which hosts are updated when, and when a run is stopped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.client.waves import Ring, Wave, allowed, planned, size_of, stopping

names = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True), max_size=60)
counts = st.one_of(st.integers(1, 80).map(str), st.integers(1, 100).map(lambda share: f"{share}%"))


@given(st.lists(names, max_size=4), st.integers(0, 5), counts)
def test_each_host_is_in_exactly_one_wave_in_the_order_given(rings: list[list[str]], canary: int, wave: str) -> None:
    found = planned([Ring(name=f"ring{n}", hosts=hosts) for n, hosts in enumerate(rings)], canary=canary, wave=wave)
    assert [host for one in found for host in one.hosts] == list(dict.fromkeys(host for ring in rings for host in ring))
    assert all(one.hosts for one in found)


@given(names, st.integers(0, 5), counts)
def test_no_wave_is_larger_than_was_said_and_only_the_last_is_smaller(hosts: list[str], canary: int, wave: str) -> None:
    found = planned([Ring(name="", hosts=hosts)], canary=canary, wave=wave)
    several = len(set(hosts))
    first = [one for one in found if one.number == 0]
    assert [len(one.hosts) for one in first] == ([min(canary, several)] if canary and several else [])
    rest = [len(one.hosts) for one in found if one.number > 0]
    assert all(size == size_of(wave, several) for size in rest[:-1])
    assert all(0 < size <= size_of(wave, several) for size in rest)


@given(st.lists(names, max_size=4), st.integers(0, 3))
def test_waves_are_numbered_one_by_one_and_only_canaries_have_number_0(rings: list[list[str]], canary: int) -> None:
    found = planned([Ring(name=f"r{n}", hosts=hosts) for n, hosts in enumerate(rings)], canary=canary, wave="30%")
    start = 0 if canary else 1
    assert [one.number for one in found] == list(range(start, start + len(found)))


@given(st.integers(1, 100), st.integers(1, 10_000))
def test_a_share_of_hosts_is_never_none_nor_more_than_all_nor_less_than_the_share(share: int, of: int) -> None:
    size = size_of(f"{share}%", of)
    assert 1 <= size <= of
    assert size * 100 >= share * of
    assert (size - 1) * 100 < share * of


@pytest.mark.parametrize(
    ("count", "of", "size"), [("25%", 3, 1), ("25%", 12, 3), ("25%", 13, 4), ("100%", 7, 7), ("1%", 5, 1), ("5", 3, 5)]
)
def test_a_share_is_rounded_up_to_whole_hosts(count: str, of: int, size: int) -> None:
    assert size_of(count, of) == size


@pytest.mark.parametrize(
    ("count", "of", "most"), [("10%", 3, 0), ("10%", 12, 1), ("0", 9, 0), ("2", 9, 2), ("50%", 3, 1)]
)
def test_a_share_that_may_fail_is_rounded_down(count: str, of: int, most: int) -> None:
    assert allowed(count, of) == most


def test_a_wave_says_why_it_is_as_it_is_and_how_long_it_waits() -> None:
    rings = [Ring(name="staging", hosts=["s1", "s2"]), Ring(name="prod", hosts=["s1", "p1", "p2", "p3"])]
    found = planned(rings, canary=1, wave="50%", pause=60, soak=3600)
    assert [(one.title, one.hosts, one.why, one.wait) for one in found] == [
        ("canaries", ["s1"], "the first of 2 hosts, alone; ring staging", 0.0),
        ("wave 1", ["s2"], "50% of 2 hosts is 1; ring staging", 60),
        ("wave 2", ["p1", "p2"], "50% of 3 hosts is 2; ring prod", 3600),
        ("wave 3", ["p3"], "50% of 3 hosts is 2; the last 1; ring prod", 60),
    ]


WAVES = [
    Wave(number=0, hosts=["a"], why=""),
    Wave(number=1, hosts=["b", "c", "d"], why=""),
    Wave(number=2, hosts=["e", "f"], why=""),
]


@pytest.mark.parametrize(
    ("failed", "most", "why"),
    [
        ([], "0", ""),
        (["b"], "1", ""),
        (["a"], "6", "canary a failed"),
        (["b"], "0", "1 host failed, and at most 0 may"),
        (["b", "e"], "20%", "2 hosts failed, and at most 1 (20% of 6 hosts) may"),
        (["b", "c", "d", "e", "f"], "100%", ""),
    ],
)
def test_a_run_is_stopped_by_a_canary_or_by_more_failures_than_may_be(failed: list[str], most: str, why: str) -> None:
    assert stopping(WAVES, failed, most) == why


@given(st.sets(st.sampled_from("bcdef")), st.sampled_from(["0", "1", "3", "20%", "50%", "100%"]))
def test_one_failure_more_never_lets_a_stopped_run_go_on(failed: set[str], most: str) -> None:
    if stopping(WAVES, failed, most):
        assert all(stopping(WAVES, failed | {other}, most) for other in "bcdef")
