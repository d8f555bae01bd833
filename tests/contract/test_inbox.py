"""What every ``Inbox`` promises, sentence by sentence: the directory, its twin, a bucket listed and told of."""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repod.doors import Inbox
from repod.errors import Conflict, NotFound, Unavailable
from repod.package import REMEDIES
from tests.lab.bucketinboxes import BucketPlace, credentials
from tests.lab.damage import JUNK
from tests.lab.inboxes import FAULT, INCOMPLETE_AFTER, SETTLE, DirectoryPlace, MemoryPlace, Place, names, only
from tests.lab.rpms import quick
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

LATIN_1 = os.fsdecode(b"caf\xe9-1.0-1.noarch.rpm")
NOW = 1_700_000_000.0
FILES: dict[str, Callable[[Path], Place]] = {"directory": DirectoryPlace, "memory": MemoryPlace}
TELLING = [*FILES, "queue"]
PLACES = [*TELLING, "bucket"]
LEFT_ALONE = [
    ".hidden.rpm",
    ".repod-1.rpm",
    "half.rpm.tmp",
    "half.rpm.part",
    "half.rpm.partial",
    "half.rpm.filepart",
    "half.rpm.crdownload",
    ".half.rpm.swp",
    "backup.rpm~",
    "README",
    "upper.RPM",
    "hello.rpm.sha256",
    "hello.rpm.reason.json",
    ".half.doc",
    "half.doc.part",
    "rpm",
    ".rsync-partial/x.rpm",
    "new.part/x.rpm",
    "lost+found/x.rpm",
]


