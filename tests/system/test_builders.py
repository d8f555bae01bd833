"""Packages of every builder go through repod and come out as what they were, for every reader."""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import createrepo_c
import pytest
import rpm_rs

from tests.lab.checker import assert_sound
from tests.lab.clients import Dnf, Zypper, rpmkeys_check
from tests.lab.daemon import Repod
from tests.lab.keys import Key, gnupghome, gpg, make_key
from tests.lab.oracle import compare_with_createrepo
from tests.lab.rpmbuild import GZIP, XZ, ZSTD, rpmbuild
from tests.lab.rpms import changelog, nfpm, quick, shell

# Everything a spec file can say about other packages, rich dependencies included.
_RELATIONS = """\
Requires: (lib++ if lab-shell)
Requires(post): /bin/sh
Recommends: gz-doc
Suggests: gz-libs >= 1.0
Supplements: (gz and zst)
Enhances: zst
Conflicts: nothing < 1
Obsoletes: xz-old < 2"""


class Published(NamedTuple):
    """What the builders made, by NEVRA, and the daemon that serves it."""

    builds: dict[str, Path]
    repod: Repod


def _rpmbuild(folder: Path) -> None:
    rpmbuild(folder, "gz", payload=GZIP, changelog=changelog(12), subpackages=["doc", "libs"])
    rpmbuild(folder, "xz", payload=XZ, provides=["virtual = 3:1.2-4", "font(:lang=de)"], preamble=_RELATIONS)
    scriptlets = {
        "post": "echo installed > /post",
        "preun": "true",
        "postun -p <lua>": "print('gone')",
        "pretrans -p <lua>": "print('soon')",
    }
    rpmbuild(folder, "zst", payload=ZSTD, scriptlets=scriptlets)
    rpmbuild(folder, "prog", arch="x86_64", epoch=2, source=True, debuginfo=True)
    rpmbuild(folder, "lib++", "2.0~rc1^git1", "1.2+build")


def _others(folder: Path, foreign: Path) -> None:
    nfpm(folder, "nf-plain", key=foreign)
    nfpm(folder, "nf-xz", compression="xz", scriptlets={"postinstall": "true"}, depends=["gz >= 1.0"])
    nfpm(folder, "nf-zstd", compression="zstd", epoch="3", prerelease="rc1")
    quick(folder, "no-room", reserved=0, changelog=changelog(3))
    quick(folder, "c++filt", "1^2~3", "1+1", "x86_64", epoch=7, compression="zstd")
    shell(folder)


def _nevra(package: Path) -> str:
    return re.sub(r"-0:(?=[^-]+-[^-]+$)", "-", createrepo_c.package_from_rpm(str(package)).nevra())


@pytest.fixture(scope="module")
def vendor_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key of somebody else, who signed a package before it came here."""
    path = tmp_path_factory.mktemp("vendor") / "key.asc"
    path.write_bytes(make_key().secret)
    return path


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, key_file: Path, vendor_key: Path, long_lived: set[int]
) -> Iterator[Published]:
    """All of them through one `repod once`, then served by the daemon."""
    base = tmp_path_factory.mktemp("builders")
    built, six = base / "built", base / "six"
    built.mkdir()
    six.mkdir()
    _rpmbuild(built)
    _others(built, vendor_key)
    quick(six, "six", fmt=6, compression="zstd")
    quick(six, "c++filt", "1^2~3", "1+1", "x86_64", fmt=6, epoch=7, compression="xz", reserved=0)
    repod = Repod(base, key_file, {"test": {"arches": ["x86_64", "noarch", "src"]}, "six": {"profile": "fedora"}})
    repod.unsound.add("six")  # for the checker's rpm 4, which does not look at their signatures
    shutil.copytree(built, repod.inbox() / "nightly")
    shutil.copytree(six, repod.inbox("six") / "nightly")
    done = repod.once()
    assert done.rc == 0, done
    with repod:
        long_lived.add(repod.pid)
        yield Published({_nevra(package): package for package in built.iterdir()}, repod)


def test_a_single_run_publishes_all_of_them_with_every_checksum_and_signature_right(
    published: Published, key: Key
) -> None:
    repod = published.repod
    packages = assert_sound(repod.repo_url(), key.public)
    assert sorted(packages) == sorted(published.builds)
    assert len(packages) == 16
    assert not repod.rejected().exists()
    assert [path for path in repod.inbox().rglob("*") if path.is_file()] == []
    files = [repod.store() / package.href for package in packages.values()]
    verdicts = rpmkeys_check(key.public, *files)
    assert {verdict.text for verdict in verdicts.values()} == {"digests signatures OK"}


def test_format_6_packages_carry_a_signature_in_rpm_6s_own_tag(published: Published, key: Key) -> None:
    """The machine's rpm 4 knows only their digests, so GnuPG judges the signature."""
    store = published.repod.store("six")
    packages = assert_sound(published.repod.repo_url("six"))
    assert sorted(packages) == ["c++filt-7:1^2~3-1+1.x86_64", "six-1.0-1.noarch"]
    for package in packages.values():
        metadata = rpm_rs.PackageMetadata.open(str(store / package.href))
        (signature,) = metadata.raw_signatures()
        _gpg_verifies(key.public, bytes(signature), bytes(metadata.header_bytes()))
        # rpm writes in capitals what does not hold: here the signature, which it does not know.
        assert rpmkeys_check(None, store / package.href)[store / package.href].text.startswith("digests ")


