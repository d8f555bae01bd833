"""Real dnf does the right thing with carried documents, before and after builds they speak of are pruned."""

from collections.abc import Callable
from pathlib import Path

import pytest

from repod.package import Nevra
from repod.repodata import advisory, carried, comps, modules, updateinfo
from tests.lab import rpms
from tests.lab.clients import Dnf
from tests.lab.shelf import Shelf

_ADVISORY = b"""
id = "LAB-2026:1"
type = "security"
severity = "important"
title = "hello: a fix"
issued = 2026-01-31
packages = ["hello-2-1.noarch"]
[[references]]
href = "https://example.com/CVE-2026-1"
id = "CVE-2026-1"
type = "cve"
"""
_GONE = Nevra.parse("hello-2-1.noarch")
_BUILD = """---
document: modulemd
version: 2
data:
  name: hi
  stream: "1.10"
  version: 1
  context: c0ffee
  arch: noarch
  summary: s
  description: d
  license:
    module: [MIT]
  profiles:
    default:
      rpms: [hello]
  artifacts:
    rpms:
    - hello-0:2-1.noarch
...
"""
_DEFAULTS = """---
document: modulemd-defaults
version: 1
data:
  module: hi
  stream: "1.10"
  profiles:
    "1.10": [default]
...
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """hello 1, 2 and 3, and an update of other that no advisory speaks of."""
    made = Shelf(tmp_path / "repo")
    for version in "123":
        rpms.quick(made.folder, version=version)
    for version in "12":
        rpms.quick(made.folder, "other", version=version)
    made.read()
    return made


@pytest.fixture
def make_host(tmp_path: Path, shelf: Shelf) -> Callable[[str], Dnf]:
    """Makes hosts that lack the fix."""

    def make(name: str) -> Dnf:
        host = Dnf(tmp_path / name, shelf.repo())
        assert host.install("hello-1", "other-1").rc == 0
        return host

    return make


def _merged(shelf: Shelf) -> bytes:
    return updateinfo.merge(None, advisory.read("a.toml", _ADVISORY), shelf.find)


def _prune(shelf: Shelf, *builds: str) -> bytes | None:
    """Publish the advisory, then take builds away, as retention would."""
    present = _merged(shelf)
    for build in builds:
        (shelf.folder / f"{build}.rpm").unlink()
    shelf.publish()
    return updateinfo.follow(present, [], [Nevra.parse(build) for build in builds], shelf.named)


@pytest.mark.parametrize(
    ("pruned", "least"),
    [((), "hello-2-1.noarch"), (("hello-2-1.noarch",), "hello-3-1.noarch")],
    ids=["listed", "pruned"],
)
def test_dnf_tells_of_a_fix_and_installs_it_whether_its_build_is_listed_or_was_pruned(
    shelf: Shelf, make_host: Callable[[str], Dnf], pruned: tuple[str, ...], least: str
) -> None:
    shelf.publish(updateinfo=_prune(shelf, *pruned))
    host = make_host("host")
    listing = host.run("updateinfo", "list", "--security")
    assert listing.rc == 0
    assert "LAB-2026:1 Important/Sec. hello-2-1.noarch" in listing.out
    told = host.run("updateinfo", "info", "LAB-2026:1")
    assert "hello: a fix" in told.out
    assert "CVE-2026-1" in told.out
    for words, result in (
        (("upgrade", "--advisory=LAB-2026:1"), "hello-3-1.noarch"),
        (("upgrade", "--security"), "hello-3-1.noarch"),
        (("upgrade", "--cve=CVE-2026-1"), "hello-3-1.noarch"),
        (("upgrade-minimal", "--security"), least),
    ):
        done = host.run(*words)
        assert done.rc == 0, done.out
        assert host.installed() == [result, "other-1-1.noarch"]
        assert "LAB-2026:1" not in host.run("updateinfo", "list", "--security").out
        assert host.downgrade("hello-1").rc == 0


def test_dnf_promises_no_fix_that_nothing_listed_has(shelf: Shelf, make_host: Callable[[str], Dnf]) -> None:
    """Kept, the advisory would stand on every host's list for ever, and no upgrade would clear it."""
    after = _prune(shelf, "hello-2-1.noarch", "hello-3-1.noarch")
    assert after is None
    shelf.publish(updateinfo=after)
    host = make_host("host")
    assert "LAB-2026" not in host.run("updateinfo", "list", "--security").out
    assert host.run("upgrade", "--security").rc == 0
    assert host.installed() == ["hello-1-1.noarch", "other-1-1.noarch"]


def test_a_file_name_with_signs_stays_raw_and_its_fix_installs(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "repo")
    for version in ("1", "2^a~b"):
        rpms.quick(shelf.folder, "lib++", version=version)
    shelf.read()
    text = _ADVISORY.replace(b"hello-2-1.noarch", b"lib++-2^a~b-1.noarch")
    shelf.publish(updateinfo=updateinfo.merge(None, advisory.read("a.toml", text), shelf.find))
    with Dnf(tmp_path / "host", shelf.repo()) as host:
        assert host.install("lib++-1").rc == 0
        assert host.run("upgrade", "--advisory=LAB-2026:1").rc == 0
        assert host.installed() == ["lib++-2^a~b-1.noarch"]


def test_dnf_reads_a_merged_module_stream_and_passes_over_defaults_of_one_that_left(
    tmp_path: Path, shelf: Shelf
) -> None:
    merged = modules.merge(modules.merge(None, _DEFAULTS.encode()), _BUILD.encode())
    shelf.publish(modules=merged)
    with Dnf(tmp_path / "before", shelf.repo()) as host:
        assert "1.10 [d]" in host.run("module", "list").out
        assert host.install("hello").rc == 0
        assert host.installed() == ["hello-2-1.noarch"]
    (shelf.folder / "hello-2-1.noarch.rpm").unlink()
    shelf.publish()
    after = modules.follow(merged, [_GONE], shelf.find)
    assert after == _DEFAULTS.removesuffix("...\n").encode()
    shelf.publish(modules=after)
    with Dnf(tmp_path / "after", shelf.repo()) as host:
        done = host.install("hello")
        assert (done.rc, "rror" in done.out) == (0, False)
        assert host.installed() == ["hello-3-1.noarch"]


def test_dnf_installs_a_group_of_comps_that_were_checked(tmp_path: Path, shelf: Shelf) -> None:
    text = (
        b"<comps><group><id>web</id><name>Web</name><description>d</description><uservisible>true</uservisible>"
        b'<packagelist><packagereq type="mandatory">hello</packagereq></packagelist></group></comps>'
    )
    edit = carried.read("el9-comps.xml", text)
    shelf.publish(**{comps.TYPE: edit.apply(None, shelf.find)})
    with Dnf(tmp_path / "host", shelf.repo()) as host:
        assert host.run("group", "install", "web").rc == 0
        assert host.installed() == ["hello-3-1.noarch"]
