"""The hosts of the lab are hosts: real log-in, real dnf, real faults, and nothing of them is left."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import rpms
from tests.lab.clients import Completed, run
from tests.lab.daemon import Repod
from tests.lab.machine import Machine
from tests.lab.machines import Machines
from tests.lab.wait import until
from tests.lab.wire import Wire


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with Machines(tmp_path_factory.mktemp("machines"), 2) as lab:
        yield lab


@pytest.fixture
def machine(machines: Machines) -> Machine:
    return machines[0]


def ssh(machines: Machines, where: str, *words: str, port: int = 22, patience: int = 60) -> Completed:
    """A command over OpenSSH's own client, which waits so many seconds for an answer."""
    options = [
        "BatchMode=yes",
        f"UserKnownHostsFile={machines.known_hosts}",
        f"ConnectTimeout={patience}",
        f"ServerAliveInterval={patience}",
    ]
    words = ("-F", "none", "-p", str(port), "-i", str(machines.identity), where, *words)
    return run(["ssh", *(word for option in options for word in ("-o", option)), *words], machines.folder)


def test_each_has_its_own_name_users_and_packages(machines: Machines) -> None:
    for machine in machines:
        said = ssh(machines, f"deploy@{machine.address}", "hostname; id -un; sudo -n id -un; rpm -qa")
        assert said.out.split() == [machine.name, "deploy", "root", "lab-base-1.0-1.noarch"]
    assert machines[0].read("/etc/machine-id") != machines[1].read("/etc/machine-id")
    assert "a password is required" in ssh(machines, f"nosudo@{machines[0].address}", "sudo -n true").out


def test_dnf_installs_from_a_daemon_with_both_checks(tmp_path: Path, key_file: Path, machines: Machines) -> None:
    with Repod(tmp_path, key_file) as repod:
        rpms.quick(tmp_path, "hello", scriptlets={"post_install": "echo done >/var/post"}).rename(
            repod.inbox() / "x.rpm"
        )
        until(lambda: repod.find_events("package published"), 60, "the package")
        text = repod.repo_file()
        assert "repo_gpgcheck=1" in text
        assert "\ngpgcheck=1" in text
        for machine in machines:
            machine.subscribe(text)
            done = ssh(machines, f"deploy@{machine.address}", "sudo -n dnf -y install hello")
            assert done.rc == 0, done.out
            assert list(machine.installed("hello")) == ["hello-1.0-1.noarch"]
            assert len(machine.installed()["hello-1.0-1.noarch"]) == 64
            assert machine.read("/var/post") == "done\n"
    assert not Path("/var/post").exists()


def test_a_lock_that_is_held_is_in_dnfs_way(machine: Machine) -> None:
    with machine.locked() as pid:
        done = machine.run("dnf", "--setopt=exit_on_lock=1", "-y", "remove", "nothing", check=False)
        assert done.rc == 200
        assert str(pid) in done.out
    assert machine.run("dnf", "-y", "remove", "nothing", check=False).rc == 0


def test_a_full_disk_takes_nothing_more_until_it_is_cleared(machine: Machine) -> None:
    machine.fill()
    assert "No space left" in machine.run("cp", "/etc/services", "/var/more", check=False).out
    machine.clear()
    assert machine.run("cp", "/etc/services", "/var/more").rc == 0


def test_sshd_stops_starts_freezes_and_changes_its_key(machines: Machines) -> None:
    machine = machines[1]
    where = f"root@{machine.address}"
    machine.stop_sshd()
    assert "refused" in ssh(machines, where, "true").out
    machine.start_sshd()
    assert ssh(machines, where, "true").rc == 0
    machine.freeze()
    assert "timed out" in ssh(machines, where, "true", patience=2).out
    machine.thaw()
    assert ssh(machines, where, "true").rc == 0
    machine.new_key()
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in ssh(machines, where, "true").out
    machines.trust()
    assert ssh(machines, where, "true").rc == 0
    machine.crash()
    assert "refused" in ssh(machines, where, "true").out
    machine.start_sshd()
    assert ssh(machines, where, "true").rc == 0


def test_a_wire_is_cut_in_the_middle_and_what_was_started_apart_goes_on(machines: Machines) -> None:
    machine = machines[0]
    with Wire(machine.address, 22) as wire, machines.known_hosts.open("a") as known:
        known.write(f"[{wire.host}]:{wire.port} {machine.key.public}\n")
        known.flush()
        script = "setsid sh -c 'sleep 1; echo still >/tmp/still' >/dev/null 2>&1 </dev/null & echo begun; sleep 20"
        options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={machines.known_hosts}"]
        going = subprocess.Popen(
            ["ssh", "-F", "none", "-p", str(wire.port), "-i", machines.identity, *options, f"root@{wire.host}", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with going:
            assert going.stdout
            assert going.stdout.readline() == b"begun\n"
            wire.cut()
            assert going.wait(60) == 255
        until(lambda: machine.run("cat", "/tmp/still", check=False).out == "still\n", 60, "what goes on")
        wire.cut_after(10_000)
        assert ssh(machines, f"root@{wire.host}", "head -c 1000000 /dev/zero", port=wire.port).rc == 255
        assert ssh(machines, f"root@{wire.host}", "true", port=wire.port).rc == 0


def test_all_that_ran_on_them_ends_with_them(tmp_path: Path) -> None:
    with Machines(tmp_path, 1) as lab:
        lab[0].run("sh", "-c", "setsid sleep 1000000 >/dev/null 2>&1 </dev/null &")
        assert "sleep 1000000" in lab[0].run("ps", "ax").out
        inside = f"/proc/{lab[0].pid}"
        assert "overlay / overlay" in Path(inside, "mounts").read_text()
    assert not Path(inside).exists()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
