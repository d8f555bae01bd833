"""``repoctl hosts update`` over real hosts: own roots, real sshd, real dnf, real packages, a running daemon."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from repod.access import ANY
from repod.callers.tokens import TokenFile
from repod.client.api import open_api
from repod.client.settings import load
from tests.lab.daemon import Ended, Repod, toml
from tests.lab.keys import Key
from tests.lab.machine import Machine
from tests.lab.machines import Machines
from tests.lab.repoctl import command, environment, repoctl
from tests.lab.rpms import quick
from tests.lab.wait import until

_COUNT = 12
_GOOD = """
if [ -e /etc/lab-noisy ]; then head -c 10000000 /dev/zero | tr '\\0' 'x'; fi
if [ -e /etc/lab-silent ]; then exec sleep 1000; fi
grep -q good /opt/hello/state"""
# What a host does while the package is installed is said by files on it, so that each can be a case of its own.
_SCRIPTLET = """
if [ -e /etc/lab-noisy ]; then head -c 10000000 /dev/zero | tr '\\0' 'x'; fi
if [ -e /etc/lab-slow ]; then touch /etc/lab-begun; while [ -e /etc/lab-slow ]; do sleep 0.1; done; fi
echo "$1" >> /etc/lab-installs
"""


class Lab(NamedTuple):
    """A daemon, the hosts that follow its repository ``prod``, and what ``repoctl`` needs to reach them."""

    repod: Repod
    machines: Machines
    folder: Path
    token: str

    def publish(self, version: str, state: str = "good") -> None:
        """A build whose file says whether it is well."""
        before = len(self.repod.find_events("package published"))
        files = {"/opt/hello/state": f"{version} {state}\n".encode()}
        quick(self.repod.inbox("prod"), "hello", version, files=files, scriptlets={"post_install": _SCRIPTLET})
        until(lambda: len(self.repod.find_events("package published")) > before, 60, f"hello {version} to be live")

    def settings(self, hosts: Sequence[Machine], key: str, users: dict[str, str], **rollout: Any) -> Path:
        """``repoctl.toml`` for these hosts."""
        members = [{"name": one.name, "address": one.address, "user": users.get(one.name, "deploy")} for one in hosts]
        inline = ", ".join(
            "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in one.items()) + "}" for one in members
        )
        ssh = {
            "identity": [str(self.machines.identity)],
            "known_hosts": [str(self.machines.known_hosts)],
            "connect_timeout": 60,
            "agent": False,
        }
        text = toml({"state_dir": "state", "ssh": ssh, "repository": {"prod": {"keys": [key]}}})
        text += f'[group.web]\nrepository = "prod"\nhosts = [{inline}]\n'
        text += toml({"group": {"web": {"rollout": rollout}}}).removeprefix("[group]\n[group.web]\n")
        path = self.folder / "repoctl.toml"
        path.write_text(text)
        return path

    @property
    def env(self) -> dict[str, str]:
        return {"REPOCTL_URL": self.repod.url, "REPOCTL_TOKEN": self.token}

    def hosts(self, what: str, *words: str, seconds: float = 120) -> Ended:
        return repoctl("hosts", what, *words, env=self.env, cwd=self.folder, seconds=seconds)

    @contextlib.contextmanager
    def running(self, what: str, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        """``repoctl hosts`` while it runs; what it says goes to a file."""
        with (self.folder / "said").open("wb") as said:
            process = subprocess.Popen(
                command("hosts", what, *words), env=environment(self.env), cwd=self.folder, stdout=said, stderr=said
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def said(self) -> str:
        """What the last one that was ``running`` said until now."""
        return (self.folder / "said").read_text()

    def until_said(self, text: str) -> None:
        until(lambda: text in self.said(), 120, f"{text!r} to be said")

    def installed(self) -> dict[str, str]:
        """Of each host what it runs, its digest, and when it was installed, by rpm's own word."""
        form = "%{NEVRA} %{SHA256HEADER} %{INSTALLTIME}"
        return {one.name: one.run("rpm", "-q", "hello", "--qf", form, check=False).out for one in self.machines}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Lab]:
    base = tmp_path_factory.mktemp("rollout")
    settings = {"http": {"listen": "127.0.0.1:0", "tokens": "tokens.json"}}
    repositories = {"prod": {"retention": {"hosts": "hosts"}}}
    (base / "hosts").mkdir()
    with Machines(base / "machines", _COUNT) as machines, Repod(base, key_file, repositories, settings) as repod:
        long_lived.add(repod.pid)
        token = TokenFile(base / "tokens.json", time.time).add(
            "ci", os.urandom, verbs=["read", "report"], repositories=[ANY], seconds=None
        )
        lab = Lab(repod, machines, base, token)
        lab.publish("1.0")
        first = next((repod.store("prod") / "Packages").rglob("hello-1.0-1*.rpm"))
        for machine in machines:
            machine.subscribe(repod.repo_file("prod"), "prod")
            machine.put("/var/tmp/hello.rpm", first.read_bytes())
            machine.run("rpm", "--install", "--nosignature", "/var/tmp/hello.rpm")
        yield lab


