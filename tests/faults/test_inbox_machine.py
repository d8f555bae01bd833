"""What the machine refuses an inbox: rights, room, a sound disk, one file system for all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from repod.errors import Misconfigured, Unavailable
from tests.lab.inboxes import (
    FAULT,
    DirectoryPlace,
    files_below,
    names,
    only,
    open_directory,
    unprivileged,
)
from tests.lab.rpms import quick

NOW = 1_700_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DirectoryPlace]:
    made = DirectoryPlace(tmp_path)
    yield made
    made.inbox.close()


@pytest.fixture
def still(tmp_path: Path) -> DirectoryPlace:
    """Without watchdog's threads, which use the calls of the kernel that a test spoils."""
    return DirectoryPlace(tmp_path, watch="poll")


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return quick(tmp_path_factory.mktemp("rpm")).read_bytes()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that users without rights reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("made", [lambda _: None, Path.touch])
def test_without_the_directory_repod_does_not_start_and_says_what_to_do(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    made(tmp_path / "inbox")
    with pytest.raises(Misconfigured, match="mkdir -p"):
        open_directory(tmp_path / "inbox")


def test_a_directory_that_repod_may_not_change_is_a_fault_of_the_settings(open_to_all: Path) -> None:
    (open_to_all / "inbox").mkdir(mode=0o555)
    with unprivileged(), pytest.raises(Misconfigured, match="give its user all rights"):
        open_directory(open_to_all / "inbox")


def test_a_folder_that_cannot_be_read_makes_the_scan_fail_and_not_show_less(open_to_all: Path, rpm: bytes) -> None:
    with unprivileged():
        place = DirectoryPlace(open_to_all)
        place.put("a/x.rpm", rpm)
        place.put("b/x.rpm", rpm)
        (place.root / "b").chmod(0)
        with pytest.raises(Unavailable, match="its folder b cannot be read"):
            place.inbox.scan()
        (place.root / "b").chmod(0o755)
        assert len(place.inbox.scan()) == 2
        place.inbox.close()


def test_a_file_that_cannot_be_read_waits_and_is_told_once_and_holds_up_no_other(open_to_all: Path, rpm: bytes) -> None:
    with unprivileged():
        place = DirectoryPlace(open_to_all)
        place.put("a.rpm", rpm, earlier=100)
        place.put("b.rpm", rpm)
        (place.root / "a.rpm").chmod(0)
        for _ in range(3):
            locked, free = place.inbox.scan()
        assert "cannot be read (Permission denied)" in locked.waiting
        assert free.waiting == ""
        assert len(place.log.of("arrival cannot be read")) == 1
        place.inbox.close()


def test_a_folder_that_lets_nothing_be_removed_is_said_so_and_the_arrival_stays(open_to_all: Path, rpm: bytes) -> None:
    with unprivileged():
        place = DirectoryPlace(open_to_all)
        place.put("team/x.rpm", rpm)
        arrival = only(place.inbox)
        (place.root / "team").chmod(0o555)
        with pytest.raises(Unavailable, match="give repod the right to write"):
            place.inbox.remove(arrival)
        with pytest.raises(Unavailable):
            place.inbox.reject(arrival, [FAULT], "", NOW)
        assert names(place.inbox.scan()) == ["team/x.rpm"]
        (place.root / "team").chmod(0o755)
        place.inbox.close()


def test_where_the_rejected_directory_cannot_be_written_the_arrival_goes_back(open_to_all: Path, rpm: bytes) -> None:
    with unprivileged():
        place = DirectoryPlace(open_to_all)
        (open_to_all / "rejected").mkdir(mode=0o555)
        place.put("x.rpm", rpm)
        with pytest.raises(Unavailable, match="rejected"):
            place.inbox.reject(only(place.inbox), [FAULT], "", NOW)
        assert place.lying() == {"x.rpm": rpm}
        place.inbox.close()


def test_a_full_disk_under_the_copy_is_no_fault_of_the_arrival(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm", rpm)
    with pytest.raises(Unavailable, match="cannot be created"):
        place.inbox.take(only(place.inbox), place.folder / "no such folder" / "copy")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_rejected_packages_may_lie_on_another_file_system(tmp_path: Path, rpm: bytes, kind: str) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert Path(elsewhere).stat().st_dev != tmp_path.stat().st_dev, "the test needs two file systems"
        place = DirectoryPlace(tmp_path, rejected=Path(elsewhere) / "rejected")
        for _ in range(2):
            if kind == "file":
                place.put("x.rpm", rpm)
            else:
                (place.root / "x.rpm").symlink_to("/etc/passwd")
            lies = Path(place.inbox.reject(only(place.inbox), [FAULT], "", NOW))
        place.inbox.close()
        assert place.lying() == {}
        assert sorted(path.name for path in lies.parent.iterdir()) == ["x.rpm", "x.rpm.reason.json"]
        if kind == "file":
            assert lies.read_bytes() == rpm
        else:
            assert lies.readlink() == Path("/etc/passwd")


def test_a_disk_that_fails_while_a_file_is_copied_leaves_no_copy(
    still: DirectoryPlace, rpm: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    still.put("x.rpm", rpm)
    arrival = only(still.inbox)
    monkeypatch.setattr(os, "read", lambda *_: _fail(errno.EIO))
    with pytest.raises(Unavailable, match="Input/output error"):
        still.inbox.take(arrival, still.folder / "copy")
    assert not (still.folder / "copy").exists()
    assert still.lying() == {"x.rpm": rpm}


def _fail(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_while_a_file_is_rejected_leaves_it_in_the_inbox_and_nothing_elsewhere(
    still: DirectoryPlace, rpm: bytes, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    still.put("x.rpm", rpm)
    arrival = only(still.inbox)
    rename = os.rename

    def rename_but_not_into_rejected(source: str, target: str, **folders: int) -> None:
        if target == "x.rpm":
            _fail(errno.EIO)
        rename(source, target, **folders)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, rename_but_not_into_rejected if call == "rename" else lambda _: _fail(errno.ENOSPC))
        with pytest.raises(Unavailable, match="see that the disk has room"):
            still.inbox.reject(arrival, [FAULT], "", NOW)
    assert still.lying() == {"x.rpm": rpm}
    assert still.rejected() == {}
    still.inbox.reject(only(still.inbox), [FAULT], "", NOW)
    assert still.rejected()["x.rpm"] == rpm


def test_a_copy_to_another_file_system_that_reads_back_differently_is_not_believed(
    tmp_path: Path, rpm: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        place = DirectoryPlace(tmp_path, rejected=Path(elsewhere) / "rejected", watch="poll")
        place.put("x.rpm", rpm)
        fsync = os.fsync

        def spoil(file: int) -> None:
            if os.fstat(file).st_size == len(rpm):
                os.pwrite(file, b"?", 0)
            fsync(file)

        monkeypatch.setattr(os, "fsync", spoil)
        with pytest.raises(Unavailable, match="reads back differently"):
            place.inbox.reject(only(place.inbox), [FAULT], "", NOW)
        place.inbox.close()
        assert place.lying() == {"x.rpm": rpm}
        assert files_below(Path(elsewhere)) == {}
