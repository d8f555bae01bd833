"""``repod verify``, ``--repair`` and ``rebuild`` as a person runs them, on real packages; dnf reads what they leave."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from repod.statement import STATEMENT
from tests.lab.checker import assert_sound
from tests.lab.clients import Dnf
from tests.lab.daemon import Ended, Repod
from tests.lab.keys import Key
from tests.lab.looks import names
from tests.lab.rpmbuild import rpmbuild
from tests.lab.rpms import changelog, nfpm, quick

_NEVRAS = ["hello-1.0-1.noarch", "lib++-2:1.0~rc1-1.x86_64", "made-1.0-1.noarch", "nfhello-1.2.3-1.noarch"]
_ALL = [*_NEVRAS, "late-1.0-1.noarch"]
HELLO = "Packages/h/hello-1.0-1.noarch.rpm"


def _prepare(base: Path, key_file: Path) -> Repod:
    """Packages of three builders in two generations after the first."""
    repod = Repod(base, key_file)
    quick(repod.inbox(), "hello", changelog=changelog(12), files={f"/usr/share/hello/{n}": b"" for n in range(900)})
    quick(repod.inbox(), "lib++", "1.0~rc1", arch="x86_64", epoch=2, compression="zstd", requires=["hello >= 1"])
    nfpm(repod.inbox())
    rpmbuild(repod.inbox(), "made", changelog=changelog(3))
    assert repod.once().rc == 0
    quick(repod.inbox(), "late")
    assert repod.once().rc == 0
    return repod


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, key_file: Path) -> Path:
    base = tmp_path_factory.mktemp("care") / "base"
    base.mkdir()
    _prepare(base, key_file)
    return base


@pytest.fixture
def repod(prepared: Path, tmp_path: Path, key_file: Path) -> Repod:
    shutil.copytree(prepared, tmp_path / "base")
    return Repod(tmp_path / "base", key_file)


def _record(store: Path, number: int = 3) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((store / f".repod/generations/{number}.json").read_bytes())
    return found


def _documents(store: Path) -> list[Path]:
    """The current generation's, of both views."""
    record = _record(store)
    view = store / "generations/3"
    live = [store / document["href"] for document in record["documents"]]
    return [*live, view / record["frozen"]["href"], *(view / d["href"] for d in record["documents"][1:])]


def _dump(store: Path) -> dict[str, bytes]:
    files = (path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def _rows(ended: Ended) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(ended.out)
    return rows


def _assert_dnf_reads(store: Path, views: Iterable[str], root: Path) -> None:
    """dnf, with the index's signature checked, lists all from each view; it installs from the last, signed too."""
    for number, view in enumerate(views):
        repo = (
            f"[test]\nname=test\nbaseurl=file://{store}/{view}\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n"
            f"gpgkey=file://{store}/RPM-GPG-KEY-test\n"
        )
        with Dnf(root / f"host{number}", repo) as host:
            assert host.available() == sorted(_ALL)
            if view:
                done = host.install("late")
                assert (done.rc, host.installed()) == (0, ["late-1.0-1.noarch"]), done.out


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def _truncate(*paths: Path) -> None:
    """In place, so that hard links are damaged with it."""
    for path in paths:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)


_DAMAGES: dict[str, Callable[[Path], None]] = {
    "the live index is gone": lambda store: _remove(store / "repodata/repomd.xml", store / "repodata/repomd.xml.asc"),
    "all documents are gone": lambda store: _remove(*_documents(store)),
    "all documents are cut short": lambda store: _truncate(*{p.stat().st_ino: p for p in _documents(store)}.values()),
    "primary is gone": lambda store: _remove(_documents(store)[0]),
    "the frozen view is gone": lambda store: shutil.rmtree(store / "generations/3"),
    "the live view is gone": lambda store: shutil.rmtree(store / "repodata"),
    "the pointer is gone": lambda store: _remove(store / ".repod/head.json"),
}


