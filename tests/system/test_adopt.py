"""``repod adopt`` as one runs it: real repositories of createrepo_c, from a directory, in place, from a server."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import createrepo_c
import pytest

from tests.lab import foreign
from tests.lab.clients import Dnf, createrepo_c_list
from tests.lab.daemon import Ended, Repod
from tests.lab.foreign import adopting
from tests.lab.frozen_check import check_every
from tests.lab.mirror import mirror
from tests.lab.oracle import fields
from tests.lab.rpms import quick
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_CARRIED = ("group", "modules", "productid", "updateinfo")


def _build(folder: Path, count: int, advisories: int) -> Path:
    """A repository of createrepo_c with everything that repositories have."""
    rpms = foreign.packages(folder, count)
    foreign.createrepo(folder, "--database")
    foreign.carry(folder, "group", "comps.xml", foreign.COMPS.encode())
    foreign.carry(folder, "modules", "modules.yaml", foreign.MODULES.encode())
    foreign.carry(folder, "updateinfo", "updateinfo.xml", foreign.advisories(advisories, rpms))
    foreign.carry(folder, "productid", "productid", b"\x00certificate\xff", "--no-compress")
    return folder


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Repod:
    return adopting(Repod(tmp_path, key_file, settings={"inbox": {"settle": 0}}))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return _build(tmp_path / "old", 12, 6)


def _listed(folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """By pkgid: href and every field that createrepo_c reads."""
    return {package.pkgId: (package.location_href, fields(package)) for package in createrepo_c_list(folder)}


def _entries(folder: Path, kind: str) -> set[bytes]:
    """The text of every entry of a document."""
    return set(re.findall(rb"<package .*?</package>", foreign.plain(folder, kind), re.DOTALL))


def _json(ended: Ended) -> dict[str, Any]:
    (row,) = json.loads(ended.out)
    return dict(row)


def _assert_taken_over(old: Path, store: Path) -> None:
    assert _listed(store) == _listed(old)
    for kind in _CARRIED:
        assert foreign.plain(store, kind) == foreign.plain(old, kind)


# ---------------------------------------------------------------- the round trip


def test_5000_packages_with_groups_modules_and_200_advisories_come_through_and_stay(
    repod: Repod, tmp_path: Path
) -> None:
    """Adopt, add one package: everything else is unchanged, record by record and byte by byte."""
    old = _build(tmp_path / "old", 5000, 200)
    before = _listed(old)
    assert len(before) == 5000
    adopted = repod.cli("adopt", "test", old)
    assert adopted.rc == 0, adopted.err
    assert "adopted 5000 packages" in adopted.out
    assert _listed(repod.store()) == before
    quick(repod.inbox(), "zzz-new")
    assert repod.once().rc == 0
    store = repod.store()
    after = _listed(store)
    (new,) = after.keys() - before.keys()
    assert after[new][1]["name"] == "zzz-new"
    assert before.items() <= after.items()
    for kind in ("primary", "filelists", "other"):
        assert _entries(old, kind) < _entries(store, kind)
    for kind in _CARRIED:
        assert foreign.plain(store, kind) == foreign.plain(old, kind)
    assert check_every(store).faults == []


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize("checksum", ["sha256", "sha512"])
def test_a_repository_is_adopted_where_it_lies(repod: Repod, tmp_path: Path, checksum: str) -> None:
    """Nothing is copied, and hosts that hold the old index still find what it names."""
    old = _build(tmp_path / "old", 12, 6)
    foreign.createrepo(old, checksum=checksum)
    shutil.copytree(old, repod.store(), dirs_exist_ok=True)
    before = {path: path.stat() for path in repod.store().rglob("*.rpm")}
    named = [record.location_href for record in createrepo_c.Repomd(str(old / "repodata/repomd.xml")).records]
    done = repod.cli("adopt", "test", repod.store())
    assert done.rc == 0, done.err
    assert {path: path.stat() for path in repod.store().rglob("*.rpm")}.keys() == before.keys()
    for path, stat in before.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    assert all((repod.store() / href).is_file() for href in named)
    foreign.createrepo(old)
    assert _listed(repod.store()) == _listed(old)
    assert repod.cli("verify", "test").rc == 0
    again = repod.cli("adopt", "test", repod.store())
    assert again.rc == 0
    assert "generation 1 of test holds 12 packages" in again.out


def test_a_repository_in_a_bucket_is_adopted_where_it_lies(s3: Seaweed, tmp_path: Path, key_file: Path) -> None:
    """As rpm-s3 and ``aws s3 sync`` leave them: nothing is uploaded again, and the old index stays whole."""
    old = _build(tmp_path / "old", 12, 6)
    place = f"s3://{s3.bucket()}/el9/"
    s3.upload(old, place)
    repod = adopting(Repod(tmp_path / "new", key_file, repositories={"test": {"store": place}}, s3=s3))
    bucket = place.split("/")[2]
    before = {one["Key"]: one["LastModified"] for one in s3.client().list_objects_v2(Bucket=bucket)["Contents"]}
    done = repod.cli("adopt", "test", place)
    assert done.rc == 0, done.err
    after = {one["Key"]: one["LastModified"] for one in s3.client().list_objects_v2(Bucket=bucket)["Contents"]}
    assert {key: after[key] for key in before if key.endswith(".rpm")} == {
        key: time for key, time in before.items() if key.endswith(".rpm")
    }
    _assert_taken_over(old, repod.store())
    assert repod.cli("verify", "test").rc == 0
    named = createrepo_c.Repomd(str(old / "repodata/repomd.xml")).records
    assert all((repod.store() / record.location_href).is_file() for record in named)


def test_a_repository_in_a_bucket_is_adopted_into_a_directory(s3: Seaweed, repod: Repod, old: Path) -> None:
    place = f"s3://{s3.bucket()}/"
    s3.upload(old, place)
    repod.env |= s3.environ
    done = repod.cli("adopt", "test", place)
    assert done.rc == 0, done.err
    _assert_taken_over(old, repod.store())


def test_in_place_sha256_is_trusted_and_verify_proves_it(repod: Repod, old: Path) -> None:
    """Reading hundreds of gigabytes is ``verify``'s work; a file of another length is seen at once."""
    shutil.copytree(old, repod.store(), dirs_exist_ok=True)
    first, second = sorted(repod.store().rglob("*.rpm"))[:2]
    first.write_bytes(first.read_bytes()[:-1] + b"!")
    second.write_bytes(b"short")
    refused = repod.cli("adopt", "test", repod.store())
    assert refused.rc == 1
    assert second.name in refused.out
    assert first.name not in refused.out
    assert not (repod.store() / ".repod/head.json").exists()
    assert repod.cli("adopt", "test", repod.store(), "--skip-missing").rc == 0
    verified = repod.cli("verify", "test")
    assert verified.rc == 1
    assert first.name in verified.out


