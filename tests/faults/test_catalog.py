"""A catalog outlives whoever writes it: a process that is killed, a folder that cannot be written, others at it."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from repod.catalog.sqlite import SqliteCatalog
from repod.errors import Unavailable
from repod.listings import Listed, Standing
from repod.office import Search
from repod.package import Nevra, Package, sha256
from tests.lab.folders import tmpfs
from tests.lab.wait import until

_ROOT = Path(__file__).parents[2]
_BEFORE = Standing(generation=1, checksum="a" * 64)
_AFTER = Standing(generation=2, checksum="b" * 64)
# Fills the catalog with many packages, says so, and then goes no further.
_WRITER = """
import sys, time
from pathlib import Path
from tests.faults.test_catalog import _AFTER, batch
from repod.catalog.sqlite import SqliteCatalog

def batches():
    for number in range(50):
        yield batch(number * 100, 100)
    print("so far", flush=True)
    time.sleep(60)

SqliteCatalog(Path(sys.argv[1])).fill(_AFTER, [], batches())
"""


def batch(start: int, count: int) -> Sequence[Listed]:
    made = []
    for number in range(start, start + count):
        nevra = Nevra(name=f"p{number}", epoch=0, version="1", release="1", arch="noarch")
        package = Package(nevra=nevra, pkgid=sha256(f"{number:064x}"), size=1, href=nevra.location)
        made.append(Listed(package=package, summary="a summary of some length " * 4, built=number))
    return made


def test_a_writer_that_is_killed_leaves_what_was_there_and_the_next_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    catalog = SqliteCatalog(path)
    catalog.fill(_BEFORE, [], [batch(0, 3)])
    words = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(words, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "so far\n"
        assert catalog.search(Search()).total == 3, "who reads is not held up"
        with pytest.raises(Unavailable, match="written by another process"):
            catalog.fill(_AFTER, [], [])
        writer.send_signal(signal.SIGKILL)
    assert SqliteCatalog(path).search(Search()).total == 3
    assert SqliteCatalog(path).standing() == _BEFORE
    until(lambda: _filled(catalog), 60, "the lock of the killed process to be free")
    assert catalog.search(Search()).total == 5


def _filled(catalog: SqliteCatalog) -> bool:
    try:
        catalog.fill(_AFTER, [], [batch(0, 5)])
    except Unavailable:
        return False
    return True


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "catalog").write_text("in the way")
    catalog = SqliteCatalog(tmp_path / "catalog" / "r.sqlite")
    assert catalog.standing() is None
    with pytest.raises(Unavailable, match=r"catalog cannot be written .*make it writable for repod"):
        catalog.fill(_BEFORE, [], [])


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=400k") as disk:
        catalog = SqliteCatalog(disk / "r.sqlite")
        catalog.fill(_BEFORE, [], [batch(0, 3)])
        with pytest.raises(Unavailable, match=r"cannot be used now .*full"):
            catalog.fill(_AFTER, [], [batch(number * 100, 100) for number in range(50)])
        assert catalog.search(Search()).total == 3
        catalog.fill(_AFTER, [], [batch(0, 4)])
        assert catalog.search(Search()).total == 4
        catalog.close()
