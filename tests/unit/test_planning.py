"""A run's plan: which hosts are in, ring by ring, and what people read of it."""

from typing import Any

import pytest

from repod.client.fleet import Host
from repod.client.planning import Wish, described, make_plan, repository_of, rings_of, wave_rows
from repod.client.rolling import Rollout
from repod.client.runs import Plan
from repod.client.settings import Settings
from repod.errors import Misconfigured
from tests.lab.runs import START, aim


def hosts(*names: str) -> list[Host]:
    return [Host(name=name, address=name) for name in names]


def made(members: dict[str, list[Host]], *limit: str, **strategy: Any) -> Plan:
    wish = Wish(
        action="update",
        words=["hello"],
        group="web",
        repository="prod",
        strategy=Rollout.model_validate(strategy),
        limit=limit,
    )
    return make_plan(wish, aim(), members, actor="anna", now=START, word="3f2a")


def test_a_host_of_two_rings_is_updated_with_the_first_of_them() -> None:
    found = made({"staging": hosts("s1", "w1"), "prod": hosts("w1", "w2")}, canary=0, wave="100%")
    assert [(wave.ring, list(wave.hosts)) for wave in found.waves] == [("staging", ["s1", "w1"]), ("prod", ["w2"])]
    assert found.origin == {"s1": "staging", "w1": "staging", "w2": "prod"}
    assert found.groups == ["prod", "staging", "web"]
    assert found.id == "20261126T081500Z-web-3f2a"


def test_only_hosts_whose_names_fit_are_in() -> None:
    found = made({"web": hosts("web1", "web2", "db1")}, "web*", "d?1")
    assert len(found.hosts) == 3
    assert [host.name for host in made({"web": hosts("web1", "db1")}, "db*").hosts] == ["db1"]
    with pytest.raises(Misconfigured, match=r"--limit nothing leaves none of the 2 hosts of web"):
        made({"web": hosts("web1", "db1")}, "nothing")


def test_a_plan_says_what_it_does_where_it_stops_and_who_goes_back() -> None:
    names = [f"web{n}" for n in range(12)]
    found = made({"web": hosts(*names)}, on_failure="downgrade", check="true", pause="5m")
    assert list(described(found)) == [
        "update hello on 12 hosts of web: hello-2.0-1.noarch (prod, generation 12)",
        (
            "stops if a canary fails, or if more than 1 fail; hosts that failed get back what they ran, and all others "
            "that it updated where the build is why it stops"
        ),
        "checked by 'true' on each host",
    ]
    rows = wave_rows(found.waves, shown=2)
    assert rows[1] == {
        "wave": "wave 1",
        "after": "5m",
        "hosts": 3,
        "names": "web1 web2 and 1 more",
        "why": "25% of 12 hosts is 3",
    }


def test_rings_are_groups_with_hosts_that_read_the_same_repository() -> None:
    groups: dict[str, Any] = {
        "all": {"repository": "prod", "rollout": {"rings": ["staging", "live"]}},
        "staging": {"hosts": ["s1"]},
        "live": {"hosts": ["w1"], "repository": "prod"},
        "odd": {"hosts": ["o1"], "repository": "other"},
        "bare": {"hosts": ["b1"]},
    }
    settings = Settings.model_validate({"group": groups})
    assert rings_of(settings, "all", settings.grouped("all").rollout) == ["staging", "live"]
    assert rings_of(settings, "live", settings.grouped("live").rollout) == ["live"]
    for ring, fault in (("odd", "reads other"), ("all", "has rings itself"), ("gone", "'gone' is not in")):
        with pytest.raises(Misconfigured, match=fault):
            rings_of(settings, "all", Rollout(rings=[ring]))
    with pytest.raises(Misconfigured, match=r"group bare names no repository; add repository"):
        repository_of(settings, "bare")
