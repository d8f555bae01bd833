"""Pull mode with real parts: a signed rollout file, a plain web server or directory, real dnf on each host."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repod.hosts.agent.deciding import number
from repod.hosts.agent.state import StateFile
from repod.times import stamp
from tests.lab.clients import choosing
from tests.lab.httpd import serving
from tests.lab.keys import Key, make_key
from tests.lab.offices import Service
from tests.lab.pull import IDS, NAME, PullHost, hello, set_ring
from tests.lab.rpms import quick
from tests.lab.wait import until

_CHECK = "/bin/grep -q yes /opt/hello/well"


@pytest.fixture
def site(tmp_path: Path, key_file: Path) -> Iterator[Service]:
    """A repository with three builds of hello, of which the last does not work; a plain web server serves its store."""
    store = tmp_path / "repod/www" / NAME
    store.mkdir(parents=True)
    with serving(store) as url, Service(tmp_path / "repod", key_file, {NAME: {"url": url}}) as service:
        builds = [hello(tmp_path, "1"), hello(tmp_path, "2"), hello(tmp_path, "3", well=False)]
        service.publish(NAME, *builds)
        yield service


@pytest.fixture
def host(site: Service, tmp_path: Path, key: Key) -> PullHost:
    """A host that runs hello-1.0-1, and whose check says whether hello works."""
    repo = (site.store(NAME) / f"{NAME}.repo").read_text()
    host = PullHost(tmp_path / "host", key, repo, check=_CHECK)
    done = host.run("dnf", "-y", "install", "hello-1.0-1")
    assert done.rc == 0, done.out
    return host


def test_a_host_comes_to_run_what_its_ring_names_and_says_so(site: Service, host: PullHost) -> None:
    set_ring(site, "hello-1.0-2")
    assert host.agent("run", "--dry-run").out == "act: to run hello-1.0-2.noarch\n"
    assert host.installed() == ["hello-1.0-1.noarch"]
    assert host.agent("run") == (0, "updated: runs hello-1.0-2.noarch\n")
    assert host.installed() == ["hello-1.0-2.noarch"]
    assert host.agent("run") == (0, "current: runs hello-1.0-2.noarch\n")
    status = host.agent("status")
    assert status.rc == 0
    assert status.out.endswith("current: runs hello-1.0-2.noarch\n")
    assert "FAIL" not in host.agent("check").out


def test_a_build_whose_check_fails_is_left_again_and_not_tried_until_the_ring_names_another(
    site: Service, host: PullHost, tmp_path: Path
) -> None:
    set_ring(site, "hello-1.0-3")
    done = host.agent("run")
    assert done.rc == 1
    assert done.out.startswith("downgraded: runs hello-1.0-1.noarch again: hello-1.0-3.noarch: health check failed (")
    assert host.installed() == ["hello-1.0-1.noarch"]
    held = host.agent("run")
    assert (held.rc, held.out.partition(" failed here")[0]) == (1, "held: hello-1.0-3.noarch")
    assert host.installed() == ["hello-1.0-1.noarch"]
    set_ring(site, "hello-1.0-2")
    assert host.agent("run") == (0, "updated: runs hello-1.0-2.noarch\n")
    set_ring(site, "hello-1.0-3", on_failure="stay")
    stays = host.agent("run")
    assert (stays.rc, stays.out.split(" (")[0]) == (1, "failed: hello-1.0-3.noarch runs, but its health check failed")
    assert host.agent("run").rc == 1
    set_ring(site, "hello-1.0-1")
    assert host.agent("run") == (0, "updated: runs hello-1.0-1.noarch\n")


def test_a_package_that_a_host_may_install_is_gone_again_where_its_check_fails(
    site: Service, host: PullHost, tmp_path: Path
) -> None:
    site.publish(NAME, hello(tmp_path, "1", name="other"))
    set_ring(site, "other")
    assert host.agent("run").out.startswith("nothing: nothing of this ring is installed (other)")
    host.configure(install="oth*", check="/bin/false")
    assert host.agent("run").out.startswith("downgraded: runs nothing again: other-1.0-1.noarch: health check failed")
    assert host.installed() == ["hello-1.0-1.noarch"]
    host.configure(install="oth*")
    assert host.agent("run", "--retry") == (0, "updated: runs other-1.0-1.noarch\n")
    assert host.installed() == ["hello-1.0-1.noarch", "other-1.0-1.noarch"]


def test_zypper_brings_a_host_up_and_down_as_well(site: Service, host: PullHost) -> None:
    repo = (site.store(NAME) / f"{NAME}.repo").read_text()
    (host.root / "etc/zypp/repos.d/apps.repo").write_text(choosing(repo, "baseurl"))
    host.configure(check=_CHECK, tool="zypper")
    set_ring(site, "hello-1.0-2")
    assert host.agent("run") == (0, "updated: runs hello-1.0-2.noarch\n")
    set_ring(site, "hello-1.0-3")
    assert host.agent("run").out.startswith("downgraded: runs hello-1.0-2.noarch again")
    assert host.installed() == ["hello-1.0-2.noarch"]


def test_what_may_not_be_followed_is_refused_and_changes_nothing(
    site: Service, host: PullHost, tmp_path: Path, key: Key
) -> None:
    set_ring(site, "hello-1.0-2")
    old = shutil.copytree(site.store(NAME), tmp_path / "old")
    set_ring(site, "hello-1.0-1")
    store = site.store(NAME)
    assert host.agent("run").rc == 0

    def refused(folder: Path, *words: str, **settings: str) -> str:
        host.configure(url=f"file://{folder}", **settings)
        done = host.agent("run", *words)
        assert done.rc == 3
        assert host.installed() == ["hello-1.0-1.noarch"]
        return done.out

    assert "expected serial" in refused(old)
    assert "found that of apps" in refused(store, name="other")
    assert "expired at" in refused(store, "--dry-run", "--at", "2036-01-01T00:00:00Z")
    other = make_key("rsa2048")
    (host.root / "other.asc").write_bytes(other.public)
    assert "found none that verifies" in refused(store, key=str(host.root / "other.asc"))
    (host.root / "both.asc").write_bytes(other.public + key.public)
    both = {"key": str(host.root / "both.asc")}
    assert f"by {other.fingerprint}, found {key.fingerprint}" in refused(store, fingerprints=other.fingerprint, **both)
    tampered = shutil.copytree(store, tmp_path / "tampered")
    text = (tampered / "rollout.json").read_text()
    (tampered / "rollout.json").write_text(text.replace("hello-1.0-1", "hello-1.0-2"))
    assert "found none that verifies" in refused(tampered)
    (tampered / "rollout.json").write_text("<html>it works</html>")
    assert "expected a rollout file of repod" in refused(tampered)
    host.configure(url=f"file://{store}", fingerprints=f"{other.fingerprint}\n {key.fingerprint}", **both)
    assert host.agent("run").rc == 0


def test_a_host_waits_for_its_turn_for_a_window_and_while_the_ring_is_paused(site: Service, host: PullHost) -> None:
    ring = set_ring(site, "hello-1.0-2", percent=0)
    assert re.search(
        r"phase: hello-1.0-2.noarch: 0 % of hosts so far, this one is number \d+ of", host.agent("run").out
    )
    mine = number(IDS[0], ring["salt"])
    set_ring(site, percent=mine)
    assert host.agent("run").out.startswith("phase:")
    opens = (int(time.time()) // 60 + 120) * 60
    window = time.strftime("daily %H:%M-", time.gmtime(opens)) + time.strftime("%H:%M UTC", time.gmtime(opens + 60))
    set_ring(site, percent=mine + 1, windows=[window], paused=True)
    assert host.agent("run").out == "paused: the ring is paused; it names hello-1.0-2.noarch\n"
    set_ring(site, paused=False, check=True)
    host.configure()
    assert host.agent("run").out.startswith("unchecked:")
    host.configure(check=_CHECK)

    def at(when: int) -> str:
        return host.agent("run", "--dry-run", "--at", stamp(when)).out

    assert at(opens - 1) == "window: hello-1.0-2.noarch: no maintenance window of the ring is open\n"
    assert at(opens) == "act: to run hello-1.0-2.noarch\n"
    host.configure(check=_CHECK, windows=window.replace(" UTC", ""))
    set_ring(site, windows=())
    assert at(opens + 60) == "window: hello-1.0-2.noarch: no maintenance window of this host is open\n"
    assert host.agent("run").out.startswith("window:")
    assert host.installed() == ["hello-1.0-1.noarch"]


def test_a_run_that_is_killed_in_the_middle_of_a_transaction_is_carried_on_by_the_next(
    site: Service, host: PullHost, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    slow = {"post_install": f"while [ ! -e {gate} ]; do sleep 0.1; done"}
    package = quick(
        tmp_path, "hello", release="4", files={"/opt/hello/well": b"yes"}, scriptlets=slow, provides=["/bin/sh"]
    )
    site.publish(NAME, package)
    set_ring(site, "hello-1.0-4")
    running = host.started()
    until(lambda: "hello-1.0-4.noarch" in host.installed(), 60, "the package tool to be at the scriptlet")
    running.kill()
    running.wait()
    gate.touch()
    assert host.agent("run") == (0, "updated: runs hello-1.0-4.noarch\n")
    assert host.installed() == ["hello-1.0-4.noarch"]
    assert host.remembered()["pending"] is None


def test_two_runs_at_once_are_one(site: Service, host: PullHost) -> None:
    set_ring(site, "hello-1.0-2")
    with StateFile(host.state).alone():
        done = host.agent("run")
    assert (done.rc, "another run of repod-agent is at work" in done.out) == (4, True)


def test_a_repository_that_cannot_be_asked_is_asked_again_later(site: Service, host: PullHost) -> None:
    set_ring(site, "hello-1.0-2")
    host.configure(url="http://127.0.0.1:9/")
    done = host.agent("run")
    assert (done.rc, "cannot be reached" in done.out) == (4, True)
    host.configure(ring="other")
    done = host.agent("run")
    assert (done.rc, "ring other: there is none in apps; there are: web" in done.out) == (4, True)
    (site.store(NAME) / "rollout.json").unlink()
    assert "found 404" in host.agent("run").out


def test_another_package_tool_is_waited_for_no_longer_than_it_is_said_and_blamed_on_no_build(
    site: Service, host: PullHost, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    slow = {"post_install": f"while [ ! -e {gate} ]; do sleep 0.1; done"}
    site.publish(NAME, quick(tmp_path, "slow", files={"/opt/slow": b""}, scriptlets=slow, provides=["/bin/sh"]))
    set_ring(site, "hello-1.0-2")
    host.configure(check=_CHECK, lock_wait="1s")
    other = host.started("dnf", "-y", "--refresh", "install", "slow")
    until(lambda: "slow-1.0-1.noarch" in host.installed(), 60, "the other package tool to be at the scriptlet")
    done = host.agent("run")
    assert (done.rc, "dnf: another package tool held the lock for longer than lock_wait" in done.out) == (1, True)
    assert "hello-1.0-1.noarch" in host.installed()
    gate.touch()
    assert other.wait(120) == 0
    assert host.agent("run") == (0, "updated: runs hello-1.0-2.noarch\n")


@pytest.mark.parametrize("tool", ["dnf", "zypper"])
def test_other_bytes_of_the_same_nevra_are_replaced_by_those_that_the_ring_means(
    site: Service, host: PullHost, tmp_path: Path, tool: str
) -> None:
    repo = (site.store(NAME) / f"{NAME}.repo").read_text()
    (host.root / "etc/zypp/repos.d/apps.repo").write_text(choosing(repo, "baseurl"))
    (tmp_path / "mine").mkdir()
    mine = quick(tmp_path / "mine", "hello", release="2", files={"/opt/hello/well": b"yes"}, summary="Built by hand")
    assert host.run("rpm", "-U", "--nosignature", mine).rc == 0
    set_ring(site, "hello-1.0-2")
    host.configure(check=_CHECK, tool=tool)
    assert host.agent("run") == (0, "updated: runs hello-1.0-2.noarch\n")
    assert host.agent("run") == (0, "current: runs hello-1.0-2.noarch\n")
