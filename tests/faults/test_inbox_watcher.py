"""Events come late, are lost, or stop; the kernel refuses to watch. The inbox goes on."""

import errno
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import DirCreatedEvent, FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent

from repod.errors import Unavailable
from repod.inbox.watcher import Watcher
from tests.lab.inboxes import DirectoryPlace, Lines, Observers, collect, names, wanted, watch_threads
from tests.lab.rpms import quick
from tests.lab.wait import until

_NUMBERS = itertools.count()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Opens inboxes with given settings and closes them; then no thread of watchdog is left."""
    before = watch_threads()
    places: list[DirectoryPlace] = []

    def open_place(**settings: Any) -> DirectoryPlace:
        places.append(DirectoryPlace(tmp_path, **{"observer": Observers(), **settings}))
        return places[-1]

    yield open_place
    for place in places:
        place.inbox.close()
    until(lambda: watch_threads() <= before, 30, "watchdog's threads to end")


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return quick(tmp_path_factory.mktemp("rpm")).read_bytes()


def drop(place: DirectoryPlace, rpm: bytes, *numbers: int) -> None:
    for number in numbers:
        place.put(f"x{number}.rpm", rpm)


def quiet(place: DirectoryPlace) -> None:
    """Scan when no event is on its way any more: they come in order, and the last is of a file that wakes nobody."""
    observers = place.observers
    assert observers

    def heard() -> bool:
        place.inbox.scan()  # it is watched from then on
        mark = place.root / f".quiet-{next(_NUMBERS)}"
        mark.touch()
        mark.unlink()
        with suppress(AssertionError):
            until(lambda: mark.name in observers.names, 5, "its event")
        return mark.name in observers.names

    until(heard, 60, "the events to end")
    place.inbox.scan()


def sees(place: DirectoryPlace, name: str) -> None:
    """Scan and wait as the daemon does, with a wait far longer than the test has time for."""
    until(lambda: name in names(place.inbox.scan()) or (place.inbox.wait(300) and False), 30, f"{name} to be seen")


def test_a_watched_inbox_says_so(opened: Any) -> None:
    place = opened()
    assert not place.inbox.up
    place.inbox.scan()
    assert (place.inbox.up, place.inbox.mode) == (True, "events")
    place.inbox.close()
    assert not place.inbox.up


def test_an_event_wakes_long_before_the_next_scan_is_due(opened: Any, rpm: bytes) -> None:
    place = opened(scan_interval=300)
    quiet(place)
    start = time.monotonic()
    drop(place, rpm, 1)
    assert place.inbox.wait(300)
    print(f"\nrename to wake: {1000 * (time.monotonic() - start):.1f} ms")


@pytest.mark.parametrize("way", ["rename", "link", "copy", "folder moved in", "put right after a scan"])
def test_every_way_a_file_can_come_wakes(opened: Any, rpm: bytes, way: str) -> None:
    place = opened(scan_interval=300)
    source = place.folder / "source/x.rpm"
    source.parent.mkdir()
    source.write_bytes(rpm)
    quiet(place)
    match way:
        case "rename":
            source.rename(place.root / "x.rpm")
        case "link":
            os.link(source, place.root / "x.rpm")
        case "copy":
            shutil.copyfile(source, place.root / "x.rpm")
        case "folder moved in":
            source.parent.rename(place.root / "source")
        case _:
            place.put("a/b/x.rpm", rpm)

    def ready() -> list[str]:
        return [arrival.name for arrival in place.inbox.scan() if not arrival.waiting]

    until(lambda: place.inbox.wait(60) and ready(), 30, "the package to be ready")


def test_repods_own_reading_and_removing_wakes_nobody(opened: Any, rpm: bytes) -> None:
    place = opened(scan_interval=300)
    drop(place, rpm, 1, 2)
    quiet(place)
    one, two = place.inbox.scan()
    place.inbox.take(one, place.folder / "copy")
    place.inbox.remove(one)
    place.inbox.reject(two, [], "", 0.0)
    assert not place.inbox.wait(1.0)


def test_an_upload_under_a_temporary_name_wakes_only_when_it_gets_its_final_one(opened: Any, rpm: bytes) -> None:
    place = opened(scan_interval=300)
    quiet(place)
    place.put(".x.rpm.Ab12Cd", rpm)
    assert not place.inbox.wait(0.5)
    (place.root / ".x.rpm.Ab12Cd").rename(place.root / "x.rpm")
    assert place.inbox.wait(60)


def test_with_a_third_of_the_events_lost_everything_is_still_seen(opened: Any, rpm: bytes) -> None:
    observers = Observers(keep=lambda number: number % 10 not in {1, 4, 7})
    place = opened(observer=observers)
    place.inbox.scan()
    drop(place, rpm, *range(300))
    assert len(collect(place.inbox, 300, 60)) == 300
    assert observers.dropped > 0


def test_with_all_events_lost_the_next_scan_sees_everything(opened: Any, rpm: bytes) -> None:
    place = opened(observer=Observers(keep=lambda _: False))
    place.inbox.scan()
    drop(place, rpm, *range(50))
    assert not place.inbox.wait(0.2)
    assert len(place.inbox.scan()) == 50


@pytest.mark.parametrize(
    ("number", "limit"), [(errno.ENOSPC, "max_user_watches"), (errno.EMFILE, "max_user_instances")]
)
def test_where_a_limit_of_inotify_is_reached_the_inbox_is_polled_and_the_log_names_the_limit(
    opened: Any, rpm: bytes, number: int, limit: str
) -> None:
    observers = Observers()
    observers.fail = OSError(number, os.strerror(number))
    place = opened(observer=observers)
    for _ in range(5):
        place.inbox.scan()
    assert (place.inbox.up, place.inbox.mode) == (False, "polling")
    (line,) = place.log.of("inbox is polled, since it cannot be watched")
    assert f"fs.inotify.{limit}" in line["problem"]
    assert "space" not in line["problem"]
    drop(place, rpm, 1)
    assert not place.inbox.wait(3600), "it polls at the scan interval"
    assert names(place.inbox.scan()) == ["x1.rpm"]


def test_an_observer_that_cannot_be_made_is_handled_like_one_that_cannot_start(opened: Any) -> None:
    def none_left() -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    place = opened(observer=none_left)
    place.inbox.scan()
    assert place.inbox.mode == "polling"
    assert place.log.warnings == ["inbox is polled, since it cannot be watched"]


def test_a_watcher_whose_thread_ended_wakes_the_sleeper_and_is_started_again(opened: Any, rpm: bytes) -> None:
    observers = Observers()
    place = opened(observer=observers)
    quiet(place)
    for emitter in observers.made[0].emitters:
        emitter.stop()
    until(lambda: not place.inbox.up, 10, "the thread to end")
    drop(place, rpm, 1)
    assert place.inbox.wait(60)
    assert names(place.inbox.scan()) == ["x1.rpm"]
    assert place.log.warnings == ["inbox watcher died, started again"]
    until(lambda: place.inbox.scan() and place.inbox.up, 10, "the watcher to be back")
    quiet(place)
    drop(place, rpm, 2)
    assert place.inbox.wait(60)


def test_a_watcher_that_dies_while_somebody_sleeps_wakes_him(opened: Any) -> None:
    observers = Observers()
    place = opened(observer=observers, scan_interval=0.1)
    quiet(place)
    observers.made[0].stop()
    assert place.inbox.wait(60)


def test_a_watcher_that_dies_again_and_again_is_started_ever_more_seldom(tmp_path: Path) -> None:
    now = 1000.0
    observers = Observers()
    watcher = Watcher(
        tmp_path, poll=False, interval=1, log=Lines(), wanted=wanted, observer=observers, monotonic=lambda: now
    )
    identity = (tmp_path.stat().st_dev, tmp_path.stat().st_ino)
    for _ in range(600):
        watcher.tend(identity)
        observers.made[-1].stop()
        now += 1
    assert 10 <= len(observers.made) <= 16
    now += 100
    watcher.tend(identity)
    now += 100
    watcher.tend(identity)
    assert watcher.up
    observers.made[-1].stop()
    watcher.tend(identity)
    assert watcher.up, "one that lived long is started again at once"
    watcher.close()


def test_after_a_limit_was_raised_events_come_again_and_the_log_says_so(tmp_path: Path) -> None:
    now = 1000.0
    log, observers = Lines(), Observers()
    observers.fail = OSError(errno.ENOSPC, "inotify watch limit reached")
    watcher = Watcher(
        tmp_path, poll=False, interval=1, log=log, wanted=wanted, observer=observers, monotonic=lambda: now
    )
    identity = (tmp_path.stat().st_dev, tmp_path.stat().st_ino)
    watcher.tend(identity)
    observers.fail = None
    now += 61
    watcher.tend(identity)
    assert watcher.mode == "events"
    assert [event for _, event, _ in log.lines][-1] == "inbox is watched again"
    watcher.close()


def test_a_directory_that_was_away_is_watched_again_when_it_is_back(opened: Any, rpm: bytes) -> None:
    place = opened(scan_interval=300)
    quiet(place)
    place.break_it()
    with pytest.raises(Unavailable, match="bring it back"):
        place.inbox.scan()
    place.root.mkdir()
    quiet(place)
    drop(place, rpm, 1)
    assert place.inbox.wait(60)
    assert names(place.inbox.scan()) == ["x1.rpm"]


@pytest.mark.parametrize("way", ["renamed", "deleted"])
def test_another_directory_under_the_name_is_watched_though_no_scan_saw_the_change(
    opened: Any, rpm: bytes, way: str
) -> None:
    place = opened(scan_interval=300)
    quiet(place)
    if way == "renamed":
        place.break_it()
    else:
        place.root.rmdir()
    place.root.mkdir()
    drop(place, rpm, 1)
    sees(place, "x1.rpm")
    quiet(place)
    drop(place, rpm, 2)
    sees(place, "x2.rpm")


def test_on_a_network_file_system_one_warning_says_that_other_hosts_give_no_events(opened: Any, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("1 0 0:1 / / rw - nfs4 server:/ rw\n")
    place = opened(mountinfo=table)
    for _ in range(3):
        place.inbox.scan()
    (line,) = place.log.of("inbox lies on a network file system")
    assert line["filesystem"] == "nfs4"
    assert "other hosts" in line["problem"]


def test_a_polled_inbox_starts_no_watcher_and_is_up(opened: Any, rpm: bytes) -> None:
    before = watch_threads()
    observers = Observers()
    place = opened(watch="poll", observer=observers, scan_interval=0.1)
    place.inbox.scan()
    assert watch_threads() == before
    assert (place.inbox.up, place.inbox.mode, observers.made) == (True, "polling", [])
    drop(place, rpm, 1)
    assert not place.inbox.wait(60)
    assert names(place.inbox.scan()) == ["x1.rpm"]


def test_no_event_whatever_makes_the_handler_fail(opened: Any) -> None:
    observers = Observers()
    place = opened(observer=observers)
    quiet(place)
    observer = observers.made[0]
    (watch,) = [emitter.watch for emitter in observer.emitters]
    odd: list[FileSystemEvent] = [
        FileCreatedEvent(os.fsdecode(b"/in/caf\xe9.rpm")),
        FileCreatedEvent(b"/in/caf\xe9.rpm"),
        FileCreatedEvent(""),
        FileClosedEvent("/in/a\nb.rpm"),
        FileMovedEvent("/in/x.rpm", ""),
        FileMovedEvent("", "/in/x.rpm"),
        DirCreatedEvent("/"),
    ]
    for event in odd:
        observer.event_queue.put((event, watch))
    until(observer.event_queue.empty, 10, "the events to be handled")
    place.inbox.scan()
    observer.event_queue.put((FileCreatedEvent("/in/last.rpm"), watch))
    assert place.inbox.wait(60)
    assert place.inbox.up


def test_a_file_that_vanishes_between_event_and_look_stops_nothing(opened: Any, rpm: bytes) -> None:
    place = opened()
    quiet(place)
    for number in range(50):
        drop(place, rpm, number)
        place.delete(f"x{number}.rpm")
        place.inbox.scan()
    drop(place, rpm, 99)
    assert collect(place.inbox, 1, 20) == {"x99.rpm"}
    assert place.inbox.up


def test_a_closed_inbox_starts_no_watcher_again(opened: Any) -> None:
    place = opened()
    place.inbox.close()
    before = watch_threads()
    place.inbox.scan()
    assert watch_threads() == before
    assert not place.inbox.up
