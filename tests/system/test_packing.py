"""A repository in each packing, read by real clients: gz and zstd, in members and as one stream."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import createrepo_c
import pytest

from tests.lab.checker import check
from tests.lab.clients import Dnf, Zypper, choosing
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.looks import records
from tests.lab.rpms import quick, tool
from tests.lab.wait import until

_PACKINGS: dict[str, dict[str, Any]] = {
    "gz": {},
    "gz-stream": {"single_stream": True},
    "zstd": {"compression": "zstd"},
    "zstd-stream": {"compression": "zstd", "single_stream": True},
}
# Enough for several segments.
_COUNT = 120
_NEVRAS = sorted(f"packed{number}-1.0-1.noarch" for number in range(_COUNT))

each = pytest.mark.parametrize("name", _PACKINGS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    """A daemon with one repository in each packing, all with the same packages, in several generations."""
    with Repod(tmp_path_factory.mktemp("packing"), key_file, repositories=_PACKINGS) as repod:
        long_lived.add(repod.pid)
        for some in (range(_COUNT - 1), range(_COUNT - 1, _COUNT)):
            for name in _PACKINGS:
                for number in some:
                    quick(repod.inbox(name), f"packed{number}")
            for name in _PACKINGS:
                until(lambda name=name, some=some: _count(repod, name) == some.stop, 120, f"{name} to be live")
        yield repod


def _count(repod: Repod, name: str) -> int:
    """How many packages the generation has that is live."""
    index = repod.store(name) / "repodata/repomd.xml"
    return int(records(repod.store(name))[int(_repomd(index).revision)]["packages"]) if index.exists() else 0


def _repomd(path: Path) -> createrepo_c.Repomd:
    return createrepo_c.Repomd(str(path))


def _documents(repod: Repod, name: str) -> dict[str, Path]:
    """The live view's per-package documents."""
    index = _repomd(repod.store(name) / "repodata/repomd.xml")
    return {record.type: repod.store(name) / record.location_href for record in index.records}


@each
def test_the_independent_checker_finds_no_fault(name: str, served: Repod, key: Key) -> None:
    report = check(served.store(name), key.public)
    assert report.faults == []
    assert sorted(report.packages) == _NEVRAS
    endings = {path.suffix for path in _documents(served, name).values()}
    assert endings == {".zst" if name.startswith("zstd") else ".gz"}


@each
@pytest.mark.parametrize("form", ["baseurl", "metalink"])
def test_dnf_lists_every_package_from_the_live_and_the_frozen_view(
    name: str, form: str, served: Repod, tmp_path: Path
) -> None:
    with Dnf(tmp_path, choosing(served.repo_file(name), form)) as dnf:
        assert dnf.available() == _NEVRAS
        done = dnf.install("packed7")
        assert done.rc == 0, done.out
        assert dnf.installed() == ["packed7-1.0-1.noarch"]


@each
def test_zypper_lists_every_package(name: str, served: Repod, tmp_path: Path) -> None:
    with Zypper(tmp_path, choosing(served.repo_file(name), "baseurl")) as zypper:
        done = zypper.run("search", "--details", "packed")
        assert done.rc == 0, done.out
        found = {line.split("|")[1].strip() for line in done.out.splitlines() if "| package" in line}
        assert sorted(f"{name}-1.0-1.noarch" for name in found) == _NEVRAS


@each
def test_createrepo_c_and_its_tools_read_every_package(name: str, served: Repod, tmp_path: Path) -> None:
    documents = _documents(served, name)
    read = createrepo_c.PackageIterator(*(str(documents[kind]) for kind in ("primary", "filelists", "other")))
    assert sorted(package.nevra().replace("-0:", "-") for package in read) == _NEVRAS
    merged = [tool("mergerepo_c"), "-r", str(served.store(name)), "-o", str(tmp_path), "--omit-baseurl"]
    subprocess.run(merged, check=True, capture_output=True)
    index = _repomd(tmp_path / "repodata/repomd.xml")
    paths = {record.type: str(tmp_path / record.location_href) for record in index.records}
    read = createrepo_c.PackageIterator(*(paths[kind] for kind in ("primary", "filelists", "other")))
    assert len(list(read)) == _COUNT
