"""Reports of a run: whole, the last one always, never in the way of hosts, and a daemon that is down is said once."""

import threading
from dataclasses import dataclass, field

from repod.client.fleet import Host
from repod.client.teller import Census, Teller
from repod.errors import Unavailable
from repod.reports import Rollout
from tests.lab.runs import Fleet, carried_out, plan
from tests.lab.wait import until

HOSTS = [f"web{number}" for number in range(1, 5)]


@dataclass
class Daemon:
    """Keeps what it is told; ``down``: it does not answer."""

    down: bool = False
    told: list[Rollout] = field(default_factory=list)
    hosts: dict[str, str] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)

    def report_rollout(self, _repository: str, rollout: Rollout) -> None:
        self.gate.wait(30)
        if self.down:
            raise Unavailable("nobody answers")
        self.told.append(rollout)

    def report_host(self, _repository: str, host: str, text: str) -> None:
        if self.down:
            raise Unavailable("nobody answers")
        self.hosts[host] = text


def test_a_daemon_that_is_slow_delays_no_host_and_hears_the_end() -> None:
    daemon, said = Daemon(), list[str]()
    teller = Teller(daemon, say=said.append, every=0.0)
    standing = carried_out(plan(HOSTS), Fleet.of(HOSTS), watchers=[teller])
    assert standing.end == "succeeded"  # though not one report was taken yet
    daemon.gate.set()
    teller.close()
    assert [host.state for host in daemon.told[-1].hosts] == ["proven"] * 4
    assert (daemon.told[-1].state, len(daemon.told) <= 2, said) == ("succeeded", True, [])


def test_a_daemon_that_is_down_is_said_once_and_the_run_goes_on() -> None:
    daemon, said = Daemon(down=True), list[str]()
    daemon.gate.set()
    teller = Teller(daemon, say=said.append, every=0.0)
    census = Census(daemon, lambda _: "hello-2.0-1.noarch\n", say=said.append)
    standing = carried_out(plan(HOSTS, wave="1"), Fleet.of(HOSTS), watchers=[teller, census])
    assert standing.end == "succeeded"
    teller.close()
    census.close()
    assert said == [
        "the daemon is not told of this run, which goes on: nobody answers",
        f"the daemon was not told what {said[1].split()[6]} runs: nobody answers (and of 3 others)",
    ]


def test_while_nothing_happens_it_is_reported_again_so_that_others_see_it() -> None:
    daemon = Daemon()
    daemon.gate.set()
    teller = Teller(daemon, say=print, every=0.0, beat=0.01)
    fleet = Fleet.of(HOSTS, holds=lambda _: until(lambda: len(daemon.told) > 5, 30, "reports of what stands still"))
    carried_out(plan(HOSTS), fleet, watchers=[teller])
    teller.close()


def test_what_hosts_run_is_told_of_those_that_could_be_asked() -> None:
    daemon = Daemon()
    fleet = Fleet.of(HOSTS, sick={"web2"})

    def packages(host: Host) -> str:
        return f"{fleet.runs[host.name][0]}\n"

    census = Census(daemon, packages, say=print)
    carried_out(plan(HOSTS, canary=2, max_failures="4"), fleet, watchers=[census])
    census.close()
    assert daemon.hosts == dict.fromkeys(["web1", "web2"], "hello-2.0-1.noarch\n")
