"""What CI jobs, attackers and dying processes do to an inbox directory; and that nothing is lost by it."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

import pytest

from repod.doors import Arrival
from repod.errors import Conflict, Misconfigured, NotFound, Unavailable
from repod.inbox.directory import DirectoryInbox
from repod.inbox.folders import opened
from repod.package import Sha256
from tests.lab.inboxes import (
    FAULT,
    SETTLE,
    DirectoryPlace,
    collect,
    files_below,
    names,
    only,
    open_directory,
    unprivileged,
)
from tests.lab.rpms import quick
from tests.lab.wait import until

NOW = 1_700_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DirectoryPlace]:
    made = DirectoryPlace(tmp_path)
    yield made
    made.inbox.close()


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


# --- links and other things that are no file -------------------------------------------


@pytest.mark.parametrize("target", ["missing", "/etc/passwd", "/etc", "real.rpm"])
def test_a_link_named_like_a_package_is_refused_and_moved_itself(
    place: DirectoryPlace, rpm: bytes, target: str
) -> None:
    (place.folder / "real.rpm").write_bytes(rpm)
    (place.root / "x.rpm").symlink_to(place.folder / target)
    arrival = only(place.inbox)
    assert (arrival.fault.code if arrival.fault else "", arrival.waiting) == ("symlink", "")
    lies = Path(place.inbox.reject(arrival, [arrival.fault or FAULT], "", NOW))
    assert lies == place.folder / "rejected/x.rpm"
    assert lies.readlink() == place.folder / target
    assert list(place.inbox.scan()) == []
    assert json.loads((place.folder / "rejected/x.rpm.reason.json").read_text())["faults"][0]["code"] == "symlink"


def test_a_link_is_never_copied(place: DirectoryPlace, rpm: bytes) -> None:
    (place.folder / "real.rpm").write_bytes(rpm)
    (place.root / "x.rpm").symlink_to(place.folder / "real.rpm")
    with pytest.raises((Conflict, NotFound)):
        place.inbox.take(only(place.inbox), place.folder / "copy")
    assert not (place.folder / "copy").exists()


def test_a_file_that_becomes_a_link_after_the_scan_is_not_followed(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    place.delete("x.rpm")
    (place.root / "x.rpm").symlink_to("/etc/passwd")
    with pytest.raises((Conflict, NotFound)):
        place.inbox.take(arrival, place.folder / "copy")
    place.inbox.remove(arrival)
    with pytest.raises((Conflict, NotFound)):
        place.inbox.reject(arrival, [FAULT], "", NOW)
    assert (place.root / "x.rpm").readlink() == Path("/etc/passwd")


def test_a_folder_that_becomes_a_link_after_the_scan_is_not_entered(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("team/x.rpm", rpm)
    arrival = only(place.inbox)
    outside = place.folder / "outside"
    (place.root / "team").rename(outside)
    (place.root / "team").symlink_to(outside)
    with pytest.raises(NotFound):
        place.inbox.take(arrival, place.folder / "copy")
    place.inbox.remove(arrival)
    assert (outside / "x.rpm").read_bytes() == rpm
    assert list(place.inbox.scan()) == []


def test_links_to_folders_are_not_walked(place: DirectoryPlace, rpm: bytes) -> None:
    (place.folder / "outside").mkdir()
    (place.folder / "outside/x.rpm").write_bytes(rpm)
    (place.root / "team").symlink_to(place.folder / "outside")
    (place.root / "loop").symlink_to(place.root)
    assert list(place.inbox.scan()) == []


def test_pipes_sockets_and_devices_are_left_alone_and_told_once(place: DirectoryPlace) -> None:
    os.mkfifo(place.root / "pipe.rpm")
    with socket.socket(socket.AF_UNIX) as channel, opened(place.root) as folder:
        # By descriptor, since the path of a socket may have no more than 107 bytes.
        channel.bind(f"/proc/self/fd/{folder}/socket.rpm")
        for _ in range(3):
            assert list(place.inbox.scan()) == []
    told = place.log.of("left alone in the inbox")
    assert sorted(line["file"] for line in told) == ["pipe.rpm", "socket.rpm"]
    assert {line["why"] for line in told} == {"it is no regular file"}


def test_a_pipe_in_the_place_of_an_arrival_does_not_block(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    place.delete("x.rpm")
    os.mkfifo(place.root / "x.rpm")
    with pytest.raises(Conflict):
        place.inbox.take(arrival, place.folder / "copy")
    place.inbox.remove(arrival)
    assert [path.name for path in place.root.iterdir()] == ["x.rpm"]


def test_a_folder_named_like_a_package_is_a_folder(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm/y.rpm", rpm)
    assert names(place.inbox.scan()) == ["x.rpm/y.rpm"]


def test_a_folder_in_the_place_of_an_arrival_stays(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    place.delete("x.rpm")
    place.put("x.rpm/y.rpm", rpm)
    place.inbox.remove(arrival)
    assert place.lying() == {"x.rpm/y.rpm": rpm}


def test_what_is_left_alone_is_told_once_and_not_per_scan(place: DirectoryPlace, rpm: bytes) -> None:
    for name in ("README", "x.rpm.part", ".hidden", "new.tmp/x.rpm"):
        place.put(name, rpm)
    for _ in range(5):
        place.inbox.scan()
    told = sorted(line["file"] for line in place.log.of("left alone in the inbox"))
    assert told == [".hidden", "README", "new.tmp", "x.rpm.part"]


def test_folders_without_end_are_told_and_not_followed(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("/".join(["d"] * 40) + "/x.rpm", rpm)
    place.put("/".join(["e"] * 32) + "/x.rpm", rpm)
    assert names(place.inbox.scan()) == ["/".join(["e"] * 32) + "/x.rpm"]
    (line,) = place.log.of("left alone in the inbox")
    assert "32 folders deep" in line["why"]


# --- writers ----------------------------------------------------------------------------


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
        until(lambda: place.lying().get("x.rpm") == rpm[:half], 20, "the first half")
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


def test_a_file_that_changes_while_it_is_copied_conflicts(place: DirectoryPlace, rpm: bytes) -> None:
    big = rpm + bytes(64 << 20)
    place.put("x.rpm", big)
    arrival = only(place.inbox)
    copy = place.folder / "copy"
    stop = threading.Event()

    def disturb() -> None:
        until(lambda: copy.exists() or stop.is_set(), 30, "the copy to begin")
        (place.root / "x.rpm").write_bytes(rpm)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        with pytest.raises(Conflict):
            place.inbox.take(arrival, copy)
    finally:
        stop.set()
        disturber.join()
    assert not copy.exists()


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


# --- what the machine refuses -----------------------------------------------------------


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


def test_a_copy_never_replaces_a_file_that_is_there(place: DirectoryPlace, rpm: bytes) -> None:
    place.put("x.rpm", rpm)
    (place.folder / "copy").write_text("mine")
    with pytest.raises(Unavailable):
        place.inbox.take(only(place.inbox), place.folder / "copy")
    assert (place.folder / "copy").read_text() == "mine"


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


def test_where_the_kernel_knows_no_writers_a_whole_package_is_ready_once_settled(tmp_path: Path, rpm: bytes) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("1 0 0:1 / / rw - nfs4 server:/ rw\n")
    place = DirectoryPlace(tmp_path, mountinfo=table)
    place.put("x.rpm", rpm)
    arrival = only(place.inbox)
    assert "may still be written" in arrival.waiting
    place.clock.added = SETTLE + 1
    arrival = only(place.inbox)
    assert arrival.waiting == ""
    place.inbox.take(arrival, tmp_path / "copy")
    place.inbox.close()


def test_wait_ends_as_soon_as_age_makes_a_file_ready(tmp_path: Path) -> None:
    place = DirectoryPlace(tmp_path, settle=0.3, watch="poll", scan_interval=60)
    place.put("x.rpm", b"junk")
    assert only(place.inbox).waiting
    assert place.inbox.wait(60)
    until(lambda: not only(place.inbox).waiting, 10, "the file to be ready")
    place.inbox.close()


# --- a process that dies in between -----------------------------------------------------

_STEPS = {"os.rename", "os.remove", "os.mkdir", "open"}
_DEAD, _MOST_STEPS = 9, 60


def _prepare(folder: Path, rpm: bytes) -> None:
    (folder / "inbox/team").mkdir(parents=True)
    (folder / "inbox/team/x.rpm").write_bytes(rpm)


def _die_at_every_step(action: str, base: Path, rpm: bytes) -> None:
    """Do the action in one process per step, which dies before that step; the last one comes through.

    Runs in a process of its own that has no other threads, so it may fork.
    """
    for step in range(1, _MOST_STEPS):
        folder = base / str(step)
        _prepare(folder, rpm)
        child = os.fork()
        if child == 0:
            _die_at(step, action, folder)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != _DEAD:
            return


def _die_at(step: int, action: str, folder: Path) -> NoReturn:
    inbox = open_directory(folder / "inbox", watch="poll")
    arrival = only(inbox)
    checksum = inbox.take(arrival, folder / "copy")
    steps = itertools.count(1)

    def before_each_call(event: str, _: tuple[object, ...]) -> None:
        if event in _STEPS and next(steps) == step:
            os._exit(_DEAD)

    sys.addaudithook(before_each_call)
    _act(inbox, action, arrival, checksum)
    os._exit(0)


def _act(inbox: DirectoryInbox, action: str, arrival: Arrival, checksum: Sha256) -> None:
    if action == "remove":
        inbox.remove(arrival)
    else:
        inbox.reject(arrival, [FAULT], checksum, NOW)


@pytest.mark.parametrize("action", ["remove", "reject"])
def test_a_death_at_any_step_loses_nothing_and_leaves_no_half_thing(tmp_path: Path, rpm: bytes, action: str) -> None:
    process = get_context("spawn").Process(target=_die_at_every_step, args=(action, tmp_path, rpm))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    *deaths, survivor = sorted((path for path in tmp_path.iterdir()), key=lambda path: int(path.name))
    assert 3 <= len(deaths) < _MOST_STEPS - 2
    assert files_below(survivor / "inbox") == {}
    for folder in deaths:
        inbox = open_directory(folder / "inbox", watch="poll")
        left, rejected = names(inbox.scan()), files_below(folder / "rejected")
        assert left == ["team/x.rpm"] or action == "remove" or rejected["x.rpm"] == rpm
        assert "x.rpm" not in rejected or "x.rpm.reason.json" in rejected
        for arrival in inbox.scan():
            _act(inbox, action, arrival, inbox.take(arrival, folder / "again"))
        assert files_below(folder / "inbox") == {}
        assert list(files_below(folder / "rejected")) == list(files_below(survivor / "rejected"))


def test_what_a_stopped_process_had_hidden_comes_back_under_its_name(place: DirectoryPlace, rpm: bytes) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    (place.root / f".repod-{ended.pid}-0123456789abcdef-x.rpm").write_bytes(rpm)
    assert names(place.inbox.scan()) == ["x.rpm"]
    assert place.log.of("put back what a stopped process held")[0]["file"] == "x.rpm"
    assert place.lying() == {"x.rpm": rpm}


def test_what_comes_back_gives_way_to_a_newer_file_of_its_name(place: DirectoryPlace, rpm: bytes) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    (place.root / f".repod-{ended.pid}-0123456789abcdef-x.rpm").write_bytes(rpm)
    place.put("x.rpm", rpm + b"new")
    found = names(place.inbox.scan())
    assert len(found) == 2
    assert sorted(place.lying().values()) == sorted([rpm, rpm + b"new"])
    assert place.lying()["x.rpm"] == rpm + b"new"


def test_what_a_living_process_holds_stays_hidden_for_a_minute(place: DirectoryPlace, rpm: bytes) -> None:
    (place.root / f".repod-{os.getpid()}-0123456789abcdef-x.rpm").write_bytes(rpm)
    assert list(place.inbox.scan()) == []
    place.clock.added = 61
    assert names(place.inbox.scan()) == ["x.rpm"]


def test_half_written_files_among_the_rejected_are_swept(place: DirectoryPlace, rpm: bytes) -> None:
    (place.folder / "rejected").mkdir()
    (place.folder / "rejected/.repod-0123456789abcdef").write_bytes(b"half")
    place.put("x.rpm", rpm)
    place.inbox.reject(only(place.inbox), [FAULT], "", NOW)
    assert place.rejected().keys() == {"x.rpm", "x.rpm.reason.json"}


def test_many_inboxes_reject_one_name_into_one_directory_at_once(tmp_path: Path, rpm: bytes) -> None:
    inboxes = []
    for number in range(8):
        (tmp_path / f"inbox{number}").mkdir()
        (tmp_path / f"inbox{number}/x.rpm").write_bytes(rpm + b"%d" % (number // 2))
        inboxes.append(open_directory(tmp_path / f"inbox{number}", watch="poll"))
    start = threading.Barrier(8)

    def reject(inbox: DirectoryInbox) -> None:
        arrival = only(inbox)
        start.wait(20)
        inbox.reject(arrival, [FAULT], "", NOW)

    threads = [threading.Thread(target=reject, args=(inbox,)) for inbox in inboxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rejected = files_below(tmp_path / "rejected")
    packages = {name: data for name, data in rejected.items() if not name.endswith(".json")}
    assert packages.keys() == {"x.rpm", "x.rpm.2", "x.rpm.3", "x.rpm.4"}
    assert set(packages.values()) == {rpm + b"%d" % number for number in range(4)}
    for name, data in packages.items():
        assert json.loads(rejected[f"{name}.reason.json"])["size"] == len(data)
