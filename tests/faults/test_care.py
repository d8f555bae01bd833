"""A repair and a rebuild that are killed before a change of a file, or find no room: the next one finishes."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.checker import assert_sound
from tests.lab.crashing import crash
from tests.lab.daemon import Repod
from tests.lab.folders import tmpfs
from tests.lab.keys import Key
from tests.lab.looks import names
from tests.lab.rpms import quick

_NEVRAS = ["a-1.0-1.noarch", "b-1.0-1.noarch"]
_PAGE = 4096
_POINTS = 5
_COMMANDS = (("verify", "test", "--repair"), ("rebuild", "test"))


def _published(repod: Repod) -> Repod:
    for nevra in ("a", "b"):
        quick(repod.inbox(), nevra)
        assert repod.once().rc == 0
    return repod


def _spoil(repod: Repod) -> None:
    """The cache is gone, every second document missing, the others cut short; the live index is gone too."""
    shutil.rmtree(repod.base / "state/cache")
    for number, path in enumerate(sorted(repod.store().rglob("*.xml.gz"))):
        if number % 2:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-9])
    (repod.store() / "repodata/repomd.xml").unlink()


def _assert_mended(repod: Repod, key: Key) -> None:
    assert sorted(assert_sound(repod.store(), key.public)) == _NEVRAS
    assert names(repod.store() / ".repod/tmp") == []
    assert names(repod.base / "state/work") == []


@pytest.mark.parametrize("words", _COMMANDS)
def test_killed_before_any_change_the_next_repair_finishes(
    words: tuple[str, ...], tmp_path: Path, key_file: Path, key: Key
) -> None:
    """At so many points, evenly spread; each step of both is tested on the store in memory."""
    base = tmp_path / "base"
    base.mkdir()
    _spoil(_published(Repod(base, key_file)))
    shutil.copytree(base, tmp_path / "count")
    counted = crash(Repod(tmp_path / "count", key_file), 0, *words)
    points = int(counted.stdout.split()[-1])
    assert points > 40
    for point in range(points // _POINTS, points, points // _POINTS):
        shutil.copytree(base, tmp_path / f"{point}")
        repod = Repod(tmp_path / f"{point}", key_file)
        assert crash(repod, point, *words).returncode == -signal.SIGKILL
        done = repod.cli("verify", "test", "--repair")
        assert done.rc == 0, (point, done)
        _assert_mended(repod, key)


@contextmanager
def _full(place: Path, left: int) -> Iterator[None]:
    """No more room than ``left`` bytes."""
    filler = place / "filler"
    free = os.statvfs(place)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - left)
    yield
    filler.unlink()


@pytest.mark.parametrize("words", _COMMANDS)
def test_on_a_full_disk_it_says_so_and_goes_on_when_there_is_room(
    words: tuple[str, ...], tmp_path: Path, key_file: Path, key: Key
) -> None:
    with tmpfs(tmp_path / "disk", "size=20m") as disk:
        repod = _published(Repod(tmp_path, key_file, repositories={"test": {"store": str(disk / "www")}}))
        _spoil(repod)
        failed = 0
        for pages in range(0, 9, 2):
            with _full(disk, pages * _PAGE):
                done = repod.cli(*words)
                failed += done.rc != 0
                assert done.rc == 0 or "ENOSPC" in done.out + done.err, done
        assert failed
        assert repod.cli("verify", "test", "--repair").rc == 0
        _assert_mended(repod, key)