@pytest.mark.parametrize("cache", ["with its cache", "without a cache"])
@pytest.mark.parametrize("damage", _DAMAGES)
def test_what_was_lost_is_byte_by_byte_as_it_was_after_a_repair_and_dnf_reads_it(
    damage: str, cache: str, repod: Repod, key: Key, tmp_path: Path
) -> None:
    store = repod.store()
    before = _dump(store)
    _DAMAGES[damage](store)
    if cache == "without a cache":
        shutil.rmtree(repod.base / "state/cache")
    assert repod.cli("verify", "test").rc == 1
    done = repod.cli("verify", "test", "--repair", "--json")
    assert done.rc == 0, done
    assert {row["severity"] for row in _rows(done)} <= {"mended", "note"}
    after = {path: data for path, data in _dump(store).items() if not path.startswith(".repod/aside/")}
    # What was stated of it is stated anew, with an end of its own.
    assert after.pop(STATEMENT) == before.pop(STATEMENT) or damage == "the live view is gone"
    assert after == before
    assert repod.cli("verify", "test").rc == 0
    assert sorted(assert_sound(store, key.public)) == sorted(_ALL)
    _assert_dnf_reads(store, ("", "generations/3/"), tmp_path)
    assert names(repod.base / "state/work") == []


def test_a_sound_repository_is_told_in_one_line(repod: Repod) -> None:
    before = _dump(repod.store())
    done = repod.cli("verify", "test")
    assert (done.rc, done.out) == (0, "sound: everything it lists is there, unaltered and signed\n")
    assert repod.cli("verify", "test", "--repair").out == done.out
    assert _dump(repod.store()) == before


def test_damaged_packages_are_named_and_stay_listed(repod: Repod) -> None:
    store = repod.store()
    stored = store / HELLO
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")
    _remove(store / "Packages/l/late-1.0-1.noarch.rpm")
    done = repod.cli("verify", "test", "--repair", "--json")
    assert done.rc == 1
    found = {row["path"]: row["what"] for row in _rows(done)}
    assert set(found) == {HELLO, "Packages/l/late-1.0-1.noarch.rpm"}
    assert "altered: expected" in found[HELLO]
    assert "missing; restore it from a copy" in found["Packages/l/late-1.0-1.noarch.rpm"]


def test_an_unsigned_package_that_lies_in_the_place_of_a_listed_one_is_named(repod: Repod, tmp_path: Path) -> None:
    shutil.copyfile(quick(tmp_path, "hello"), repod.store() / HELLO)
    (row,) = _rows(repod.cli("verify", "test", "--json"))
    assert (row["severity"], row["path"]) == ("fault", HELLO)


def test_a_rebuild_of_a_sound_repository_writes_nothing_and_reads_headers_alone(repod: Repod) -> None:
    before = _dump(repod.store())
    (row,) = _rows(repod.cli("rebuild", "test", "--json"))
    assert (row["severity"], row["path"]) == ("done", "generations/3/")
    assert "5 packages" in row["what"]
    assert _dump(repod.store()) == before


def test_of_packages_alone_a_repository_is_made_that_dnf_reads(repod: Repod, key: Key, tmp_path: Path) -> None:
    store = repod.store()
    for path in store.iterdir():
        if path.name != "Packages":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    told = repod.cli("verify", "test")
    assert told.rc == 1
    assert "only packages are left; repod rebuild makes a repository of them" in told.out
    shutil.rmtree(repod.base / "state/cache")
    assert repod.cli("rebuild", "test").rc == 0
    assert sorted(assert_sound(store, key.public)) == sorted(_ALL)
    _assert_dnf_reads(store, ("", "generations/1/"), tmp_path)
    quick(repod.inbox(), "after")
    assert repod.once().rc == 0
    assert repod.cli("verify", "test").rc == 0


def test_a_lost_record_is_told_and_a_rebuild_begins_anew(repod: Repod, key: Key, tmp_path: Path) -> None:
    store = repod.store()
    _remove(store / ".repod/generations/3.json")
    assert repod.once().rc != 0
    told = repod.cli("verify", "test", "--repair")
    assert told.rc == 1
    assert "restore it from a copy of the store, or: repod rebuild" in told.out
    done = repod.cli("rebuild", "test")
    assert (done.rc, done.err) == (0, "")
    assert sorted(assert_sound(store, key.public)) == sorted(_ALL)
    _assert_dnf_reads(store, ("", "generations/4/"), tmp_path)
    quick(repod.inbox(), "after")
    assert repod.once().rc == 0
    assert repod.cli("verify", "test").rc == 0


def test_a_repository_is_mended_beside_its_running_daemon(repod: Repod, key: Key, tmp_path: Path) -> None:
    store = repod.store()
    before = _dump(store)
    with repod:
        _remove(*_documents(store), store / "mirrorlist")
        done = repod.cli("verify", "test", "--repair", "--json")
        assert done.rc == 0, done
        assert {path: _dump(store)[path] for path in before if ".xml.gz" in path} == {
            path: data for path, data in before.items() if ".xml.gz" in path
        }
        assert sorted(assert_sound(store, key.public)) == sorted(_ALL)
