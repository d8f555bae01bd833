"""What repod is for: a package is dropped into the inbox, and hosts install it with both signatures checked.

The daemon runs with the settings a user would have; clients take the ``.repo`` file that it serves.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import oracle
from tests.lab.checker import assert_sound
from tests.lab.clients import Dnf, Zypper, choosing, createrepo_c_list, rpmkeys_check
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.rpms import nfpm, quick
from tests.lab.wait import until

# The lab makes these short for other tests; here they are what config/repod.toml says.
DEFAULTS = {
    "inbox": {"scan_interval": "5s", "settle": "2s", "incomplete_after": "10m"},
    "workers": {"count": 0},
    "log": {"format": "auto", "level": "info"},
}


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Iterator[Repod]:
    with Repod(tmp_path, key_file, settings=DEFAULTS) as daemon:
        yield daemon


def _drop(repod: Repod, *packages: Path) -> None:
    """Copy packages into the inbox as ``cp`` does, and wait until they are live."""
    for package in packages:
        shutil.copyfile(package, repod.inbox() / package.name)
    for package in packages:
        until(
            lambda name=package.name: repod.find_events("package published", file=name),
            120,
            f"{package.name} to be published",
        )


def _builds(folder: Path) -> list[Path]:
    """Two builds of one package by the tool that CI jobs use, and one of another by rpm-rs."""
    folder.mkdir()
    return [nfpm(folder, "hello", "1.0.0"), nfpm(folder, "hello", "1.1.0"), quick(folder, "other", "2.0")]


def test_dnf_installs_upgrades_and_downgrades_what_was_dropped_into_the_inbox(repod: Repod, tmp_path: Path) -> None:
    old, new, _ = _builds(tmp_path / "built")
    _drop(repod, old)
    repo = repod.repo_file()
    assert {"gpgcheck=1", "repo_gpgcheck=1"} <= set(repo.splitlines())
    with Dnf(tmp_path / "host", repo) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0.0-1.noarch"]), done.out
        _drop(repod, new)
        done = host.upgrade()
        assert (done.rc, host.installed()) == (0, ["hello-1.1.0-1.noarch"]), done.out
        done = host.downgrade("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0.0-1.noarch"]), done.out
    assert repod.noise() == []


def test_dnf_refuses_the_repository_once_its_index_was_tampered_with(repod: Repod, tmp_path: Path) -> None:
    old, *_ = _builds(tmp_path / "built")
    _drop(repod, old)
    repod.unsound.add("test")
    for view, complaint in (("", "Bad GPG signature"), ("generations/2/", "checksum doesn't match")):
        index = repod.store() / view / "repodata/repomd.xml"
        index.write_bytes(index.read_bytes().replace(b"<revision>", b"<revision>9"))
        form = "metalink" if view else "baseurl"
        with Dnf(tmp_path / form, choosing(repod.repo_file(), form)) as host:
            done = host.install("hello")
            assert done.rc != 0
            assert complaint in done.out
            assert host.installed() == []


def test_zypper_refreshes_installs_and_updates_from_the_same_repository(repod: Repod, tmp_path: Path) -> None:
    old, new, _ = _builds(tmp_path / "built")
    _drop(repod, old)
    # It keeps a metalink for ten minutes: profile sles15 gives its hosts this form.
    with Zypper(tmp_path / "host", choosing(repod.repo_file(), "baseurl")) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0.0-1.noarch"]), done.out
        _drop(repod, new)
        done = host.run("refresh")
        assert done.rc == 0, done.out
        done = host.run("update", "--no-recommends")
        assert (done.rc, host.installed()) == (0, ["hello-1.1.0-1.noarch"]), done.out
        done = host.run("install", "--oldpackage", "hello=1.0.0-1")
        assert (done.rc, host.installed()) == (0, ["hello-1.0.0-1.noarch"]), done.out


def test_what_is_published_is_signed_and_the_build_that_was_dropped(repod: Repod, key: Key, tmp_path: Path) -> None:
    builds = _builds(tmp_path / "built")
    _drop(repod, *builds)
    packages = assert_sound(repod.repo_url(), key.public)
    published = {name: repod.store() / package.href for name, package in packages.items()}
    assert sorted(published) == ["hello-1.0.0-1.noarch", "hello-1.1.0-1.noarch", "other-2.0-1.noarch"]
    for file, verdict in rpmkeys_check(key.public, *published.values()).items():
        assert verdict.text == "digests signatures OK", file
    with Dnf(tmp_path / "host", repod.repo_file()) as host:
        done = host.install("hello", "other")
        assert done.rc == 0, done.out
        on_host = host.header_digests()
    # The header digest survives signing: it names the build that CI made.
    made = {}
    for build in (builds[1], builds[2]):
        made |= _header_digest(build, tmp_path / "host")
    assert on_host == made


def _header_digest(package: Path, root: Path) -> dict[str, str]:
    with Dnf(root) as reader:
        done = reader.rpm("-qp", "--qf", r"@%{NEVRA} %{SHA256HEADER}\n", str(package))
    (row,) = [line[1:] for line in done.out.splitlines() if line.startswith("@")]
    nevra, digest = row.split()
    return {nevra: digest}


def test_createrepo_c_update_over_the_published_tree_finds_the_same_packages(repod: Repod, tmp_path: Path) -> None:
    _drop(repod, *_builds(tmp_path / "built"))
    tree = Path(shutil.copytree(repod.store(), tmp_path / "tree"))
    before = [(package.location_href, oracle.fields(package)) for package in createrepo_c_list(tree)]
    oracle.createrepo(tree, tree, "--update", "--changelog-limit", "10")
    after = [(package.location_href, oracle.fields(package)) for package in createrepo_c_list(tree)]
    assert len(before) == 3
    assert sorted(after, key=lambda row: row[0]) == sorted(before, key=lambda row: row[0])
