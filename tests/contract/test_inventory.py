"""What every source of hosts keeps: all of them, in a stable order, each name once, and never none in silence."""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from repod.client.fleet import Host
from repod.client.places import Base
from repod.client.settings import parse
from repod.client.wiring import resolve
from repod.errors import Misconfigured, RepodError, Unavailable
from tests.lab.queues import Moto
from tests.lab.ssmagents import Machine, SsmAgents

_numbers = itertools.count(1)


class World(Protocol):
    """A source that a test fills."""

    kind: type[RepodError]
    """What it is where there are no hosts."""

    def put(self, names: Sequence[str]) -> Mapping[str, Any]:
        """Have hosts of these names; the settings of the group."""

    def fail(self) -> None:
        """From now on it cannot be asked."""


class Listed:
    """``hosts``."""

    kind = Misconfigured

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, names: Sequence[str]) -> Mapping[str, Any]:
        return {"hosts": list(names) or ["left-out"], "exclude": [] if names else ["left-out"]}


class AnsibleFile(Listed):
    """``ansible``."""

    def put(self, names: Sequence[str]) -> Mapping[str, Any]:
        (self.folder / "hosts.ini").write_text("\n".join(["[web]", *names]))
        return {"ansible": "hosts.ini", "pattern": "web"}

    def fail(self) -> None:
        (self.folder / "hosts.ini").unlink()


class Asked(Listed):
    """``command``."""

    kind = Unavailable

    def put(self, names: Sequence[str]) -> Mapping[str, Any]:
        (self.folder / "hosts.json").write_text(json.dumps(list(names)))
        return {"command": ["cat", "hosts.json"]}

    def fail(self) -> None:
        (self.folder / "hosts.json").unlink()


