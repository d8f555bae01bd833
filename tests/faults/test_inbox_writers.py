"""Whoever writes to an inbox: slowly, again, for ever, from elsewhere, until killed."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from repod.errors import Conflict
from tests.lab.inboxes import (
    FAULT,
    SETTLE,
    DirectoryPlace,
    collect,
    only,
)
from tests.lab.rpms import quick
from tests.lab.wait import until

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


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[DirectoryPlace]:
    """An inbox that other hosts write to as well, so that no kernel knows of all writers."""
    table = tmp_path / "mountinfo"
    table.write_text("1 0 0:1 / / rw - nfs4 server:/ rw\n")
    made = DirectoryPlace(tmp_path, mountinfo=table, watch="poll")
    yield made
    made.inbox.close()


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return quick(tmp_path_factory.mktemp("rpm")).read_bytes()


def test_a_file_that_another_program_holds_by_a_lease_waits_and_does_not_block(
    place: DirectoryPlace, rpm: bytes
) -> None:
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    file = os.open(place.root / "x.rpm", os.O_RDONLY)
    try:
        # As Samba does; whoever opens the file asks for it back by this signal.
        fcntl.fcntl(file, 10, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        assert only(place.inbox).waiting == "held by another program"
        with pytest.raises(Conflict):
            place.inbox.take(arrival, place.folder / "copy")
    finally:
        os.close(file)
    assert only(place.inbox).waiting == ""


@pytest.mark.parametrize("length", [6000, 9000, 100_000])
def test_a_package_of_format_6_cut_short_anywhere_waits(place: DirectoryPlace, length: int) -> None:
    files = {f"/usr/share/big/{number:04}": b"" for number in range(2000)}
    whole = quick(place.folder, fmt=6, files=files).read_bytes()
    place.put("x.rpm", whole[:length])
    assert only(place.inbox).waiting.startswith(f"incomplete: {length} bytes")
    place.put("x.rpm", whole[:-1])
    assert only(place.inbox).waiting == f"incomplete: {len(whole) - 1} of {len(whole)} bytes"
    place.put("x.rpm", whole)
    assert only(place.inbox).waiting == ""


def test_a_slow_copy_is_neither_ready_nor_taken_until_it_is_closed(place: DirectoryPlace, rpm: bytes) -> None:
    quarter = len(rpm) // 4
    with (place.root / "x.rpm").open("wb", buffering=0) as file:
        for part in (rpm[:quarter], rpm[quarter : 2 * quarter], rpm[2 * quarter : 3 * quarter], rpm[3 * quarter :]):
            file.write(part)
            place.clock.added += 2 * SETTLE
            arrival = only(place.inbox)
            assert arrival.waiting == "open for writing"
            with pytest.raises(Conflict):
                place.inbox.take(arrival, place.folder / "copy")
    place.inbox.scan()
    assert only(place.inbox).waiting == ""


def test_a_writer_that_is_killed_half_way_leaves_an_incomplete_file_that_waits(
    place: DirectoryPlace, rpm: bytes
) -> None:
    script = "import sys,time; f=open(sys.argv[1],'wb',0); f.write(bytes.fromhex(sys.argv[2])); time.sleep(300)"
    half = len(rpm) - 100
    words = [sys.executable, "-c", script, str(place.root / "x.rpm"), rpm[:half].hex()]
    with subprocess.Popen(words) as writer:
        until(lambda: place.lying().get("x.rpm") == rpm[:half], 60, "the first half")
        assert only(place.inbox).waiting == "open for writing"
        os.kill(writer.pid, signal.SIGKILL)
    assert only(place.inbox).waiting == f"incomplete: {half} of {len(rpm)} bytes"
    place.put("x.rpm", rpm)
    assert only(place.inbox).waiting == ""


def test_a_hard_link_made_into_the_inbox_is_taken_and_the_other_name_keeps_its_bytes(
    place: DirectoryPlace, rpm: bytes
) -> None:
    archive = place.folder / "archive.rpm"
    archive.write_bytes(rpm)
    before = archive.stat()
    os.link(archive, place.root / "x.rpm")
    arrival = only(place.inbox)
    assert arrival.waiting == ""
    place.inbox.take(arrival, place.folder / "copy")
    (place.folder / "copy").write_bytes(b"signed in place")
    place.inbox.remove(arrival)
    assert archive.read_bytes() == rpm
    assert archive.stat().st_mtime_ns == before.st_mtime_ns
    assert place.lying() == {}


@pytest.mark.parametrize("moment", ["before take", "after take"])
def test_a_link_made_elsewhere_meanwhile_does_not_keep_an_arrival_from_being_removed(
    place: DirectoryPlace, rpm: bytes, moment: str
) -> None:
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    if moment == "before take":
        os.link(place.root / "x.rpm", place.folder / "backup.rpm")
    place.inbox.take(arrival, place.folder / "copy")
    if moment == "after take":
        os.link(place.root / "x.rpm", place.folder / "backup.rpm")
    place.inbox.remove(arrival)
    assert place.lying() == {}
    assert (place.folder / "backup.rpm").read_bytes() == rpm


def test_new_bytes_under_an_old_date_are_not_removed(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    state = (place.root / "x.rpm").stat()
    place.inbox.take(arrival, place.folder / "copy")
    other = bytes(len(rpm))
    # As cp -p does over a package of a reproducible build: same inode, same size, same date.
    (place.root / "x.rpm").write_bytes(other)
    os.utime(place.root / "x.rpm", ns=(state.st_atime_ns, state.st_mtime_ns))
    place.inbox.remove(arrival)
    with pytest.raises(Conflict):
        place.inbox.reject(arrival, [FAULT], "", NOW)
    assert place.lying() == {"x.rpm": other}


def test_a_file_that_somebody_opened_for_writing_again_is_not_removed(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    place.inbox.take(arrival, place.folder / "copy")
    with (place.root / "x.rpm").open("ab") as file:
        place.inbox.remove(arrival)
        file.write(b"more")
    assert place.lying() == {"x.rpm": rpm + b"more"}


@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_is_replaced_in_the_very_moment_of_its_removal_is_not_lost(
    still: DirectoryPlace, rpm: bytes, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    still.put("x.rpm", rpm)
    arrival = only(still.inbox)
    rename = os.rename

    def replace_and_rename(source: str, target: str, **folders: int) -> None:
        monkeypatch.setattr(os, "rename", rename)
        still.put("x.rpm", b"newer")
        rename(source, target, **folders)
        if again:
            still.put("x.rpm", b"newest")

    monkeypatch.setattr(os, "rename", replace_and_rename)
    still.inbox.remove(arrival)
    assert set(still.lying().values()) == ({b"newer", b"newest"} if again else {b"newer"})
    assert still.lying()["x.rpm"] == (b"newest" if again else b"newer")
    assert all(name.endswith("x.rpm") and not name.startswith(".") for name in still.lying())


@pytest.mark.parametrize("change", ["rewritten", "grown", "cut short", "still open"])
def test_a_file_that_changes_while_it_is_copied_conflicts(
    still: DirectoryPlace, rpm: bytes, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    big = rpm + bytes(4 << 20)
    still.put("x.rpm", big)
    path = still.root / "x.rpm"
    read = os.read
    writers: list[IO[bytes]] = []

    def read_and_disturb(file: int, length: int) -> bytes:
        data = read(file, length)
        if not writers:
            writers.append(path.open("r+b" if change == "rewritten" else "ab"))
            writers[0].truncate(len(rpm) if change == "cut short" else None)
            writers[0].write(b"" if change == "cut short" else b"new")
            if change != "still open":
                writers[0].close()
        return data

    arrival = only(still.inbox)
    monkeypatch.setattr(os, "read", read_and_disturb)
    with pytest.raises(Conflict):
        still.inbox.take(arrival, still.folder / "copy")
    writers[0].close()
    assert not (still.folder / "copy").exists()


def test_a_file_that_grows_for_ever_is_not_copied_for_ever(
    shared: DirectoryPlace, rpm: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.put("x.rpm", rpm)
    arrival = only(shared.inbox)
    with (shared.root / "x.rpm").open("ab", buffering=0) as file:
        read = os.read

        def read_and_grow(descriptor: int, length: int) -> bytes:
            file.write(rpm)
            return read(descriptor, length)

        monkeypatch.setattr(os, "read", read_and_grow)
        with pytest.raises(Conflict):
            shared.inbox.take(arrival, shared.folder / "copy")


def test_a_date_in_the_future_does_not_make_a_file_wait_for_ever(place: DirectoryPlace) -> None:
    place.put("x.rpm", b"junk", earlier=-1e9)
    place.clock.added = SETTLE + 1
    arrival = only(place.inbox)
    assert arrival.age > SETTLE
    assert arrival.waiting == ""


def test_folders_made_and_filled_in_one_go_are_all_seen(place: DirectoryPlace, rpm: bytes) -> None:
    source = place.folder / "source.rpm"
    source.write_bytes(rpm)
    line = 'i=1; while [ $i -le 100 ]; do mkdir -p "$1/a$i/b/c" && cp "$2" "$1/a$i/b/c/x$i.rpm"; i=$((i+1)); done'
    place.inbox.scan()
    with subprocess.Popen(["sh", "-c", line, "sh", str(place.root), str(source)]) as shell:
        seen = collect(place.inbox, 100, 60)
    assert shell.returncode == 0
    assert seen == {f"a{number}/b/c/x{number}.rpm" for number in range(1, 101)}
    assert place.lying() == {}


def test_an_empty_folder_stays_for_whoever_writes_there_next(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("team/x.rpm", rpm)
    place.inbox.remove(only(place.inbox))
    assert (place.root / "team").is_dir()


def test_two_thousand_packages_are_scanned(place: DirectoryPlace, rpm: bytes) -> None:
    for number in range(2000):
        (place.root / f"x{number:04}.rpm").write_bytes(rpm)
    start = time.perf_counter()
    arrivals = place.inbox.scan()
    print(f"\nscan of 2,000 packages: {1000 * (time.perf_counter() - start):.0f} ms")
    assert len(arrivals) == 2000
    assert not any(arrival.waiting for arrival in arrivals)


def test_where_the_kernel_knows_no_writers_a_whole_package_is_ready_once_settled(
    shared: DirectoryPlace, rpm: bytes
) -> None:
    shared.put("x.rpm", rpm)
    assert "may still be written" in only(shared.inbox).waiting
    shared.clock.added = SETTLE + 1
    arrival = only(shared.inbox)
    assert arrival.waiting == ""
    shared.inbox.take(arrival, shared.folder / "copy")
    shared.inbox.remove(arrival)
    assert shared.lying() == {}


def test_wait_ends_as_soon_as_age_makes_a_file_ready(tmp_path: Path) -> None:
    place = DirectoryPlace(tmp_path, settle=2.0, watch="poll", scan_interval=60)
    place.put("x.rpm", b"junk")
    assert only(place.inbox).waiting
    assert place.inbox.wait(60)
    until(lambda: not only(place.inbox).waiting, 30, "the file to be ready")
    place.inbox.close()
