"""The hosts of the lab are what tests take them for."""

import subprocess
from pathlib import Path

from tests.lab.machines import NO_SUDO, USER, Machine, Machines


def _ssh(machines: Machines, machine: Machine, user: str, command: str) -> subprocess.CompletedProcess[str]:
    options = ["-o", f"UserKnownHostsFile={machines.known_hosts}", "-o", "BatchMode=yes", "-i", str(machines.key)]
    words = ["ssh", "-F", "none", *options, "-p", str(machine.port), f"{user}@{machine.address}", command]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30)


def test_each_has_its_own_name_users_and_package_database(tmp_path: Path) -> None:
    with Machines(tmp_path / "m", 3) as machines:
        for machine in machines.all:
            done = _ssh(
                machines, machine, USER, "hostname; sudo -n id -u; rpm -qa; ls /etc/yum.repos.d; cat /etc/machine-id"
            )
            assert done.stdout.split()[:2] == [machine.name, "0"], done.stderr
            assert len(done.stdout.split()) == 3
        refused = _ssh(machines, machines[0], NO_SUDO, "sudo -n id -u")
        assert refused.returncode == 1
        assert "password is required" in refused.stderr
        machines[1].stop()
        assert _ssh(machines, machines[1], USER, "true").returncode == 255
        machines[1].start()
        assert _ssh(machines, machines[1], USER, "true").returncode == 0
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