class Ec2:
    """``ec2``, at moto."""

    kind = Unavailable

    def __init__(self, queues: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moto, self.monkeypatch, self.role = queues, monkeypatch, f"r{os.getpid()}-{next(_numbers)}"
        for name, value in queues.environ.items():
            monkeypatch.setenv(name, value)

    def put(self, names: Sequence[str]) -> Mapping[str, Any]:
        for name in names:
            tags = [{"Key": "Name", "Value": name}, {"Key": "role", "Value": self.role}]
            self.moto.client("ec2").run_instances(
                ImageId="ami-12c6146b",
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
            )
        return {"ec2": {"tag:role": self.role}}

    def fail(self) -> None:
        self.monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


class Managed:
    """``ssm``."""

    kind = Unavailable

    def __init__(self, agents: SsmAgents, monkeypatch: pytest.MonkeyPatch) -> None:
        self.agents = agents
        for name, value in agents.environ.items():
            monkeypatch.setenv(name, value)

    def put(self, names: Sequence[str]) -> Mapping[str, Any]:
        for place, name in enumerate(names):
            self.agents.machines[f"i-{place:017x}"] = Machine(f"i-{place:017x}", name=name, tags={"role": "web"})
        self.agents.machines["i-other"] = Machine("i-other", name="other", tags={"role": "db"})
        return {"ssm": {"tag:role": "web"}}

    def fail(self) -> None:
        self.agents.denied = {"DescribeInstanceInformation"}


_WORLDS = ("listed", "ansible", "asked", "ec2", "managed")


@pytest.fixture(params=_WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World | Listed]:
    match request.param:
        case "ec2":
            yield Ec2(request.getfixturevalue("queues"), monkeypatch)
        case "managed":
            (tmp_path / "agents").mkdir()
            with SsmAgents(tmp_path / "agents") as agents:
                yield Managed(agents, monkeypatch)
        case kind:
            yield {"listed": Listed, "ansible": AnsibleFile, "asked": Asked}[kind](tmp_path)


def _resolve(folder: Path, group: Mapping[str, Any], **more: Any) -> Sequence[Host]:
    settings = parse({"group": {"web-prod": {**group, **more}}}, Base(folder=folder, home=folder))
    return resolve(settings, "web-prod", os.environ)


def test_all_hosts_are_there_in_a_stable_order(world: World, tmp_path: Path) -> None:
    names = [f"web{number}" for number in range(1, 13)]
    group = world.put(names)
    first = _resolve(tmp_path, group)
    assert [host.name for host in first] == names
    assert _resolve(tmp_path, group) == first
    assert all(host.address for host in first)


def test_a_host_that_came_up_since_is_in(world: World, tmp_path: Path) -> None:
    assert len(_resolve(tmp_path, world.put(["web1"]))) == 1
    again = ["web1", "web2"] if not isinstance(world, Ec2) else ["web2"]
    assert [host.name for host in _resolve(tmp_path, world.put(again))] == ["web1", "web2"]


def test_excluded_names_are_left_out(world: World, tmp_path: Path) -> None:
    group = world.put(["web1", "web2", "old-web1"])
    assert [host.name for host in _resolve(tmp_path, group, exclude=["old-*", "*2"])] == ["web1"]


def test_no_host_at_all_is_an_error_unless_that_is_allowed(world: World, tmp_path: Path) -> None:
    group = world.put([])
    with pytest.raises(world.kind, match="group web-prod has no host now: "):
        _resolve(tmp_path, group)
    assert list(_resolve(tmp_path, group, allow_empty=True)) == []
    with pytest.raises(RepodError, match="exclude leaves out all 1 of them"):
        _resolve(tmp_path, world.put(["web1"]), exclude=["*"])


@pytest.mark.parametrize("world", [one for one in _WORLDS if one != "listed"], indirect=True)
def test_a_source_that_fails_is_never_no_hosts(world: World, tmp_path: Path) -> None:
    group = world.put(["web1"])
    world.fail()
    with pytest.raises(RepodError) as found:
        _resolve(tmp_path, group, allow_empty=True, timeout=10)
    assert "no host now" not in str(found.value)


@pytest.mark.parametrize("world", ["listed", "asked"], indirect=True)
def test_a_name_that_is_there_twice_is_told_with_both(world: World, tmp_path: Path) -> None:
    group = world.put(["web1", "web2", "web1"])
    with pytest.raises(Misconfigured, match=r"host web1 is there twice, as web1 \(ssh\) and as web1 \(ssh\)"):
        _resolve(tmp_path, group)


@pytest.mark.parametrize("world", ["ec2", "managed"], indirect=True)
def test_instances_that_share_a_name_or_have_none_are_told_apart_by_their_ids(world: World, tmp_path: Path) -> None:
    found = _resolve(tmp_path, world.put(["web", "web", "", "no name!", "db"]))
    names = {host.facts["id"]: host.name for host in found}
    assert sorted(names.values()) == sorted(
        ["db", *(f"web.{own}" for own, name in names.items() if name.startswith("web")), *_bare(names)]
    )
    assert len(_bare(names)) == 2


def _bare(names: Mapping[str, str]) -> Sequence[str]:
    return [own for own, name in names.items() if name == own]


@pytest.mark.parametrize("world", ["listed", "ansible", "asked"], indirect=True)
@pytest.mark.parametrize("name", ["-oProxyCommand=x", "web!", "ü"])
def test_a_name_that_reports_cannot_have_is_told(world: World, tmp_path: Path, name: str) -> None:
    group = world.put(["web1", name])
    with pytest.raises(Misconfigured, match="is no name for a host"):
        _resolve(tmp_path, group)


@pytest.mark.parametrize("world", ["managed"], indirect=True)
def test_instances_on_later_pages_are_there_too_and_those_that_are_offline_say_so(
    world: Managed, tmp_path: Path
) -> None:
    names = [f"web{number}" for number in range(1, 121)]
    group = world.put(names)
    world.agents.machines[f"i-{6:017x}"].online = False
    found = _resolve(tmp_path, group)
    assert [host.name for host in found] == names
    assert [host.name for host in found if host.facts["ping"] != "Online"] == ["web7"]
    assert {(host.way, host.address[:2]) for host in found} == {("ssm", "i-")}


@pytest.mark.parametrize("world", ["ec2"], indirect=True)
def test_instances_are_reached_at_the_address_that_the_settings_say(world: Ec2, tmp_path: Path) -> None:
    group = world.put(["web1"])
    (private,) = _resolve(tmp_path, group)
    assert private.address.startswith("10.")
    assert (private.facts["tag:role"], private.facts["tag:Name"]) == (world.role, "web1")
    addresses = {
        kind: _resolve(tmp_path, group, address=kind)[0].address for kind in ("public-ip", "private-dns", "id")
    }
    assert addresses["private-dns"].endswith(".internal")
    assert addresses["id"] == private.facts["id"]
    assert addresses["public-ip"] not in {private.address, ""}
    (through,) = _resolve(tmp_path, group, transport="ssm")
    assert (through.way, through.address) == ("ssm", private.facts["id"])
    (called,) = _resolve(tmp_path, group, name="id")
    assert called.name == private.facts["id"]


@pytest.mark.parametrize("world", ["ec2"], indirect=True)
def test_only_instances_that_run_are_in(world: Ec2, tmp_path: Path) -> None:
    group = world.put(["web1", "web2"])
    client = world.moto.client("ec2")
    second = _resolve(tmp_path, group)[1]
    client.stop_instances(InstanceIds=[second.facts["id"]])
    assert [host.name for host in _resolve(tmp_path, group)] == ["web1"]
    client.start_instances(InstanceIds=[second.facts["id"]])
    assert len(_resolve(tmp_path, group)) == 2


@pytest.mark.parametrize("world", ["managed"], indirect=True)
def test_a_filter_that_aws_does_not_know_is_a_fault_of_the_settings(world: World, tmp_path: Path) -> None:
    world.put(["web1"])
    with pytest.raises(Misconfigured, match=r"listing managed instances \(InvalidFilterKey.*correct the filters"):
        _resolve(tmp_path, {"ssm": {"no-such-filter": "x"}})


@pytest.mark.parametrize("world", ["ec2"], indirect=True)
def test_an_answer_that_is_none_of_aws_is_no_list_of_hosts(world: World, tmp_path: Path) -> None:
    world.put(["web1"])
    # moto answers with a page of HTML where it fails, as proxies do.
    with pytest.raises(Unavailable, match=r"listing EC2 instances: .*an answer that is none of AWS"):
        _resolve(tmp_path, {"ec2": {"no-such-filter": "x"}})
