"""The RPMs of repod, in a repository of its own: installed, run, upgraded, downgraded, erased by real dnf and rpm."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.packaging.rpms import Release, rpms
from repod import __version__
from tests.lab import delivery
from tests.lab.clients import run
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.machine import Machine
from tests.lab.machines import Machines
from tests.lab.rpms import nfpm, quick, tool
from tests.lab.wait import until

_PARTS = ("repod", "repod-client", "repod-common", "repod-host")
_UNITS = (
    "repod-agent.service", "repod-agent.timer", "repod-report.path", "repod-report.service", "repod-report.timer",
    "repod-s3.service", "repod-s3.socket", "repod.service",
)  # fmt: skip
# What RPMs of Debian would say of a system that has what repod requires, and no more.
_SYSTEM = (
    "/usr/bin/python3.11", "libc.so.6(GLIBC_2.34)(64bit)", "libgcc_s.so.1()(64bit)", "libglib-2.0.so.0()(64bit)",
    "libgobject-2.0.so.0()(64bit)", "libz.so.1()(64bit)", "systemd", "rpm", "/usr/bin/awk", "/usr/bin/curl",
)  # fmt: skip
# What rpm, dnf and systemd-sysusers keep for themselves.
_NOISE = re.compile(
    r"etc/(yum\.repos\.d|zypp|pki|passwd|group|g?shadow|subuid|subgid|\.pwd\.lock)|var/lib/(rpm|dnf)|var/cache/dnf|var/log/(dnf|hawkey)"
)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The RPMs of this version and of the next one, each in a folder."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    delivery.packages(delivery.release(delivery.ROOT, one), "sles15", one)
    (archive,) = one.glob("*.tar.gz")
    root = delivery.next_version(archive, tmp_path_factory.mktemp("next"))
    delivery.packages(delivery.release(root, two), "sles15", two)
    return one, two


@pytest.fixture
def home(tmp_path: Path, key_file: Path) -> Iterator[Repod]:
    """The repod that has a repository of repod's own packages."""
    with Repod(tmp_path / "home", key_file, ["repod"]) as daemon:
        yield daemon


@pytest.fixture
def machine(tmp_path: Path, home: Repod) -> Iterator[Machine]:
    """A host that follows it, with a system of which rpm knows what repod requires."""
    with Machines(tmp_path / "machines", 1, size="1500m") as machines:
        system = quick(tmp_path, "lab-system", files={}, provides=_SYSTEM)
        machines[0].put("/run/lab-system.rpm", system.read_bytes())
        machines[0].run("rpm", "--install", "--justdb", "--nodeps", "/run/lab-system.rpm")
        yield machines[0]


def _publish(home: Repod, folder: Path) -> None:
    for package in folder.glob("*.rpm"):
        # Whole at once: where a copy of so many bytes stands still for seconds, it is refused as cut short.
        aside = home.inbox("repod") / f".{package.name}"
        shutil.copy(package, aside)
        aside.rename(home.inbox("repod") / package.name)
    until(lambda: not any(home.inbox("repod").iterdir()), 120, "repod's packages to be taken in")
    assert not list(home.rejected("repod").glob("*"))


def _changed(machine: Machine) -> set[str]:
    """What differs on the machine's disk from this machine's: files, and folders that are empty and were not there."""
    paths = list(machine.changes.rglob("*"))
    full = {path.parent for path in paths}
    names = {str(path.relative_to(machine.changes)) for path in paths if path not in full}
    return {name for name in names if not _NOISE.match(name) and not Path("/", name).is_dir()}


def _sound(folder: Path, home: Path) -> None:
    """RPMs of root's alone, whole, which ask for what the system is said to have and for each other, no more."""
    found = {path.name.split(f"-{__version__}-")[0]: path for path in folder.glob("*.rpm")}
    assert set(found) == set(_PARTS)
    asked = {}
    for name, path in found.items():
        assert run([tool("rpmkeys"), "--checksig", path], home).out.endswith("digests OK\n")
        form = r"[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]"
        rows = [line.split() for line in run([tool("rpm"), "-qp", "--qf", form, path], home).out.splitlines()]
        assert {mode[1:] for mode, _ in rows} <= {"rwxr-xr-x", "rw-r--r--", "---------"}
        assert {owner for _, owner in rows} == {"root:root"}
        needs = run([tool("rpm"), "-qp", "--requires", path], home).out.splitlines()
        asked[name] = {line.split()[0] for line in needs if not line.startswith("rpmlib(")}
    assert set().union(*asked.values()) == {*_SYSTEM, "repod-common"}
    assert "repod-common" not in asked["repod-host"]