def test_another_tools_repository_is_still_refused_by_everything_else(repod: Repod, old: Path) -> None:
    shutil.copytree(old, repod.store(), dirs_exist_ok=True)
    index = (repod.store() / "repodata/repomd.xml").read_bytes()
    refused = repod.once()
    assert "it is another tool's repository" in refused.err
    assert (repod.store() / "repodata/repomd.xml").read_bytes() == index


def test_a_repository_is_adopted_from_a_server_and_its_password_is_told_nobody(
    repod: Repod, old: Path, tmp_path: Path
) -> None:
    with mirror(tmp_path) as server:
        server.needs = "lab:s3cret&"
        address = f"{server.url.removeprefix('http://')}/old"
        refused = repod.cli("adopt", "test", f"http://{address}/")
        assert (refused.rc, "USER:PASSWORD" in refused.err) == (4, True)
        done = repod.cli("adopt", "test", f"http://lab:s3cret%26@{address}/", "--json")
    assert done.rc == 0, done.err
    assert _json(done)["source"] == f"http://{address}/"
    _assert_taken_over(old, repod.store())
    assert repod.cli("verify", "test").rc == 0
    said = done.out + done.err + repod.cli("history", "test").out
    kept = b"".join(path.read_bytes() for path in (repod.store() / ".repod").rglob("*.json"))
    assert f"adopted from http://{address}/" in said
    assert "s3cret" not in said
    assert b"s3cret" not in kept


def test_a_daemon_that_runs_goes_on_with_what_was_adopted(repod: Repod, old: Path) -> None:
    with repod:
        assert repod.cli("adopt", "test", old).rc == 0
        quick(repod.inbox(), "fresh")
        until(lambda: repod.find_events("package published"), 20, "the package to be published")
    assert len(_listed(repod.store())) == 13
    assert check_every(repod.store()).faults == []


