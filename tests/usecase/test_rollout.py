"""Hosts are brought to their aim in waves: who begins when, what stops it, who is taken back, what is kept."""

import threading
import time
from dataclasses import replace

from repod.client.fleet import Installed, Trouble
from repod.client.rundoors import Brake
from repod.client.runs import Progress, Standing, begun, document
from repod.client.waves import Ring
from repod.errors import Unavailable
from tests.lab.runs import NEW, OLD, Clock, Fleet, Pages, carried_out, installed, plan, states
from tests.lab.wait import until

HOSTS = [f"web{number}" for number in range(1, 7)]


def test_hosts_are_brought_wave_by_wave_and_each_is_proven() -> None:
    fleet = Fleet.of(HOSTS)
    standing = carried_out(plan(HOSTS, canary=1, wave="50%"), fleet)
    assert (standing.end, standing.problem) == ("succeeded", "")
    assert set(states(standing).values()) == {"proven"}
    brought = fleet.of_kind("bring")
    assert (brought[:1], set(brought[1:4]), set(brought[4:])) == (["web1"], {*HOSTS[1:4]}, {*HOSTS[4:]})
    assert fleet.of_kind("wave") == ["0", "1", "2"]
    assert standing.rows[0].before == [installed(OLD)]
    assert standing.rows[0].after == [installed(NEW)]


def test_a_canary_that_fails_stops_the_run_whatever_may_fail_and_no_other_host_is_touched() -> None:
    fleet = Fleet.of(HOSTS, sick={"web1"})
    standing = carried_out(plan(HOSTS, canary=1, max_failures="100%", on_failure="downgrade"), fleet)
    assert (standing.end, standing.problem) == ("stopped", "canary web1 failed")
    assert fleet.runs == dict.fromkeys(HOSTS, OLD)
    assert {host for _, host in fleet.asked} == {"web1"}
    report = document(standing)
    assert [host.state for host in report.hosts] == ["downgraded"] + ["untouched"] * 5
    first = report.hosts[0]
    assert (first.trouble, first.problem) == ("unhealthy", "web1 answers 500, expected 200")
    assert (first.after, first.header_sha256) == OLD


def test_without_a_way_back_a_host_that_failed_keeps_what_it_has() -> None:
    fleet = Fleet.of(HOSTS, sick={"web1"})
    standing = carried_out(plan(HOSTS, canary=1), fleet)
    assert states(standing)["web1"] == "failed"
    assert (fleet.runs["web1"], fleet.of_kind("restore")) == (NEW, [])


def test_as_many_may_fail_as_is_said_and_the_next_one_stops_the_run() -> None:
    faults = {"web1": Trouble.UNREACHABLE, "web3": Trouble.SUDO}
    fine = carried_out(plan(HOSTS, wave="2", max_failures="2"), Fleet.of(HOSTS, faults=faults))
    assert (fine.end, fine.failed) == ("failed", ["web1", "web3"])
    stopped = carried_out(plan(HOSTS, wave="2", max_failures="20%"), Fleet.of(HOSTS, faults=faults))
    assert stopped.problem == "2 hosts failed, and at most 1 (20% of 6 hosts) may"
    assert [row.state for row in stopped.rows] == ["failed", "proven", "failed", "proven", "pending", "pending"]


def test_where_the_build_stops_the_run_all_hosts_that_it_updated_are_taken_back() -> None:
    fleet = Fleet.of(HOSTS, sick={"web3"})
    fleet.runs["web2"] = NEW
    standing = carried_out(plan(HOSTS, wave="2", on_failure="downgrade"), fleet)
    assert states(standing) == {
        "web1": "downgraded",
        "web2": "proven",  # it ran the build before this run
        "web3": "downgraded",
        "web4": "downgraded",
        "web5": "pending",
        "web6": "pending",
    }
    assert standing.failed == ["web3"]
    assert standing.hosts["web1"].text == "taken back: the run was stopped"
    assert fleet.runs["web1"] == OLD


def test_only_those_that_failed_are_taken_back_where_that_is_set() -> None:
    fleet = Fleet.of(HOSTS, sick={"web3"})
    standing = carried_out(plan(HOSTS, wave="2", on_failure="downgrade", downgrade="failed"), fleet)
    assert [row.state for row in standing.rows] == ["proven", "proven", "downgraded", "proven", "pending", "pending"]


