"""``repoctl hosts list``: a real daemon, real rpm databases, agents that really run what SSM sends."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemon import Ended, Repod
from tests.lab.processes import environment
from tests.lab.repoctl import answered
from tests.lab.rpms import quick
from tests.lab.ssmagents import Machine, SsmAgents
from tests.lab.wait import until

_SETTINGS = """
[server]
url = "{url}"
[ssm]
poll = "50ms"
[group.web]
repository = "test"
ssm = {{ "tag:role" = "web" }}
[group.plain]
hosts = ["web1", "admin@web2:2222"]
[group.none]
ssm = {{ "tag:role" = "nobody" }}
"""


def _machine(folder: Path, own: str, name: str, *packages: Path) -> Machine:
    """A machine whose rpm has a database of its own, with these packages in it."""
    home = folder / own
    home.mkdir()
    (home / ".rpmmacros").write_text(f"%_dbpath {home}/rpmdb\n")
    install = ["rpm", "--install", "--justdb", "--nodeps", "--nosignature", *packages]
    subprocess.run(install, env=environment(home), check=True, capture_output=True)
    return Machine(own, name=name, tags={"role": "web"}, home=home)


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]
) -> Iterator[Mapping[str, str]]:
    """A repository with three builds of hello and one of tool, four machines; the environment that leads there."""
    folder = tmp_path_factory.mktemp("list")
    with Repod(folder, key_file) as daemon, SsmAgents(folder) as agents:
        long_lived.add(daemon.pid)
        builds = {version: quick(folder, "hello", version) for version in ("1.9", "1.10", "1.11")}
        tool = quick(folder, "tool")
        for path in (*builds.values(), tool):
            shutil.copy(path, daemon.inbox())
        (folder / "again").mkdir()
        again = quick(folder / "again", "hello", "1.11", summary="Another build of the same NEVRA")
        agents.reset(
            _machine(folder, "i-01", "web1", builds["1.9"], tool, quick(folder, "mine", "3.0")),
            _machine(folder, "i-02", "web2", builds["1.11"]),
            _machine(folder, "i-03", "web3", again),
            Machine("i-04", name="web4", tags={"role": "web"}, offline=True, online=False),
            Machine("i-05", name="db1", tags={"role": "db"}),
        )
        config = folder / "repoctl.toml"
        config.write_text(_SETTINGS.format(url=daemon.url))
        until(lambda: len(_listed(daemon)) == 4, 60, "the packages to be live")
        yield {**agents.environ, "REPOCTL_CONFIG": str(config)}


def _listed(daemon: Repod) -> Sequence[object]:
    status, body = daemon.get("/api/v1/repositories/test/packages")
    return json.loads(body)["rows"] if status == 200 else []


def _list(fleet: Mapping[str, str], *words: str, group: str = "web") -> Ended:
    return answered("repoctl", "hosts", "list", "--group", group, *words, env=fleet)


def _documents(ended: Ended) -> Mapping[str, Any]:
    return {one["host"]: one for one in json.loads(ended.out)}


def test_hosts_show_what_they_run_whose_build_it_is_and_what_they_could_get(fleet: Mapping[str, str]) -> None:
    ended = _list(fleet, "--json")
    assert ended.rc == 1
    assert [line[:34] for line in ended.err.splitlines()] == [
        "repoctl: web4: SSM does not know i",
        "repoctl: 1 of 4 hosts could not be",
    ]
    found = _documents(ended)
    assert list(found) == ["web1", "web2", "web3", "web4"]
    shown = {
        name: [(one["installed"], one["origin"], one["newest"]) for one in host["packages"]]
        for name, host in found.items()
    }
    assert shown == {
        "web1": [
            ("hello-1.9-1.noarch", "same", "hello-1.11-1.noarch"),
            ("tool-1.0-1.noarch", "same", None),
        ],
        "web2": [("hello-1.11-1.noarch", "same", None)],
        "web3": [("hello-1.11-1.noarch", "other", None)],
        "web4": [],
    }
    assert len(found["web1"]["packages"][0]["header_sha256"]) == 64
    assert (found["web1"]["address"], found["web1"]["way"], found["web1"]["facts"]["ping"]) == ("i-01", "ssm", "Online")
    assert (found["web4"]["trouble"], found["web4"]["facts"]["ping"]) == ("unreachable", "ConnectionLost")


def test_packages_that_are_named_are_shown_where_they_are_not_too(fleet: Mapping[str, str]) -> None:
    found = _documents(_list(fleet, "--json", "--package", "mine", "--package", "tool"))
    rows = {
        name: [(one["installed"], one["origin"], one["newest"]) for one in host["packages"]]
        for name, host in found.items()
    }
    assert rows["web1"] == [("mine-3.0-1.noarch", "unknown", None), ("tool-1.0-1.noarch", "same", None)]
    assert rows["web2"] == [(None, "", None), (None, "", "tool-1.0-1.noarch")]


def test_a_person_gets_a_table_and_an_unreachable_host_has_its_line(fleet: Mapping[str, str]) -> None:
    ended = _list(fleet)
    lines = [re.split(r"  +", line) for line in ended.out.splitlines()]
    assert lines[0] == ["host", "way", "system", "runs", "of repository", "could get"]
    assert [line[0] for line in lines[1:]] == ["web1", "web1", "web2", "web3", "web4"]
    assert lines[1][3:] == ["hello-1.9-1.noarch", "yes", "1.11-1"]
    assert lines[3][3:] == ["hello-1.11-1.noarch", "yes", "-"]
    assert lines[4][4] == "another build of it"
    assert lines[5][3:] == ["unreachable", "-", "-"]


def test_without_connecting_hosts_are_only_listed_and_no_daemon_is_asked(fleet: Mapping[str, str]) -> None:
    ended = _list({**fleet, "REPOCTL_URL": "http://127.0.0.1:9"}, "--no-connect", "--json")
    assert (ended.rc, ended.err) == (0, "")
    assert [(one["host"], one["facts"]["ping"]) for one in json.loads(ended.out)] == [
        ("web1", "Online"),
        ("web2", "Online"),
        ("web3", "Online"),
        ("web4", "ConnectionLost"),
    ]
    plain = _list(fleet, "--no-connect", group="plain").out.splitlines()
    assert [re.split(r"  +", line) for line in plain] == [
        ["host", "address", "way", "facts"],
        ["web1", "web1", "ssh", "-"],
        ["web2", "web2", "ssh", "-"],
    ]


def test_what_cannot_be_answered_is_an_error_and_never_an_empty_list(fleet: Mapping[str, str]) -> None:
    nobody = _list(fleet, group="none")
    assert (nobody.rc, nobody.out) == (4, "")
    assert "group none has no host now: no managed instance fits tag:role = nobody" in nobody.err
    unknown = _list(fleet, group="wbe")
    assert unknown.rc == 2
    assert "there are: web, plain, none" in unknown.err