def opened(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """The inbox that the test runs on now, closed in the end."""
    if request.param in FILES:
        files = FILES[request.param](folder)
        yield files
        files.inbox.close()
        return
    s3: Seaweed = request.getfixturevalue("s3")
    with credentials(s3):
        made = BucketPlace(s3, request.getfixturevalue("queues") if request.param == "queue" else None)
        yield made
        made.close()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    yield from opened(request, tmp_path)


@pytest.fixture(params=TELLING)
def telling(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An inbox that hears of arrivals as they come."""
    yield from opened(request, tmp_path)


@pytest.fixture(params=FILES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An inbox of files, which can be half written, as old as they say, and named by any bytes."""
    yield from opened(request, tmp_path)


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return quick(tmp_path_factory.mktemp("rpm")).read_bytes()


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_empty_inbox_shows_nothing(place: Place) -> None:
    assert list(place.inbox.scan()) == []


def test_a_whole_package_is_ready_at_once(place: Place, rpm: bytes) -> None:
    before = time.time()
    place.put("hello-1.0-1.noarch.rpm", rpm)
    arrival = only(place.inbox)
    assert (arrival.name, arrival.size) == ("hello-1.0-1.noarch.rpm", len(rpm))
    assert (arrival.waiting, arrival.fault) == ("", None)
    assert 0 <= arrival.age <= time.time() - before + 2  # a bucket counts in seconds, and rounds


def test_a_package_in_a_nested_folder_is_named_by_its_path(place: Place, rpm: bytes) -> None:
    place.put("team a/el9/hello.rpm", rpm)
    assert names(place.inbox.scan()) == ["team a/el9/hello.rpm"]


def test_the_oldest_comes_first_and_then_the_name_decides(files: Place, rpm: bytes) -> None:
    files.put("a.rpm", rpm)
    files.put("c.rpm", rpm, earlier=200)
    files.put("x/b.rpm", rpm, earlier=300)
    files.put("z.rpm", rpm, earlier=400)
    assert names(files.inbox.scan()) == ["z.rpm", "x/b.rpm", "c.rpm", "a.rpm"]


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_names_that_are_no_finished_package_are_left_alone(place: Place, name: str, rpm: bytes) -> None:
    place.put(name, rpm)
    place.clock.added = 10 * INCOMPLETE_AFTER
    assert list(place.inbox.scan()) == []
    assert place.lying() == {name: rpm}


def test_a_name_that_is_not_utf8_is_an_arrival_like_any_other(files: Place, rpm: bytes, tmp_path: Path) -> None:
    files.put(LATIN_1, rpm)
    arrival = only(files.inbox)
    assert arrival.name == LATIN_1
    assert files.inbox.take(arrival, tmp_path / "copy") == sum_of(rpm)
    files.inbox.reject(arrival, [FAULT], sum_of(rpm), NOW)
    said = json.loads(files.rejected()[LATIN_1 + ".reason.json"].decode("utf-8"))
    assert said["file"] == r"caf\xe9-1.0-1.noarch.rpm"


def test_age_is_never_negative_though_the_clock_is_set_back(files: Place, rpm: bytes) -> None:
    files.put("hello.rpm", rpm)
    files.clock.added = -3600
    assert only(files.inbox).age == 0


def test_a_package_that_is_open_for_writing_is_not_ready_however_old(files: Place, rpm: bytes) -> None:
    finish = files.writing("hello.rpm", rpm)
    files.clock.added = 10 * INCOMPLETE_AFTER
    assert only(files.inbox).waiting == "open for writing"
    finish()
    assert only(files.inbox).waiting == ""


def test_a_package_shorter_than_its_header_promises_waits_and_says_how_much_is_there(files: Place, rpm: bytes) -> None:
    files.put("hello.rpm", rpm[:-1])
    assert only(files.inbox).waiting == f"incomplete: {len(rpm) - 1} of {len(rpm)} bytes"
    files.clock.added = INCOMPLETE_AFTER - 5
    assert only(files.inbox).waiting
    files.clock.added = INCOMPLETE_AFTER + 1
    assert only(files.inbox).waiting == ""


@pytest.mark.parametrize("length", [0, 1, 4, 95, 100, 112, 500])
def test_the_mere_beginning_of_a_package_waits_as_long(files: Place, rpm: bytes, length: int) -> None:
    files.put("hello.rpm", rpm[:length])
    files.clock.added = INCOMPLETE_AFTER - 5
    assert only(files.inbox).waiting.startswith(f"incomplete: {length} bytes")
    files.clock.added = INCOMPLETE_AFTER + 1
    assert only(files.inbox).waiting == ""


@pytest.mark.parametrize("kind", [kind for kind in JUNK if kind != "empty"])
def test_what_does_not_begin_like_a_package_waits_until_it_has_settled(files: Place, kind: str) -> None:
    files.put("hello.rpm", JUNK[kind])
    assert "does not begin like an RPM" in only(files.inbox).waiting
    files.clock.added = SETTLE + 1
    assert only(files.inbox).waiting == ""


@pytest.mark.parametrize("data", [b"text", b"\xed\xab\xee\xdb begins like an RPM"])
def test_a_document_is_ready_when_nobody_writes_to_it_and_it_has_settled(files: Place, data: bytes) -> None:
    finish = files.writing("x.doc", data)
    files.clock.added += SETTLE + 1
    assert only(files.inbox).waiting == "open for writing"
    finish()
    files.delete("x.doc")
    files.clock.added = 0
    files.put("x.doc", data)
    assert only(files.inbox).waiting == "changed a moment ago; it may still be written"
    files.clock.added = SETTLE + 1
    assert (only(files.inbox).name, only(files.inbox).waiting) == ("x.doc", "")


def test_an_empty_document_waits_for_its_text(files: Place) -> None:
    files.put("x.doc", b"")
    files.clock.added = INCOMPLETE_AFTER - 5
    assert only(files.inbox).waiting == "empty; it may still be written"
    files.clock.added = INCOMPLETE_AFTER + 1
    assert only(files.inbox).waiting == ""


def test_an_inbox_that_cannot_be_read_raises_instead_of_showing_nothing(place: Place, rpm: bytes) -> None:
    place.put("hello.rpm", rpm)
    place.break_it()
    with pytest.raises(Unavailable):
        place.inbox.scan()


def test_take_copies_the_bytes_to_a_private_file_and_says_their_checksum(
    place: Place, rpm: bytes, tmp_path: Path
) -> None:
    data = rpm + bytes(3 << 20)
    place.put("a/hello.rpm", data)
    checksum = place.inbox.take(only(place.inbox), tmp_path / "copy")
    assert checksum == sum_of(data)
    assert (tmp_path / "copy").read_bytes() == data
    assert (tmp_path / "copy").stat().st_mode & 0o7777 == 0o600
    assert place.lying() == {"a/hello.rpm": data}


def test_a_copy_never_replaces_a_file_that_is_there(place: Place, rpm: bytes, tmp_path: Path) -> None:
    place.put("x.rpm", rpm)
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(Unavailable):
        place.inbox.take(only(place.inbox), tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"


def test_take_of_an_arrival_that_was_replaced_conflicts_and_leaves_no_copy(
    place: Place, rpm: bytes, tmp_path: Path
) -> None:
    place.put("hello.rpm", rpm)
    arrival = only(place.inbox)
    place.put("hello.rpm", bytes(len(rpm)))
    with pytest.raises(Conflict):
        place.inbox.take(arrival, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_take_of_an_arrival_that_is_gone_says_so_and_leaves_no_copy(place: Place, rpm: bytes, tmp_path: Path) -> None:
    place.put("hello.rpm", rpm)
    arrival = only(place.inbox)
    place.delete("hello.rpm")
    with pytest.raises(NotFound):
        place.inbox.take(arrival, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_remove_takes_the_arrival_out_and_is_content_where_it_is_out_already(place: Place, rpm: bytes) -> None:
    place.put("a/hello.rpm", rpm)
    arrival = only(place.inbox)
    place.inbox.remove(arrival)
    assert place.lying() == {}
    place.inbox.remove(arrival)


def test_remove_leaves_a_newer_file_under_the_name(place: Place, rpm: bytes, tmp_path: Path) -> None:
    place.put("hello.rpm", rpm)
    arrival = only(place.inbox)
    place.inbox.take(arrival, tmp_path / "copy")
    place.put("hello.rpm", bytes(len(rpm)))
    place.inbox.remove(arrival)
    assert place.lying() == {"hello.rpm": bytes(len(rpm))}


def test_reject_moves_the_arrival_and_writes_the_reason_beside_it(place: Place, rpm: bytes) -> None:
    place.put("team/hello.rpm", rpm)
    lies = place.inbox.reject(only(place.inbox), [FAULT, FAULT], sum_of(rpm), NOW)
    assert lies.endswith("hello.rpm")
    assert place.lying() == {}
    rejected = place.rejected()
    assert rejected.keys() == {"hello.rpm", "hello.rpm.reason.json"}
    assert rejected["hello.rpm"] == rpm
    said = json.loads(rejected["hello.rpm.reason.json"])
    assert said.pop("inbox")
    assert said == {
        "file": "hello.rpm",
        "inbox_path": "team/hello.rpm",
        "sha256": sum_of(rpm),
        "trace": sum_of(rpm)[:32],
        "size": len(rpm),
        "time": "2023-11-14T22:13:20Z",
        "faults": [{"code": FAULT.code, "text": FAULT.text, "remedy": REMEDIES[FAULT.code]}] * 2,
    }


def test_what_was_refused_unread_has_no_checksum_in_its_reason(place: Place, rpm: bytes) -> None:
    place.put("hello.rpm", rpm)
    place.inbox.reject(only(place.inbox), [FAULT], "", NOW)
    assert json.loads(place.rejected()["hello.rpm.reason.json"])["sha256"] is None


def test_rejected_packages_of_one_name_lie_beside_each_other(place: Place, rpm: bytes) -> None:
    for number, data in enumerate([rpm, rpm + b"2", rpm + b"3"]):
        place.put(f"{number}/hello.rpm", data)
        place.inbox.reject(only(place.inbox), [FAULT], sum_of(data), NOW)
    rejected = place.rejected()
    assert [rejected[name] for name in ("hello.rpm", "hello.rpm.2", "hello.rpm.3")] == [rpm, rpm + b"2", rpm + b"3"]
    said = [json.loads(rejected[f"hello.rpm{n}.reason.json"]) for n in ("", ".2", ".3")]
    assert [(item["file"], item["inbox_path"]) for item in said] == [
        ("hello.rpm", "0/hello.rpm"),
        ("hello.rpm.2", "1/hello.rpm"),
        ("hello.rpm.3", "2/hello.rpm"),
    ]


def test_the_same_bytes_refused_again_are_kept_once_with_the_newest_reason(place: Place, rpm: bytes) -> None:
    for path in ("old/hello.rpm", "new/hello.rpm"):
        place.put(path, rpm)
        place.inbox.reject(only(place.inbox), [FAULT], sum_of(rpm), NOW)
    assert place.rejected().keys() == {"hello.rpm", "hello.rpm.reason.json"}
    assert json.loads(place.rejected()["hello.rpm.reason.json"])["inbox_path"] == "new/hello.rpm"
    assert place.lying() == {}


def test_a_rejected_name_of_full_length_still_has_room_for_its_reason(place: Place, rpm: bytes) -> None:
    place.put("x" * 251 + ".rpm", rpm)
    place.inbox.reject(only(place.inbox), [FAULT], sum_of(rpm), NOW)
    kept = next(name for name, data in place.rejected().items() if data == rpm)
    assert kept.endswith("xxx.rpm")
    assert kept + ".reason.json" in place.rejected()


def test_reject_of_another_state_conflicts_and_leaves_it(place: Place, rpm: bytes) -> None:
    place.put("hello.rpm", rpm)
    arrival = only(place.inbox)
    place.put("hello.rpm", rpm + b"2")
    with pytest.raises(Conflict):
        place.inbox.reject(arrival, [FAULT], sum_of(rpm), NOW)
    assert place.lying() == {"hello.rpm": rpm + b"2"}
    assert place.rejected() == {}


def test_reject_of_an_arrival_that_is_gone_says_so(place: Place, rpm: bytes) -> None:
    place.put("hello.rpm", rpm)
    arrival = only(place.inbox)
    place.delete("hello.rpm")
    with pytest.raises(NotFound):
        place.inbox.reject(arrival, [FAULT], sum_of(rpm), NOW)


def test_wait_returns_at_once_where_nobody_has_looked_yet(place: Place) -> None:
    assert place.inbox.wait(30)


def test_wait_ends_with_nothing_after_its_time(place: Place) -> None:
    place.inbox.scan()
    assert not place.inbox.wait(0.05)


def test_an_arrival_between_scan_and_wait_is_not_slept_over(telling: Place, rpm: bytes) -> None:
    telling.inbox.scan()
    telling.put("hello.rpm", rpm)
    assert telling.inbox.wait(30)
    assert telling.inbox.wait(30), "it stays true until the next scan"
    assert names(telling.inbox.scan()) == ["hello.rpm"]
    # The last event of a rename may still be on its way.
    until(lambda: not telling.inbox.scan() or not telling.inbox.wait(0.05), 30, "the inbox to be quiet")


def test_an_arrival_wakes_whoever_waits(telling: Place, rpm: bytes) -> None:
    telling.inbox.scan()
    answers: list[bool] = []
    sleeper = threading.Thread(target=lambda: answers.append(telling.inbox.wait(60)))
    sleeper.start()
    telling.put("deep/down/hello.rpm", rpm)
    sleeper.join(50)
    assert answers == [True]


def test_close_wakes_whoever_waits_and_may_be_called_twice(place: Place) -> None:
    place.inbox.scan()
    answers: list[bool] = []
    sleeper = threading.Thread(target=lambda: answers.append(place.inbox.wait(60)))
    sleeper.start()
    place.inbox.close()
    place.inbox.close()
    sleeper.join(50)
    assert answers == [False]
    again = threading.Thread(target=lambda: answers.append(place.inbox.wait(600)))
    again.start()
    again.join(60)
    assert answers == [False, False]


def test_a_closed_inbox_still_hands_out_what_is_there(place: Place, rpm: bytes, tmp_path: Path) -> None:
    place.put("hello.rpm", rpm)
    place.inbox.close()
    arrival = only(place.inbox)
    place.inbox.take(arrival, tmp_path / "copy")
    place.inbox.remove(arrival)
    assert list(place.inbox.scan()) == []


def _clear(inbox: Inbox, folder: Path, taken: list[bytes]) -> None:
    """Take and remove whatever is there until nothing is; another may do the same."""
    while arrivals := inbox.scan():
        for number, arrival in enumerate(arrivals):
            copy = folder / f"{threading.get_ident()}-{len(taken)}-{number}"
            with contextlib.suppress(NotFound, Conflict):
                inbox.take(arrival, copy)
                taken.append(copy.read_bytes())
                inbox.remove(arrival)


def test_two_threads_that_clear_one_inbox_lose_nothing_and_trip_over_nothing(
    place: Place, rpm: bytes, tmp_path: Path
) -> None:
    expected = {rpm + b"%d" % number for number in range(60)}
    for number, data in enumerate(sorted(expected)):
        place.put(f"{number % 3}/x{number}.rpm", data)
    taken: list[bytes] = []
    with ThreadPoolExecutor(2) as workers:
        for worker in [workers.submit(_clear, place.inbox, tmp_path, taken) for _ in range(2)]:
            worker.result(60)
    assert set(taken) == expected
    assert place.lying() == {}
