"""Adopt: what other tools left in their repositories."""

from pathlib import Path
from typing import Any

import createrepo_c
import pytest

from tests.lab import foreign
from tests.lab.clients import Dnf, Zypper, choosing, createrepo_c_list
from tests.lab.daemon import Repod
from tests.lab.foreign import adopting
from tests.lab.frozen_check import check_every
from tests.lab.mirror import mirror
from tests.lab.rpms import quick, run_builder


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Repod:
    return adopting(Repod(tmp_path, key_file))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    (folder / "a").mkdir(parents=True)
    quick(folder / "a", "hello")
    quick(folder / "a", "other")
    return foreign.createrepo(folder, "--database")


def _adopt(repod: Repod, where: Path | str) -> str:
    done = repod.cli("adopt", "test", where)
    assert done.rc == 0, done.err
    return done.out


def _records(folder: Path) -> dict[str, str]:
    """Type to href of the records of an index."""
    return {one.type: one.location_href for one in createrepo_c.Repomd(str(folder / "repodata/repomd.xml")).records}


def _listed(folder: Path) -> dict[str, Any]:
    return {package.name: package for package in createrepo_c_list(folder)}


def test_c072_of_two_builds_of_one_nevra_one_is_listed_by_a_rule_and_both_paths_are_named(
    tmp_path: Path, key_file: Path, old: Path
) -> None:
    """The one built last; else the newest file; else the highest checksum. The same again after a restart."""
    (old / "b").mkdir()
    quick(old / "b", "hello", summary="Another build")
    foreign.createrepo(old)
    found = {package.location_href: package.pkgId for package in createrepo_c_list(old) if package.name == "hello"}
    stamps = {package.time_file for package in createrepo_c_list(old)}
    chosen = set()
    for number in range(2):
        # The order of entries is turned round: it must not matter.
        if number:
            for kind in ("primary", "filelists", "other"):
                foreign.rewrite(old, kind, _reversed)
        repod = adopting(Repod(tmp_path / f"{number}", key_file))
        said = _adopt(repod, old)
        assert all(path in said for path in found)
        hello = _listed(repod.store())["hello"]
        chosen.add(hello.pkgId)
        assert found[hello.location_href] == hello.pkgId
        assert _adopt(repod, old)
        assert _listed(repod.store())["hello"].pkgId == hello.pkgId
    assert len(chosen) == 1
    if len(stamps) == 1:
        assert chosen == {max(found.values())}


def _reversed(text: bytes) -> bytes:
    head, _, rest = text.partition(b"<package ")
    *entries, last = rest.split(b"<package ")
    body, end, tail = last.rpartition(b"</package>\n")
    return head + b"".join(b"<package " + one for one in reversed([*entries, body + end])) + tail


@pytest.mark.parametrize("in_place", [False, True])
def test_c076_stale_variants_of_documents_are_not_in_the_new_index(repod: Repod, old: Path, in_place: bool) -> None:
    """Sqlite and zchunk copies of primary would go on saying what the repository held when they were made."""
    # Debian's, since the one on PyPI cannot make zchunk.
    run_builder(["/usr/bin/createrepo_c", "--quiet", "--database", "--zck", "."], old)
    if in_place:
        old.rename(old.parent / "moved")
        repod.store().rmdir()
        old = (old.parent / "moved").rename(repod.store())
    assert {"primary_db", "primary_zck"} <= _records(old).keys()
    said = _adopt(repod, old)
    assert "not taken over: primary_db, filelists_db, other_db: " in said
    assert "not taken over: primary_zck, filelists_zck, other_zck: " in said
    assert list(_records(repod.store())) == ["primary", "filelists", "other"]
    with repod:
        quick(repod.inbox(), "new")
    assert check_every(repod.store()).faults == []
    assert list(_records(repod.store())) == ["primary", "filelists", "other"]


def test_c079_delta_metadata_do_not_outlive_their_packages(repod: Repod, old: Path) -> None:
    """Its deltas are not there any more, and a client that asks for one fails."""
    delta = b'<prestodelta><newpackage name="hello"><delta><filename>drpms/gone.drpm</filename></delta></newpackage>'
    foreign.carry(old, "prestodelta", "prestodelta.xml", delta + b"</prestodelta>")
    foreign.carry(old, "productid", "productid", b"stays")
    said = _adopt(repod, old)
    assert "not taken over: prestodelta: " in said
    records = _records(repod.store())
    assert sorted(records) == ["filelists", "other", "primary", "productid"]
    assert all((repod.store() / href).is_file() for href in records.values())


def test_c123_an_adopted_repository_does_not_hold_the_url_of_the_old_one(
    repod: Repod, old: Path, tmp_path: Path
) -> None:
    """Its packages were listed with the URL of its server; moved elsewhere, it works with a new baseurl alone."""
    with mirror(tmp_path) as server:
        foreign.createrepo(old, f"--baseurl={server.url}/old/")
        assert {package.location_base for package in createrepo_c_list(old)} == {f"{server.url}/old/"}
        _adopt(repod, f"{server.url}/old/")
    assert {package.location_base for package in createrepo_c_list(repod.store())} == {None}
    moved = repod.store().rename(tmp_path / "moved")
    text = choosing((moved / "test.repo").read_text(), "baseurl").replace("\ngpgcheck=1", "\ngpgcheck=0")
    old_url = next(line for line in text.splitlines() if line.startswith("baseurl=")).removeprefix("baseurl=")
    with mirror(moved) as server:
        text = text.replace(old_url, f"{server.url}/")
        for make, folder in ((Dnf, "dnf"), (Zypper, "zypper")):
            with make(tmp_path / folder, text) as host:
                done = host.install("hello")
                assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out