def test_hosts_that_cannot_be_reached_say_nothing_of_the_build_so_nobody_is_taken_back() -> None:
    fleet = Fleet.of(HOSTS, faults={"web3": Trouble.UNREACHABLE})
    standing = carried_out(plan(HOSTS, wave="2", on_failure="downgrade"), fleet)
    assert standing.end == "stopped"
    assert fleet.of_kind("restore") == []
    assert states(standing)["web1"] == "proven"


def test_one_that_cannot_be_taken_back_is_failed_with_both_reasons() -> None:
    fleet = Fleet.of(HOSTS, sick={"web1"}, stuck={"web1"})
    standing = carried_out(plan(HOSTS, canary=1, on_failure="downgrade"), fleet)
    row = standing.rows[0]
    assert (row.state, row.trouble) == ("failed", Trouble.UNHEALTHY)
    assert row.text == ("web1 answers 500, expected 200; it could not be taken back: the lock is held by process 7")


def test_a_wave_whose_check_fails_stops_the_run_and_is_taken_back() -> None:
    fleet = Fleet.of(HOSTS, bad_waves={2})
    standing = carried_out(plan(HOSTS, wave="2", on_failure="downgrade", downgrade="failed"), fleet)
    assert standing.problem == "wave 2: errors are 0.2, expected < 0.01"
    assert [row.state for row in standing.rows] == [*["proven"] * 2, *["downgraded"] * 2, *["pending"] * 2]
    everyone = carried_out(plan(HOSTS, wave="2", on_failure="downgrade"), Fleet.of(HOSTS, bad_waves={2}))
    assert [row.state for row in everyone.rows] == [*["downgraded"] * 4, *["pending"] * 2]


def test_between_waves_it_pauses_and_between_rings_it_soaks() -> None:
    rings = [Ring(name="staging", hosts=HOSTS[:2]), Ring(name="prod", hosts=HOSTS[2:])]
    clock, pages = Clock(), Pages()
    what = plan(HOSTS, rings=rings, wave="50%", pause=10, soak=3600)
    standing = carried_out(what, Fleet.of(HOSTS), time=clock.time(), watchers=[pages])
    assert standing.end == "succeeded"
    assert round(clock.slept) == 10 + 3600 + 10
    doing = list(dict.fromkeys(told.doing for told, _ in pages.heard))
    assert "waits until 2026-11-26T09:15:10Z for wave 3 of ring prod" in doing


def test_more_hosts_than_may_be_at_work_wait_for_their_turn() -> None:
    most, active, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def holds(_: str) -> None:
        nonlocal most, active
        with lock:
            active += 1
            most = max(most, active)
        both.wait(60)
        with lock:
            active -= 1

    carried_out(plan(HOSTS, parallel=2), Fleet.of(HOSTS, holds=holds))
    assert most == 2


def test_asked_to_stop_it_ends_with_the_hosts_at_work_and_a_later_process_does_the_rest() -> None:
    brake, pages = Brake(), Pages()
    fleet = Fleet.of(HOSTS, holds=lambda host: brake.pull("Ctrl-C") if host == "web2" else None)
    standing = carried_out(plan(HOSTS, wave="2"), fleet, brake=brake, journal=pages)
    assert (standing.end, standing.problem) == ("interrupted", "Ctrl-C")
    assert [row.state for row in standing.rows] == [*["proven"] * 2, *["pending"] * 4]
    assert document(standing).state == "stopped"
    again = carried_out(standing, fleet)
    assert again.end == "succeeded"
    assert fleet.of_kind("look") == ["web1", "web2"] or fleet.of_kind("look") == ["web2", "web1"]
    assert sorted(fleet.of_kind("bring")) == HOSTS
    assert again.rows[0].before == [installed(OLD)]