def _gpg_verifies(public: bytes, signature: bytes, data: bytes) -> None:
    with gnupghome() as home:
        gpg(home, "--import", data=public)
        (home / "signature").write_bytes(signature)
        gpg(home, "--verify", str(home / "signature"), "-", data=data)


@pytest.mark.parametrize("name", ["test", "six"])
def test_every_field_of_the_metadata_is_what_createrepo_c_says_of_the_published_files(
    name: str, published: Published
) -> None:
    store = published.repod.store(name)
    assert compare_with_createrepo(store / "Packages", store) == []


def test_dnf_lists_exactly_what_was_built(published: Published, tmp_path: Path) -> None:
    with Dnf(tmp_path, published.repod.repo_file()) as host:
        assert host.available() == sorted(published.builds)


def test_zypper_lists_exactly_what_was_built(published: Published, tmp_path: Path) -> None:
    with Zypper(tmp_path, published.repod.repo_file()) as host:
        done = host.run("refresh")
        assert done.rc == 0, done.out
        assert _searched(host) == sorted(published.builds)


def _searched(host: Zypper) -> Sequence[str]:
    """NEVRA of all packages that zypper shows."""
    done = host.run("--xmlout", "search", "--details", "--type", "package", "--type", "srcpackage")
    assert done.rc == 0, done.out
    found = []
    for row in re.findall(r"<solvable ([^>]*)/>", done.out):
        says = dict(re.findall(r'(\w+)="([^"]*)"', row))
        arch = "src" if says["kind"] == "srcpackage" else says["arch"]
        found.append(f"{says['name']}-{says['edition']}.{arch}")
    return sorted(found)


def test_dnf_installs_packages_of_each_builder_plus_signs_scriptlets_and_rich_dependencies_included(
    published: Published, tmp_path: Path
) -> None:
    with Dnf(tmp_path, published.repod.repo_file()) as host:
        done = host.install("lab-shell", "xz", "zst", "nf-xz", "nf-zstd", "no-room", "c++filt", "prog-debugsource")
        assert done.rc == 0, done.out
        assert host.installed() == [
            "c++filt-7:1^2~3-1+1.x86_64",
            "gz-1.0-1.noarch",
            "lab-shell-1.0-1.noarch",
            "lib++-2.0~rc1^git1-1.2+build.noarch",
            "nf-xz-1.2.3-1.noarch",
            "nf-zstd-3:1.2.3~rc1-1.noarch",
            "no-room-1.0-1.noarch",
            "prog-debugsource-2:1.0-1.x86_64",
            "xz-1.0-1.noarch",
            "zst-1.0-1.noarch",
        ]
        assert (tmp_path / "post").read_text() == "installed\n"


def test_zypper_installs_a_package_with_plus_signs_in_name_and_release(published: Published, tmp_path: Path) -> None:
    """C063: zypper asks for them unencoded."""
    with Zypper(tmp_path, published.repod.repo_file()) as host:
        done = host.install("lib++")
        assert (done.rc, host.installed()) == (0, ["lib++-2.0~rc1^git1-1.2+build.noarch"]), done.out
