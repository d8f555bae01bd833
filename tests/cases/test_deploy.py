"""Cases about updating hosts."""

import re

from repod.client.fleet import Trouble
from repod.client.runs import document
from tests.lab.runs import NEW, OLD, Fleet, carried_out, plan

HOSTS = [f"web{number}" for number in range(1, 6)]


def test_c143_one_bad_host_aborts_no_other_and_the_report_is_in_the_order_of_the_hosts() -> None:
    for bad in HOSTS:
        fleet = Fleet.of(HOSTS, faults={bad: Trouble.UNREACHABLE})
        standing = carried_out(plan(HOSTS), fleet)
        report = document(standing)
        assert [host.host for host in report.hosts] == HOSTS
        assert [host.state for host in report.hosts] == ["failed" if host == bad else "proven" for host in HOSTS]
        assert {host.trouble for host in report.hosts if host.host == bad} == {"unreachable"}
        assert (standing.proven, report.state) == (False, "stopped")


def test_c145_hosts_of_all_waves_get_the_version_of_the_start_and_the_run_says_that_another_came() -> None:
    generation = 12

    def publish(_: str) -> None:
        nonlocal generation
        generation += 1

    fleet = Fleet.of(HOSTS, holds=publish)
    standing = carried_out(plan(HOSTS, wave="2"), fleet, generation=lambda: generation)
    assert fleet.runs == dict.fromkeys(HOSTS, NEW) != dict.fromkeys(HOSTS, OLD)
    report = document(standing)
    assert {host.after for host in report.hosts} == {NEW[0]}
    assert re.search(r"prod is at generation 1[34] now; .* fixed at its start, by generation 12", report.problem)
    assert report.state == "succeeded"