def test_asked_twice_it_leaves_what_is_at_work_to_itself_and_says_so() -> None:
    brake, go_on = Brake(), threading.Event()

    def holds(_: str) -> None:
        brake.pull("Ctrl-C")
        go_on.wait(30)

    fleet = Fleet.of(HOSTS[:2], holds=holds)
    standing = carried_out(plan(HOSTS[:2], wave="2"), fleet, brake=brake)
    assert standing.end == "interrupted"
    for row in standing.rows:
        assert row.state == "updating"
        assert row.text.startswith("not waited for: what was begun on it goes on there")
        assert row.before == [installed(OLD)]
    go_on.set()


def test_a_host_that_hangs_is_left_to_itself_after_its_limit_and_delays_nobody() -> None:
    clock, go_on = Clock(), threading.Event()

    def holds(host: str) -> None:
        if host == "web1":
            until(lambda: len(fleet.of_kind("check")) == 5, 30, "all others")
            clock.now += 31 + 60
            go_on.wait(30)

    fleet = Fleet.of(HOSTS, holds=holds)
    pages = Pages()
    standing = carried_out(plan(HOSTS, limit=60, max_failures="1"), fleet, time=clock.time(), journal=pages)
    assert (standing.rows[0].state, standing.rows[0].trouble) == ("failed", Trouble.TIME_LIMIT)
    assert [row.state for row in standing.rows[1:]] == ["proven"] * 5
    go_on.set()
    until(lambda: fleet.of_kind("check")[-1] == "web1", 30, "the late one")
    assert pages.kept[-1][0].rows[0].state == "failed"


def test_a_killed_run_that_is_taken_up_again_keeps_what_hosts_ran_before_it() -> None:
    fleet = Fleet.of(HOSTS[:2], sick={"web2"})
    fleet.runs["web2"] = NEW  # its transaction went on after the client was killed
    standing = begun(plan(HOSTS[:2], wave="1", on_failure="downgrade", max_failures="1"))
    seen: list[Installed] = [installed(OLD)]
    hosts = {
        "web1": replace(standing.hosts["web1"], state="failed", trouble=Trouble.UNREACHABLE),
        "web2": replace(standing.hosts["web2"], state="updating", phase="updating", before=seen),
    }
    again = carried_out(replace(standing, hosts=hosts), fleet)
    assert fleet.of_kind("bring") == ["web2"]
    assert states(again) == {"web1": "failed", "web2": "downgraded"}
    assert fleet.runs["web2"] == OLD


def test_what_a_host_ran_is_kept_before_it_is_changed_and_nothing_begins_that_cannot_be_kept() -> None:
    class Full(Pages):
        def note(self, standing: Standing, host: str = "") -> None:
            if host and standing.hosts[host].before is not None:
                raise Unavailable("no space left for the journal")

    fleet = Fleet.of(HOSTS)
    standing = carried_out(plan(HOSTS, wave="1"), fleet, journal=Full())
    assert (standing.end, standing.problem) == ("interrupted", "no space left for the journal")
    assert fleet.runs == dict.fromkeys(HOSTS, OLD)
    row: Progress = standing.rows[0]
    assert (row.state, row.text) == ("failed", "not begun: no space left for the journal")


def test_a_newer_generation_is_said_once_and_not_followed() -> None:
    numbers = iter([12, 13, 14])
    standing = carried_out(plan(HOSTS, wave="2"), Fleet.of(HOSTS), generation=lambda: next(numbers))
    assert standing.notes == [
        "prod is at generation 13 now; every host of this run gets what was fixed at its start, by generation 12"
    ]
    assert {row.after[0].nevra.version for row in standing.rows} == {"2.0"}


def test_all_that_failed_of_hosts_at_work_are_counted_and_the_build_is_blamed_whoever_fails_first() -> None:
    pages = Pages()

    def held(_: str) -> None:
        until(lambda: any(one.failed for one, _ in pages.heard), 30, "the first to fail")
        time.sleep(0.2)  # the run has judged that by now; were it later, the outcome would be the same

    fleet = Fleet.of(HOSTS[:3], faults={"web1": Trouble.UNREACHABLE}, sick={"web2"}, holds=held)
    standing = carried_out(plan(HOSTS[:3], on_failure="downgrade", downgrade="all"), fleet, watchers=[pages])
    assert standing.problem == "2 hosts failed, and at most 0 may"
    assert fleet.runs == dict.fromkeys(HOSTS[:3], OLD)
