"""A run as people and CI systems see it: lines, a table that fits the terminal, JUnit."""

import io
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from repod.client.fleet import Trouble
from repod.client.junit import junit
from repod.client.live import Lines, Table, change, chosen, line_of, shares, summary
from repod.client.runs import Progress, Standing, begun
from tests.lab.runs import NEW, OLD, START, Fleet, carried_out, installed, plan

HOSTS = [f"web{number}" for number in range(1, 5)]


def many(count: int) -> Standing:
    """A run over so many hosts, a few at work, a few failed, half of the rest done."""
    standing = begun(plan([f"web{number:03}" for number in range(count)], wave="25%"))
    rows = {}
    for number, row in enumerate(standing.rows):
        if number % 50 == 7:
            found = replace(row, state="updating", phase="updating", before=[installed(OLD)], began=START)
        elif number % 100 == 3:
            found = replace(row, state="failed", trouble=Trouble.FULL, text="no room in /var", seconds=2.0)
        elif number < count // 2:
            found = replace(row, state="proven", before=[installed(OLD)], after=[installed(NEW)], seconds=1.25)
        else:
            found = row
        rows[row.host] = found
    return replace(standing, hosts=rows)


def test_without_a_terminal_each_change_is_a_line_with_its_time() -> None:
    lines: list[str] = []
    view = Lines(lines.append, lambda: START)
    fleet = Fleet.of(HOSTS[:2], sick={"web2"})
    carried_out(plan(HOSTS[:2], wave="1", pause=30, on_failure="downgrade", downgrade="failed"), fleet, watchers=[view])
    told = [line.removeprefix("2026-11-26T08:15:00Z ") for line in lines]
    assert told == [
        "web1: updating",
        "web1: checking, hello 1.0-1 → 2.0-1",
        "web1: proven, hello 1.0-1 → 2.0-1, 0.0 s",
        "waits until 2026-11-26T08:15:30Z for wave 2",
        "web2: updating",
        "web2: checking, hello 1.0-1 → 2.0-1",
        "web2: taking back, hello 1.0-1 → 2.0-1 (unhealthy: web2 answers 500, expected 200)",
        "web2: downgraded, hello 1.0-1, 0.0 s (unhealthy: web2 answers 500, expected 200)",
    ]


def test_a_summary_says_how_many_hosts_are_in_which_state() -> None:
    assert summary(many(500)) == "500 hosts: 5 failed, 10 updating, 242 proven, 243 pending"


def test_where_there_is_no_room_for_all_those_at_work_and_those_that_failed_are_shown() -> None:
    found = chosen(many(500).rows, 20)
    assert len(found) == 20
    states = [row.state for row in found]
    assert (states.count("updating"), states.count("failed"), states.count("proven")) == (10, 5, 5)
    assert [row.host for row in found] == sorted(row.host for row in found)


def test_a_table_of_500_hosts_fits_the_terminal_and_steers_nothing() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, height=24, color_system=None, legacy_windows=False)
    table = Table(console, lambda: START + 3)
    standing = many(500)
    row = replace(standing.hosts["web003"], text="\x1b[2Jno room")
    table.changed(replace(standing, hosts={**standing.hosts, "web003": row}))
    console.print(table._drawn())
    drawn = out.getvalue()
    lines = drawn.splitlines()
    assert len(lines) <= 24
    assert lines[0].startswith("500 hosts: 5 failed, 10 updating")
    assert lines[-1].startswith("and 484 more")
    assert "web007" in drawn
    assert "\x1b" not in drawn


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_long_problem_leaves_host_and_state_to_be_read(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=24, color_system=None, legacy_windows=False)
    table = Table(console, lambda: START + 3)
    standing = begun(plan(HOSTS))
    sick = Progress(host="web2", wave=1, state="updating", phase="taking back", before=[installed(OLD)], began=START)
    row = replace(sick, after=[installed(NEW)], trouble=Trouble.UNHEALTHY, text="check 'test -e /a' ends with 1 " * 5)
    table.changed(replace(standing, hosts={**standing.hosts, "web2": row}))
    console.print(table._drawn())
    lines = out.getvalue().splitlines()
    assert lines[1].split()[:3] == ["host", "wave", "state"]
    found = next(line for line in lines if line.startswith("web2"))
    assert found.startswith("web2     1  taking back  hello 1.0")
    assert found.rstrip().endswith("…")
    assert len(found.rstrip()) <= width


def test_names_of_builds_give_way_to_a_problem_and_names_of_hosts_to_all() -> None:
    assert shares(80, [4, 1, 11, 24, 3, 90]) == (4, 24, 20)
    assert shares(80, [4, 1, 11, 40, 3, 90]) == (4, 24, 20)
    assert shares(80, [4, 1, 11, 40, 3, 0]) == (4, 40, 4)
    assert shares(80, [60, 1, 11, 24, 3, 0]) == (26, 22, 0)
    assert shares(40, [60, 1, 11, 24, 3, 90]) == (13, 10, 0)


def test_a_host_in_one_line_says_all_that_is_known() -> None:
    assert line_of(Progress(host="web1", wave=1)) == "web1: pending"
    row = Progress(host="web1", wave=1, state="failed", trouble=Trouble.SUDO, text="sudo asks", seconds=0.5)
    assert line_of(row) == "web1: failed, 0.5 s (sudo: sudo asks)"


def test_junit_has_a_case_for_each_host_with_what_went_wrong() -> None:
    fleet = Fleet.of(HOSTS, sick={"web2"})
    standing = carried_out(plan(HOSTS, canary=1, wave="1"), fleet)
    row = replace(standing.hosts["web2"], output="last\x00 <words>")
    root = ET.fromstring(junit(replace(standing, hosts={**standing.hosts, "web2": row})))
    suite = root.find("testsuite")
    assert suite is not None
    assert [suite.get(key) for key in ("tests", "failures", "skipped", "errors")] == ["4", "1", "2", "0"]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == HOSTS
    assert cases["web1"].get("classname") == "web.canaries"
    assert NEW[1] in (cases["web1"].findtext("system-out") or "")
    failure = cases["web2"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.text) == ("unhealthy", "last\ufffd <words>")
    skipped = cases["web3"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "1 host failed, and at most 0 may"


def test_of_several_packages_the_first_that_differs_is_shown() -> None:
    tool, more = installed(("tool-1.0-1.noarch", "")), installed(("aaa-1.0-1.noarch", ""))
    row = Progress(host="web1", wave=1, state="proven")
    both = replace(row, before=[tool, installed(OLD)], after=[more, installed(NEW), tool])
    assert change(both) == "nothing → aaa-1.0-1.noarch"
    assert change(replace(both, after=[installed(NEW), tool])) == "hello 1.0-1 → 2.0-1"
    assert change(replace(both, after=both.before or ())) == "tool 1.0-1"
    assert change(replace(row, state="updating", phase="updating", before=[tool])) == "tool 1.0-1 → …"
