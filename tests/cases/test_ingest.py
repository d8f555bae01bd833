"""Cases about how a file comes in."""

import errno
import hashlib
import itertools
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

from tests.cases.place import MakePlace, Place
from tests.lab import rpms
from tests.lab.daemon import Repod
from tests.lab.inboxes import Lines, collect, files_below, open_directory
from tests.lab.wait import until

# Longer than any test waits: what is found by then was found by its event.
NEVER = {"inbox": {"scan_interval": 120.0}}


def test_c001_a_file_renamed_or_hard_linked_into_the_inbox_is_published_once(
    make_place: MakePlace, built: Path
) -> None:
    """A rename and a hard link give no "closed" event and none after; both packages are published, once each."""
    place = make_place(NEVER)
    renamed, linked = rpms.quick(built, "renamed"), rpms.quick(built, "linked")
    with place.running():
        until(lambda: place.metric("repod_watcher_up"), 60, "the watcher")
        renamed.rename(place.inbox / renamed.name)
        os.link(linked, place.inbox / linked.name)
        until(lambda: len(place.log.of("package published")) == 2, 60, "both packages")
        until(lambda: not place.waiting(), 60, "the inbox to be empty")
    assert sorted(place.sound()) == ["linked-1.0-1.noarch", "renamed-1.0-1.noarch"]
    assert place.metric("repod_arrivals_total", result="published") == 2
    assert linked.exists()