def by_host(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {host["host"]: host for host in report["hosts"]}


def test_a_good_build_reaches_every_host_in_waves_and_each_is_proven_by_its_digest(lab: Lab, key: Key) -> None:
    lab.publish("2.0")
    lab.settings(list(lab.machines), key.fingerprint, {}, canary=1, wave="50%", check=_GOOD)
    before = lab.installed()
    ended = lab.hosts("update", "hello", "--group", "web", "--report", "report.json", "--junit", "junit.xml")
    assert ended.rc == 0, ended
    report = json.loads((lab.folder / "report.json").read_text())
    assert (report["state"], report["builds"]) == ("succeeded", ["hello-2.0-1.noarch"])
    runs = lab.installed()
    for name, host in by_host(report).items():
        assert (host["state"], host["from"], host["to"]) == ("proven", before[name].split()[0], "hello-2.0-1.noarch")
        assert runs[name].split()[:2] == [host["to"], host["header_sha256"]]
    assert [host["host"] for host in report["hosts"]] == [machine.name for machine in lab.machines]
    assert [host["wave"] for host in report["hosts"]] == [0, *[1] * 6, *[2] * 5]
    suite = ET.parse(lab.folder / "junit.xml").find("testsuite")
    assert suite is not None
    assert [suite.get(one) for one in ("tests", "failures", "skipped")] == ["12", "0", "0"]
    told = {path.stem: path.read_text() for path in (lab.folder / "hosts").iterdir()}
    assert {name for name, text in told.items() if "hello-2.0-1.noarch" in text} == set(runs)
    with open_api(load(lab.folder / "repoctl.toml", lab.env), lab.env) as api:
        assert api.rollout("prod", report["id"])["rollout"] == report


def test_a_build_that_is_not_well_is_caught_by_the_canary_which_goes_back_and_nobody_else_is_touched(
    lab: Lab, key: Key
) -> None:
    lab.publish("3.0", "bad")
    lab.settings(list(lab.machines), key.fingerprint, {}, check=_GOOD, check_within=5)
    before = lab.installed()
    state = lab.machines[0].read("/opt/hello/state")
    ended = lab.hosts("update", "hello", "--group", "web", "--on-failure", "downgrade", "--json")
    assert ended.rc == 1, ended
    report = json.loads(ended.out)
    assert (report["state"], report["problem"]) == ("stopped", "canary web1 failed")
    assert "once that is mended: repoctl hosts update hello --group web" in ended.err
    assert "or back" not in ended.err
    canary, *others = report["hosts"]
    assert (canary["state"], canary["trouble"]) == ("downgraded", "unhealthy")
    assert canary["from"] == canary["to"] == before["web1"].split()[0]
    assert {host["state"] for host in others} == {"untouched"}
    after = lab.installed()
    assert after["web1"].split()[:2] == [canary["to"], canary["header_sha256"]] == before["web1"].split()[:2]
    assert lab.machines[0].read("/opt/hello/state") == state
    # The times at which rpm installed them tell that web1 was taken back, and that no other was touched.
    assert [name for name in after if after[name] != before[name]] == ["web1"]


def test_each_fault_has_its_own_state_and_none_delays_another_host(lab: Lab, key: Key) -> None:
    lab.publish("4.0")
    web = list(lab.machines)[:10]
    _, down, stranger, prompt, silent, noisy, held, full, cut, old = web
    expected = {
        down.name: ("failed", "unreachable"),
        stranger.name: ("failed", "host-key"),
        prompt.name: ("failed", "sudo"),
        silent.name: ("failed", "time-limit"),
        held.name: ("failed", "locked"),
        full.name: ("failed", "disk-full"),
        old.name: ("failed", "no-repository"),
    }
    how = {"canary": 0, "wave": "100%", "max_failures": "100%", "check_within": 15, "lock_wait": 2}
    lab.settings(web, key.fingerprint, {prompt.name: "nosudo"}, check=_GOOD, **how)
    noisy.put("/etc/lab-noisy", "")
    silent.put("/etc/lab-silent", "")
    cut.put("/etc/lab-slow", "")
    stranger.new_key()
    with contextlib.ExitStack() as broken:
        down.stop_sshd()
        broken.callback(down.start_sshd)
        full.fill()
        broken.callback(full.clear)
        for place in ("etc/yum.repos.d/prod.repo", "etc/zypp/repos.d/prod.repo"):
            (old.root / place).unlink()
        broken.callback(old.subscribe, lab.repod.repo_file("prod"), "prod")
        broken.enter_context(held.locked("dnf"))
        words = ("update", "hello", "--group", "web", "--report", "faults.json")
        process = broken.enter_context(lab.running(*words))
        until((cut.root / "etc/lab-begun").exists, 60, "the transaction to be in its middle")
        # While that one stands still every other one comes to its end.
        ends = [re.compile(rf"\b{one.name}: (proven|failed)") for one in web if one is not cut]
        until(lambda: all(end.search(lab.said()) for end in ends), 150, "all others to be done")
        cut.cut()
        (cut.root / "etc/lab-slow").unlink()
        assert process.wait(120) == 1
    assert "once that is mended: repoctl hosts update hello --group web" in lab.said()
    assert "or back, where it came: repoctl hosts downgrade hello-2.0-1.noarch --group web" in lab.said()
    lab.machines.trust()
    (silent.root / "etc/lab-silent").unlink()
    found = by_host(json.loads((lab.folder / "faults.json").read_text()))
    for machine in web:
        host = found[machine.name]
        assert (host["state"], host["trouble"]) == expected.get(machine.name, ("proven", "")), host
    assert cut.read("/etc/lab-installs").count("\n") == noisy.read("/etc/lab-installs").count("\n")


def test_a_client_that_was_killed_or_interrupted_is_taken_up_and_begins_nothing_twice(lab: Lab, key: Key) -> None:
    lab.publish("5.0")
    done, middle, last = list(lab.machines)[-3:]
    lab.settings([done, middle, last], key.fingerprint, {}, canary=0, wave="1", check=_GOOD)
    before = lab.installed()
    began = middle.read("/etc/lab-installs").count("\n")
    middle.put("/etc/lab-slow", "")
    with lab.running("update", "hello", "--group", "web") as process:
        until((middle.root / "etc/lab-begun").exists, 60, "the transaction to be in its middle")
        process.send_signal(signal.SIGKILL)
        process.wait()
    (row,) = json.loads(lab.hosts("runs", "--limit", "1", "--json").out)
    assert (row["state"], row["proven"]) == ("killed", 1)
    with lab.running("resume") as process:
        lab.until_said("web11: updating")
        process.send_signal(signal.SIGINT)
        lab.until_said("stops after 1 host at work (Ctrl-C)")
        (middle.root / "etc/lab-slow").unlink()
        assert process.wait(120) == 1
    assert lab.installed()[last.name] == before[last.name]
    assert f"take it up again with: repoctl hosts resume {row['run']}" in lab.said()
    ended = lab.hosts("resume", row["run"], "--json")
    assert ended.rc == 0, ended
    report = json.loads(ended.out)
    for host in report["hosts"]:
        assert (host["state"], host["from"]) == ("proven", before[host["host"]].split()[0])
    # What was reported as ended stays as it is: the last part has an id of its own.
    assert report["id"] == f"{row['run']}-r2"
    assert middle.read("/etc/lab-installs").count("\n") == began + 1
    assert lab.hosts("resume", row["run"]).rc == 4
