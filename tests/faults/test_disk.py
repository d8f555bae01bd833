"""Places that fail under the running daemon: full, read-only, forbidden. The repository stays; work goes on by itself.

Needs root, to mount small file systems of its own.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.checker import assert_sound
from tests.lab.daemon import Repod
from tests.lab.folders import fill, remount_read_only, tmpfs
from tests.lab.keys import Key
from tests.lab.looks import names
from tests.lab.rpms import quick
from tests.lab.wait import until

_PAGE = 4096
# Root without the right to pass by modes and owners.
_ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")


def _errors(repod: Repod) -> float:
    status, page = repod.get("/metrics")
    assert status == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.name == "repod_errors_total"
    )


def _drop(repod: Repod, package: Path) -> None:
    shutil.copyfile(package, repod.inbox() / package.name)


def _live(repod: Repod, package: Path) -> bool:
    """Whether it was published; by a turn that failed after its generation was recorded, the next one finds it so."""
    told = ("package published", "package is published already")
    return any(repod.find_events(event, file=package.name) for event in told)


def _fails_and_recovers(repod: Repod, package: Path, mend: Any, key: Key) -> list[dict[str, Any]]:
    """Drop a package while a place is broken; mend it and wait. The errors that were logged meanwhile."""
    before = _errors(repod)
    listed = sorted(assert_sound(repod.store(), key.public))
    _drop(repod, package)
    until(lambda: _errors(repod) > before, 60, "the error to be counted")
    assert names(repod.inbox()) == [package.name]
    assert sorted(assert_sound(repod.store(), key.public)) == listed
    told = [event for event in repod.log_events() if event["level"] == "error"]
    mend()
    until(lambda: _live(repod, package), 90, f"{package.name} to be published without a restart")
    until(lambda: names(repod.inbox()) == [], 30, "the inbox to be cleared")
    assert len(assert_sound(repod.store(), key.public)) == len(listed) + 1
    _no_stage_stays(repod)
    return told


def _no_stage_stays(repod: Repod) -> None:
    """What follows a generation, such as the front page, is made after it, by way of a stage too."""
    until(lambda: names(repod.store() / ".repod/tmp") == [], 30, "the last stage to be gone")


@contextmanager
def _running(tmp_path: Path, key_file: Path, **more: Any) -> Iterator[Repod]:
    """A daemon that has published one package already."""
    with Repod(tmp_path, key_file, **more) as repod:
        first = quick(tmp_path, "first")
        _drop(repod, first)
        until(lambda: _live(repod, first), 60, "the first package to be live")
        until(lambda: names(repod.inbox()) == [], 30, "the inbox to be cleared")
        yield repod


def test_a_store_that_is_full_keeps_the_old_generation_and_the_inbox_until_there_is_room(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    """C089: however many pages are left, so that each step of a publish is the one that finds none."""
    with tmpfs(tmp_path / "disk", "size=20m") as disk:
        repositories = {"test": {"store": str(disk / "www")}}
        with _running(tmp_path, key_file, repositories=repositories) as repod:
            failed = 0
            for pages in range(14):
                package = quick(tmp_path, f"full-{pages}")
                filler = fill(disk, pages * _PAGE)
                before = _errors(repod)
                _drop(repod, package)
                until(lambda p=package, b=before: _live(repod, p) or _errors(repod) > b, 60, "an end of the try")
                assert_sound(repod.store(), key.public)
                if not _live(repod, package):
                    failed += 1
                    assert names(repod.inbox()) == [package.name]
                    told = [event for event in repod.log_events() if event["level"] == "error"]
                    assert "ENOSPC" in told[-1]["problem"]
                    assert str(disk / "www") in told[-1]["problem"]
                filler.unlink()
                until(lambda p=package: _live(repod, p), 90, f"{package.name} to be published without a restart")
            assert 5 < failed < 14
            assert len(assert_sound(repod.store(), key.public)) == 15
            _no_stage_stays(repod)


def test_a_full_state_directory_and_temporary_directory_stop_nothing_but_taking_in(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    with tmpfs(tmp_path / "small", "size=1m") as small:
        env = {"TMPDIR": str(small)}
        with _running(tmp_path, key_file, settings={"state_dir": str(small / "state")}, env=env) as repod:
            filler = fill(small)
            told = _fails_and_recovers(repod, quick(tmp_path, "second"), filler.unlink, key)
            assert any(str(small / "state") in event["problem"] for event in told)
            assert repod.noise() == []


def test_a_store_that_turns_read_only_is_written_again_once_it_is_mounted_so(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    with tmpfs(tmp_path / "disk", "size=20m") as disk:
        repositories = {"test": {"store": str(disk / "www")}}
        with _running(tmp_path, key_file, repositories=repositories) as repod:
            remount_read_only(disk)

            def mend() -> None:
                subprocess.run(["mount", "-o", "remount,rw", disk], check=True)

            told = _fails_and_recovers(repod, quick(tmp_path, "second"), mend, key)
            assert "mount it writable" in told[-1]["problem"]


@pytest.mark.parametrize("place", ["www/test/.repod/tmp", "www/test/repodata", "www/test/Packages", "state/work"])
def test_a_place_that_repod_may_not_write_is_written_again_once_it_may(
    place: str, tmp_path: Path, key: Key, key_file: Path
) -> None:
    with _running(tmp_path, key_file, prefix=_ORDINARY) as repod:
        folders = [tmp_path / place, *(path for path in (tmp_path / place).rglob("*") if path.is_dir())]
        modes = {folder: folder.stat().st_mode for folder in folders}
        for folder in reversed(folders):
            folder.chmod(0o555)

        def mend() -> None:
            for folder, mode in modes.items():
                folder.chmod(mode)

        try:
            told = _fails_and_recovers(repod, quick(tmp_path, "other"), mend, key)
        finally:
            mend()
        assert "Permission denied" in told[-1]["problem"]
        assert repod.noise() == []


def test_an_inbox_that_cannot_be_read_is_told_and_read_again_once_it_can(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    with _running(tmp_path, key_file, prefix=_ORDINARY) as repod:
        repod.inbox().chmod(0)
        try:
            until(lambda: repod.get("/readyz")[0] == 503, 60, "the daemon to say that it is not ready")
            assert _errors(repod) > 0
            _drop(repod, quick(tmp_path, "second"))
        finally:
            repod.inbox().chmod(0o755)
        until(lambda: repod.find_events("published", packages=2), 90, "the second package to be live")
        assert len(assert_sound(repod.store(), key.public)) == 2
        until(lambda: repod.get("/readyz")[0] == 200, 60, "the daemon to be ready again")
