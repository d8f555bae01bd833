"""Links, pipes, folders and odd names in an inbox directory."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from repod.errors import Conflict, NotFound
from repod.inbox.folders import opened
from tests.lab.inboxes import (
    FAULT,
    DirectoryPlace,
    names,
    only,
)
from tests.lab.rpms import quick

NOW = 1_700_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DirectoryPlace]:
    made = DirectoryPlace(tmp_path)
    yield made
    made.inbox.close()


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return quick(tmp_path_factory.mktemp("rpm")).read_bytes()


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