# ---------------------------------------------------------------- what it says


def test_a_dry_run_tells_everything_and_writes_nothing(repod: Repod, old: Path) -> None:
    before = {path for path in repod.store().rglob("*") if path.is_file()}
    done = repod.cli("adopt", "test", old, "--dry-run", "--json")
    row = _json(done)
    assert (done.rc, row["packages"], row["generation"], row["left_out"]) == (0, 12, None, [])
    assert row["documents"] == list(_CARRIED)
    assert row["bytes"] == sum(path.stat().st_size for path in old.rglob("*.rpm"))
    assert "would adopt 12 packages" in repod.cli("adopt", "test", old, "--dry-run").out
    left = {path for path in repod.store().rglob("*") if path.is_file()} - before
    assert {path.name for path in left} <= {"lock"}


def test_what_is_missing_is_listed_and_left_out_only_when_asked_for(repod: Repod, old: Path) -> None:
    gone, damaged = sorted(old.rglob("*.rpm"))[:2]
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    for words in (["--dry-run"], []):
        refused = repod.cli("adopt", "test", old, *words)
        assert refused.rc == 1
        assert str(gone.relative_to(old)) in refused.out
        assert re.search(r"repod: test: packages cannot be taken over .*--skip-missing", refused.err)
    assert not (repod.store() / "repodata").exists()
    done = repod.cli("adopt", "test", old, "--skip-missing", "--json")
    assert done.rc == 0
    row = _json(done)
    assert row["packages"] == 10
    assert {(one["kind"], one["path"]) for one in row["left_out"]} == {
        ("missing", str(gone.relative_to(old))),
        ("damaged", str(damaged.relative_to(old))),
    }
    assert len(_listed(repod.store())) == 10


@pytest.mark.parametrize(
    ("where", "rc", "said"),
    [
        ("nothing-there", 2, "expected the directory of a repository"),
        (".", 1, "no repository at"),
        ("ftp://host/x", 2, "found ftp://"),
        ("http://127.0.0.1:1/x", 4, "try again later"),
    ],
)
@pytest.mark.timeout(120)
def test_a_place_without_a_repository_is_one_line(repod: Repod, where: str, rc: int, said: str) -> None:
    ended = repod.cli("adopt", "test", repod.base / where if rc == 1 else where)
    assert (ended.rc, ended.out) == (rc, "")
    (line,) = ended.err.splitlines()
    assert said in line
    assert line.startswith("repod: ")


def test_unsound_documents_are_told_all_at_once_with_the_remedy(repod: Repod, old: Path) -> None:
    for kind in ("primary", "other"):
        path = foreign.document(old, kind)
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    ended = repod.cli("adopt", "test", old)
    assert ended.rc == 1
    first, second, remedy = ended.err.splitlines()
    assert "primary: " in first
    assert "other: " in second
    assert "repod rebuild" in remedy
    assert not (repod.store() / "repodata").exists()


# ---------------------------------------------------------------- hosts


def test_dnf_installs_groups_and_advisories_from_an_adopted_repository(repod: Repod, old: Path, tmp_path: Path) -> None:
    """The old packages are not signed with our key, so the host must not ask for that."""
    wanted = quick(old, "wanted", "1.0", files={"/usr/share/wanted/x": b""})
    foreign.createrepo(old)
    foreign.carry(old, "updateinfo", "updateinfo.xml", foreign.advisories(1, [wanted]))
    foreign.carry(old, "group", "comps.xml", foreign.COMPS.replace("pkg00001", "wanted").encode())
    assert repod.cli("adopt", "test", old).rc == 0
    with repod, Dnf(tmp_path / "host", repod.repo_file().replace("\ngpgcheck=1", "\ngpgcheck=0")) as dnf:
        assert len(dnf.available()) == 13
        done = dnf.run("--refresh", "group", "install", "tools")
        assert done.rc == 0, done.out
        digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
        assert dnf.installed() == ["wanted-1.0-1.noarch"]
        assert "LAB-2023:0000" in dnf.run("updateinfo", "list", "--all").out
        stored = (repod.store() / "wanted-1.0-1.noarch.rpm").read_bytes()
        assert hashlib.sha256(stored).hexdigest() == digest