def test_c002_a_file_that_is_still_being_written_is_neither_read_nor_refused(place: Place, built: Path) -> None:
    """While a writer has it open it waits, however long the pauses; once closed it is published once."""
    data = rpms.quick(built, files={"/data": os.urandom(9000)}).read_bytes()
    target = place.inbox / "hello.rpm"
    with target.open("wb") as file:
        for start in range(0, len(data), -(-len(data) // 4)):
            file.write(data[start : start + -(-len(data) // 4)])
            file.flush()
            # Longer than settle (0.1 s) and incomplete_after (0.3 s).
            end = time.monotonic() + 0.4
            while time.monotonic() < end:
                assert list(place.turn().outcomes) == []
            assert place.waiting() == ["hello.rpm"]
    assert [end.result for end in place.drain()] == ["accepted"]
    assert list(place.sound()) == ["hello-1.0-1.noarch"]
    assert place.metric("repod_arrivals_total", result="rejected") == 0


def test_c004_lost_events_lose_no_package(make_place: MakePlace, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of all events never comes, then none at all: one periodic scan later everything is published."""
    lost = list[FileSystemEvent]()
    schedule = InotifyObserver.schedule
    numbers = itertools.count()
    deaf = threading.Event()

    def losing(self: InotifyObserver, handler: FileSystemEventHandler, *words: Any, **settings: Any) -> Any:
        dispatch = handler.dispatch

        def some(event: FileSystemEvent) -> None:
            if deaf.is_set() or next(numbers) % 3 == 0:
                lost.append(event)
            else:
                dispatch(event)

        handler.dispatch = some  # type: ignore[method-assign]
        return schedule(self, handler, *words, **settings)

    monkeypatch.setattr(InotifyObserver, "schedule", losing)
    place = make_place({"inbox": {"scan_interval": 1.0}})
    count = 200
    with place.running():
        for number in range(count):
            place.put(rpms.quick(built, f"p{number}"))
        until(lambda: place.metric("repod_arrivals_total", result="published") == count, 60, "all packages")
        deaf.set()
        place.put(rpms.quick(built, "last"))
        until(lambda: place.metric("repod_arrivals_total", result="published") == count + 1, 60, "the last one")
    assert len(lost) > count / 10
    assert place.metric("repod_found_by_scan_total") > 0
    assert len(place.sound()) == count + 1


def test_c005_without_any_event_a_package_is_published_within_two_scans(make_place: MakePlace, built: Path) -> None:
    """Polling alone publishes; on a network mount in event mode, start-up logs one warning."""
    place = make_place({"inbox": {"watch": "poll", "scan_interval": 0.5}})
    place.put(rpms.quick(built, "first"))
    for _ in range(2):
        place.turn()
        settled = time.monotonic() + 0.2
        until(lambda settled=settled: time.monotonic() > settled, 30, "the time between two scans")
    assert [said["package"] for said in place.log.of("package published")] == ["first-1.0-1.noarch"]
    with place.running():
        place.put(rpms.quick(built, "second"))
        until(lambda: len(place.log.of("package published")) == 2, 60, "the package")


def test_c005_an_inbox_on_a_network_mount_is_said_to_be_one_once(tmp_path: Path) -> None:
    """In event mode on a network mount, one warning says that the scan finds what comes from other hosts."""
    (tmp_path / "inbox").mkdir()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 0:31 / {tmp_path} rw,relatime shared:1 - nfs4 server:/export rw\n")
    log = Lines()
    inbox = open_directory(tmp_path / "inbox", mountinfo=mounts, log=log, settle=0.0)
    try:
        rpms.quick(tmp_path / "inbox")
        assert collect(inbox, 1, 10) == {"hello-1.0-1.noarch.rpm"}
    finally:
        inbox.close()
    (said,) = log.of("inbox lies on a network file system")
    assert said["filesystem"] == "nfs4"


def test_c007_a_file_that_vanishes_and_a_name_that_is_no_text_do_not_stop_the_watcher(
    make_place: MakePlace, built: Path
) -> None:
    """Files that are gone when looked at, and a name with the byte 0xE9; what comes afterwards is published at once."""
    place = make_place(NEVER)
    odd = os.fsdecode(b"caf\xe9.rpm")
    with place.running():
        until(lambda: place.metric("repod_watcher_up"), 60, "the watcher")
        for number in range(50):
            gone = place.inbox / f"gone{number}.rpm"
            gone.touch()
            gone.unlink()
        place.put(rpms.quick(built, "odd"), name=odd)
        until(lambda: place.log.of("package published"), 60, "the package with the odd name")
        place.put(rpms.quick(built, "good"))
        until(lambda: len(place.log.of("package published")) == 2, 60, "the good package")
    assert [said["file"] for said in place.log.of("package published")] == [odd, "good-1.0-1.noarch.rpm"]
    assert sorted(place.sound()) == ["good-1.0-1.noarch", "odd-1.0-1.noarch"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE])
def test_c009_at_the_inotify_limit_the_inbox_is_polled(
    code: int, make_place: MakePlace, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No watch can be had: files are published all the same, and the log names the limit and not the disk."""

    def start(_: InotifyObserver) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(InotifyObserver, "start", start)
    place = make_place()
    with place.running():
        place.put(rpms.quick(built))
        until(lambda: place.log.of("package published"), 60, "the package")
    (said,) = place.log.of("inbox is polled, since it cannot be watched")
    assert "fs.inotify.max_user_" in said["problem"]
    assert "space" not in said["problem"]
    assert place.metric("repod_watcher_up") == 0


def test_c010_no_file_in_a_new_folder_is_missed(make_place: MakePlace, built: Path) -> None:
    """A folder, a folder in it and a file in that, made faster than any watch: all 100 are published."""
    place = make_place({"inbox": {"scan_interval": 1.0}})
    count = 100
    for number in range(count):
        rpms.quick(built, "hello", str(number), as_name=f"x{number}.rpm")
    line = f"for i in $(seq 0 {count - 1}); do mkdir -p in/a$i/b/c && cp built/x$i.rpm in/a$i/b/c/; done"
    (built.parent / "in").symlink_to(place.inbox)
    with place.running():
        subprocess.run(["sh", "-c", line], cwd=built.parent, check=True)
        until(lambda: place.metric("repod_arrivals_total", result="published") == count, 60, "all packages")
    assert len(place.sound()) == count


def test_c011_a_dangling_symlink_is_reported_once_and_stops_nobody(place: Place, built: Path) -> None:
    """The good package beside it is published; the link is refused, with a reason, and not told of again."""
    (place.inbox / "x.rpm").symlink_to("missing.rpm")
    place.put(rpms.quick(built))
    place.drain()
    for _ in range(3):
        place.turn()
    assert list(place.sound()) == ["hello-1.0-1.noarch"]
    assert [fault["code"] for fault in place.reason("x.rpm")["faults"]] == ["symlink"]
    assert len([said for said in place.log.of("package rejected") if said["file"] == "x.rpm"]) == 1
    assert place.metric("repod_rejected_total", reason="symlink") == 1


def test_c018_another_build_of_a_published_version_is_refused(tmp_path: Path, key_file: Path, built: Path) -> None:
    """The reason gives both sha256, what is published stays byte for byte, the pushing command fails."""
    repod = Repod(tmp_path, key_file)
    first = rpms.quick(built, "foo", files={"/a": b"A"})
    first.rename(repod.inbox() / "foo.rpm")
    assert repod.once().rc == 0
    before = files_below(repod.store())
    second = rpms.quick(built, "foo", files={"/a": b"B"})
    digest = _sha256(second)
    second.rename(repod.inbox() / "foo.rpm")
    assert repod.once().rc == 3
    assert files_below(repod.store()) == before
    reason = (repod.rejected() / "foo.rpm.reason.json").read_text()
    assert digest in reason
    assert _sha256(repod.store() / "Packages/f/foo-1.0-1.noarch.rpm") in reason


def test_c020_the_same_file_twice_is_one_package(place: Place, built: Path) -> None:
    """The second, under another name, counts as duplicate, leaves the inbox and makes no generation."""
    package = rpms.quick(built)
    place.copy(package, "first.rpm")
    (place.inbox / "folder").mkdir()
    place.copy(package, "folder/second.rpm")
    assert [end.result for end in place.drain()] == ["accepted", "duplicate"]
    number, index = place.number(), place.live()
    assert number == 2, "the first, empty one and one with the package"
    place.copy(package, "third.rpm")
    assert [end.result for end in place.drain()] == ["duplicate"]
    assert (place.number(), place.live()) == (number, index)
    assert place.metric("repod_arrivals_total", result="duplicate") == 2
    assert list(place.sound()) == ["hello-1.0-1.noarch"]


def test_a_published_file_that_was_lost_comes_back_through_the_inbox(place: Place, built: Path, tmp_path: Path) -> None:
    """A duplicate is taken away only where its bytes lie where they are listed; else the last copy went with it."""
    package = rpms.quick(built)
    place.copy(package)
    place.drain()
    stored = place.store / "Packages/h/hello-1.0-1.noarch.rpm"
    saved = tmp_path / "saved.rpm"
    stored.rename(saved)
    place.copy(saved, "saved.rpm")
    assert [end.result for end in place.drain()] == ["duplicate"]
    assert stored.read_bytes() == saved.read_bytes()
    assert list(place.sound()) == ["hello-1.0-1.noarch"]
    stored.unlink()
    place.copy(package)
    (said,) = {outcome.problem for outcome in place.turn().outcomes}
    assert f"is listed and gone from the store: put the file with sha256 {_sha256(saved)} there" in said
    assert "repod remove" in said
    assert place.waiting() == [package.name]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