def _version(machine: Machine) -> str:
    said = {machine.run(name, "--version").out for name in ("repod", "repoctl", "repod-s3", "repod-agent")}
    versions = {line.split()[1] for line in said}
    assert len(versions) == 1, versions
    return versions.pop()


def test_two_builds_of_a_package_are_the_same_to_the_byte(tmp_path: Path) -> None:
    # For hosts nothing but the version is taken from the wheel.
    made = Release(root=delivery.ROOT, wheel=Path("repod-1.0-py3-none-any.whl"), time=1_700_000_000)
    once, again = (rpms(made, delivery.target("el8"), None, tmp_path / name)[0] for name in ("once", "again"))
    assert once.read_bytes() == again.read_bytes()


@pytest.mark.timeout(900)
def test_repod_lives_through_install_upgrade_downgrade_and_erasure(
    dist: tuple[Path, Path], home: Repod, machine: Machine, key: Key, tmp_path: Path
) -> None:
    _sound(dist[0], tmp_path)
    _publish(home, dist[0])
    machine.subscribe(home.repo_file("repod"), "repod")
    before = _changed(machine)
    machine.run("dnf", "-y", "install", *_PARTS)
    assert machine.run("rpm", "--verify", *_PARTS).out == ""
    assert _version(machine) == __version__
    units = [f"/usr/lib/systemd/system/{name}" for name in _UNITS]
    assert "repod" not in machine.run("systemd-analyze", "verify", *units).out

    service = delivery.Service(machine, key.secret)
    with service:
        service.publish(nfpm(tmp_path, "hello", "1.0"))
        machine.subscribe(service.get("/repos/el9-prod/el9-prod.repo") or "", "el9-prod")
        machine.run("dnf", "-y", "install", "hello")
    settings = machine.read("/etc/repod/repod.toml")

    _publish(home, dist[1])
    machine.run("dnf", "-y", "--refresh", "--repo=repod", "upgrade")
    assert _version(machine) == delivery.NEXT
    assert machine.read("/etc/repod/repod.toml") == settings
    assert machine.read("/etc/repod/repod.toml.rpmnew").endswith(delivery.REMARK)
    with service:
        service.publish(nfpm(tmp_path, "hello", "2.0"))
        machine.run("dnf", "-y", "--refresh", "--repo=el9-prod", "upgrade", "hello")

    machine.run("dnf", "-y", "--repo=repod", "downgrade", *_PARTS)
    assert _version(machine) == __version__
    with service:
        listed = service.get("/repos/el9-prod/generations/2/repodata/repomd.xml")
        assert listed is not None
    differs = machine.run("rpm", "--verify", "--nomtime", *_PARTS, check=False).out
    assert [line.split()[1:] for line in differs.splitlines()] == [["c", "/etc/repod/repod.toml"]]

    machine.run("dnf", "-y", "remove", "hello", *_PARTS)
    left = _changed(machine) - before
    own = {name for name in left if name.startswith("srv/repod/www/el9-prod/")}
    # The first is of every distribution's package filesystem, the second hello's, as nfpm made it.
    assert left - own - {"usr/share/licenses", "usr/share/hello"} == {
        "etc/repod/repod.toml.rpmsave",
        "etc/repod/repod.toml.rpmnew",
        "etc/repod/signing-key.asc",
    }
    assert own
    machine.run("rm", "-rf", "/etc/repod", "/srv/repod", "/var/lib/repod", "/var/log/repod")
    machine.run("userdel", "repod")
    machine.run("groupdel", "repod-upload")
    assert _changed(machine) - before == {"usr/share/licenses", "usr/share/hello"}
    assert "repod" not in machine.read("/etc/passwd") + machine.read("/etc/group")
