"""``repoctl hosts update`` without SSH: hosts found and reached through Systems Manager, real dnf, a running daemon."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from repod.access import ANY
from repod.callers.tokens import TokenFile
from tests.lab.daemon import Ended, Repod
from tests.lab.keys import Key
from tests.lab.machines import Machines
from tests.lab.repoctl import repoctl
from tests.lab.rpms import quick
from tests.lab.ssmagents import Machine, SsmAgents
from tests.lab.wait import until

_SETTINGS = """
state_dir = "state"
[ssm]
poll = "50ms"
[repository.prod]
keys = ["{key}"]
[group.web]
repository = "prod"
ssm = {{ "tag:role" = "web" }}
[group.web.rollout]
canary = 1
max_failures = 1
"""


class Lab(NamedTuple):
    """A daemon, hosts whose agents SSM knows, the folder with the settings."""

    repod: Repod
    machines: Machines
    agents: SsmAgents
    folder: Path
    token: str

    def publish(self, version: str) -> None:
        before = len(self.repod.find_events("package published"))
        quick(self.repod.inbox("prod"), "hello", version)
        until(lambda: len(self.repod.find_events("package published")) > before, 60, f"hello {version} to be live")

    def hosts(self, *words: str) -> Ended:
        env = {**self.agents.environ, "REPOCTL_URL": self.repod.url, "REPOCTL_TOKEN": self.token}
        return repoctl("hosts", *words, env=env, cwd=self.folder, seconds=120)


@pytest.fixture
def lab(tmp_path: Path, key: Key, key_file: Path) -> Iterator[Lab]:
    settings = {"http": {"listen": "127.0.0.1:0", "tokens": "tokens.json"}}
    with contextlib.ExitStack() as stack:
        machines = stack.enter_context(Machines(tmp_path / "machines", 2))
        repod = stack.enter_context(Repod(tmp_path, key_file, ["prod"], settings))
        (tmp_path / "agents").mkdir()
        agents = stack.enter_context(SsmAgents(tmp_path / "agents"))
        own = [
            Machine(f"i-{number}", name=one.name, tags={"role": "web"}, inside=one.inside())
            for number, one in enumerate(machines)
        ]
        agents.reset(*own, Machine("i-9", name="web9", tags={"role": "web"}, online=False, offline=True))
        token = TokenFile(tmp_path / "tokens.json", time.time).add(
            "ci", os.urandom, verbs=["read", "report"], repositories=[ANY], seconds=None
        )
        (tmp_path / "repoctl.toml").write_text(_SETTINGS.format(key=key.fingerprint))
        lab = Lab(repod, machines, agents, tmp_path, token)
        lab.publish("1.0")
        for machine in machines:
            machine.subscribe(repod.repo_file("prod"), "prod")
            machine.run("dnf", "-y", "install", "hello")
        yield lab


def test_hosts_are_updated_and_proven_through_ssm_and_one_that_is_down_is_never_left_out(lab: Lab) -> None:
    lab.publish("2.0")
    ended = lab.hosts("update", "hello", "--group", "web", "--json")
    assert ended.rc == 1, ended
    report = json.loads(ended.out)
    hosts = {host["host"]: host for host in report["hosts"]}
    for machine in lab.machines:
        host = hosts.pop(machine.name)
        assert (host["state"], host["from"], host["to"]) == ("proven", "hello-1.0-1.noarch", "hello-2.0-1.noarch")
        assert machine.installed("hello") == {host["to"]: host["header_sha256"]}
    assert [(host["state"], host["trouble"]) for host in hosts.values()] == [("failed", "unreachable")]
    listed = json.loads(lab.hosts("list", "--group", "web", "--json").out)
    assert [[one["origin"] for one in host["packages"]] for host in listed] == [["same"], ["same"], []]
