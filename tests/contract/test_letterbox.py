"""What every ``Letterbox`` promises: a directory, with and without files that have no name, and a bucket."""

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from repod.errors import NoRoom
from repod.inbox.letters import DirectoryLetterbox
from repod.inbox.parcels import BucketLetterbox
from repod.letterbox import Letterbox
from tests.lab.bucketinboxes import BucketPlace, credentials
from tests.lab.inboxes import DirectoryPlace, names, only, wanted
from tests.lab.rpms import quick
from tests.lab.seaweed import Seaweed

BOXES = ["unnamed", "named", "bucket"]
_LIMIT = 1 << 30
_PART = 5 << 20  # the least that S3 takes but for the last


class Box(NamedTuple):
    """A letterbox and the inbox it belongs to."""

    place: DirectoryPlace | BucketPlace
    letterbox: Letterbox

    def bring(self, name: str, *pieces: bytes) -> str:
        letter = self.letterbox.open(name, None)
        try:
            for piece in pieces:
                letter.write(piece)
            return letter.deliver(lambda _: None)
        finally:
            letter.close()


def directory_box(place: DirectoryPlace, *, unnamed: bool = True) -> Letterbox:
    inbox = place.inbox
    return DirectoryLetterbox(
        place.root, limit=_LIMIT, wanted=wanted, vouch=inbox.vouch, knock=inbox.knock, unnamed=unnamed
    )


@pytest.fixture(params=BOXES)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    if request.param != "bucket":
        files = DirectoryPlace(tmp_path)
        yield Box(files, directory_box(files, unnamed=request.param == "unnamed"))
        files.inbox.close()
        return
    s3: Seaweed = request.getfixturevalue("s3")
    with credentials(s3):
        objects = BucketPlace(s3)
        letterbox = BucketLetterbox(
            objects.place,
            objects.reach,
            workspace=tmp_path,
            limit=_LIMIT,
            wanted=wanted,
            knock=objects.inbox.knock,
            part=_PART,
        )
        yield Box(objects, letterbox)
        objects.close()


def test_nothing_is_to_be_seen_before_the_whole_file_is_there_and_ready(box: Box, tmp_path: Path) -> None:
    data = quick(tmp_path, "hello").read_bytes()
    letter = box.letterbox.open("hello.rpm", len(data))
    letter.write(data[:100])
    assert names(box.place.inbox.scan()) == []
    letter.write(data[100:])
    assert names(box.place.inbox.scan()) == []
    expected: list[str] = []
    assert letter.deliver(expected.append) == "hello.rpm"
    letter.close()
    assert expected == ["hello.rpm"]
    arrival = only(box.place.inbox)
    assert (arrival.name, arrival.size, arrival.waiting) == ("hello.rpm", len(data), "")
    assert box.place.lying() == {"hello.rpm": data}


def test_what_is_given_up_leaves_nothing_behind(box: Box) -> None:
    letter = box.letterbox.open("hello.rpm", 1000)
    letter.write(b"x" * 500)
    letter.close()
    assert box.place.lying() == {}


def test_a_name_that_is_taken_stays_with_what_lies_there(box: Box) -> None:
    box.place.put("hello.rpm", b"one")
    other = box.bring("hello.rpm", b"other")
    assert other.endswith("hello.rpm")
    assert box.place.lying() == {"hello.rpm": b"one", other: b"other"}


def test_many_who_bring_the_same_name_at_once_lose_nothing(box: Box) -> None:
    contents = [secrets.token_bytes(1000) for _ in range(16)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda data: box.bring("hello.rpm", data), contents))
    assert len(set(found)) == len(contents)
    assert sorted(box.place.lying().values()) == sorted(contents)
    assert box.place.lying() == dict(zip(found, contents, strict=True))


def test_who_waits_for_arrivals_is_woken(box: Box) -> None:
    box.place.inbox.scan()
    box.bring("hello.rpm", b"x")
    assert box.place.inbox.wait(10)
    assert len(box.place.inbox.scan()) == 1


def test_names_that_the_inbox_would_leave_alone_are_refused(box: Box) -> None:
    assert [name for name in ("a.rpm", "a.doc") if box.letterbox.refuses(name)] == []
    refused = ("a.txt", "a.rpm.part", ".a.rpm", "a.rpm.reason.json", "A.RPM")
    assert [name for name in refused if not box.letterbox.refuses(name)] == []


def test_more_than_the_disk_has_is_refused_before_a_byte_is_sent(box: Box) -> None:
    with pytest.raises(NoRoom, match="are free"):
        box.letterbox.open("hello.rpm", 1 << 60)
    # And what was refused takes no room.
    box.letterbox.open("hello.rpm", 1000).close()


def test_uploads_under_way_count_as_taken(box: Box, tmp_path: Path) -> None:
    state = os.statvfs(tmp_path)
    most = state.f_bavail * state.f_frsize * 2 // 3
    first = box.letterbox.open("one.rpm", most)
    with pytest.raises(NoRoom, match="of other uploads"):
        box.letterbox.open("other.rpm", most)
    first.close()
    box.letterbox.open("other.rpm", most).close()


@pytest.mark.parametrize("box", ["bucket"], indirect=True)
def test_a_long_file_goes_into_a_bucket_in_parts_and_whole(box: Box) -> None:
    data = secrets.token_bytes(2 * _PART + 1000)
    assert box.bring("long.rpm", data) == "long.rpm"
    again = box.bring("long.rpm", data)
    assert box.place.lying() == {"long.rpm": data, again: data}


@pytest.mark.parametrize("box", ["unnamed", "named"], indirect=True)
def test_what_was_brought_whole_does_not_wait_to_become_so(box: Box, tmp_path: Path) -> None:
    data = quick(tmp_path, "hello").read_bytes()
    box.bring("short.rpm", data[:-10])
    box.bring("paper.doc", b"text")
    assert {(arrival.name, arrival.waiting, arrival.whole) for arrival in box.place.inbox.scan()} == {
        ("short.rpm", "", True),
        ("paper.doc", "", True),
    }
    box.place.put("copied.rpm", data[:-10])
    (copied,) = (arrival for arrival in box.place.inbox.scan() if arrival.name == "copied.rpm")
    assert "incomplete" in copied.waiting


def test_stages_that_nobody_holds_are_removed_and_those_in_use_stay(tmp_path: Path) -> None:
    place = DirectoryPlace(tmp_path)
    first = directory_box(place, unnamed=False)
    letter = first.open("hello.rpm", None)
    letter.write(b"half")
    left = place.root / ".repod-upload-left"
    left.write_bytes(b"of a process that is no more")
    directory_box(place, unnamed=False)
    assert not left.exists()
    letter.write(b" whole")
    assert letter.deliver(lambda _: None) == "hello.rpm"
    letter.close()
    assert place.lying() == {"hello.rpm": b"half whole"}
    place.inbox.close()
