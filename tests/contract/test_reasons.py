"""What ``Reasons`` promise of a directory and of a bucket, read as inboxes write them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from repod.errors import Unavailable
from repod.inbox.bucket import reasons
from repod.inbox.reasons import ReasonFolder
from repod.refused import Reasons
from tests.lab.bucketinboxes import BucketPlace, credentials
from tests.lab.inboxes import FAULT, DirectoryPlace, Place, only

_NOW = 1_700_000_000.0


class Made(NamedTuple):
    """An inbox and the reasons of what it refuses; ``forget`` takes one away."""

    place: Place
    reasons: Reasons
    forget: Callable[[str], object]

    def refuse(self, name: str, data: bytes) -> None:
        self.place.put(name, data, earlier=0.0)
        self.place.inbox.reject(only(self.place.inbox), [FAULT], "", _NOW)


@pytest.fixture(params=["directory", "bucket"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    if request.param == "directory":
        files = DirectoryPlace(tmp_path)
        folder = tmp_path / "rejected"
        yield Made(files, ReasonFolder(folder), lambda name: (folder / f"{name}.reason.json").unlink())
        files.inbox.close()
        return
    s3 = request.getfixturevalue("s3")
    with credentials(s3):
        bucket = BucketPlace(s3)
        found = reasons(bucket.place, bucket.reach)
        yield Made(bucket, found, lambda name: bucket.delete(f"rejected/{name}.reason.json"))
        bucket.close()


def test_where_nothing_was_refused_there_are_no_reasons(made: Made) -> None:
    assert list(made.reasons.list()) == []


def test_each_reason_is_listed_and_read_as_it_was_written(made: Made) -> None:
    for name in ("a.rpm", "sub/b.rpm"):
        made.refuse(name, name.encode())
    told = {one.name: one for one in made.reasons.list()}
    assert told.keys() == {"a.rpm", "b.rpm"}
    said = {name: json.loads(made.reasons.read(one) or b"{}") for name, one in told.items()}
    assert {name: one["inbox_path"] for name, one in said.items()} == {"a.rpm": "a.rpm", "b.rpm": "sub/b.rpm"}


def test_what_was_written_again_is_not_taken_for_what_was_listed(made: Made) -> None:
    made.refuse("a.rpm", b"a")
    (before,) = made.reasons.list()
    made.refuse("sub/a.rpm", b"a")
    (after,) = made.reasons.list()
    assert before != after
    assert made.reasons.read(before) is None
    assert json.loads(made.reasons.read(after) or b"{}")["inbox_path"] == "sub/a.rpm"


def test_a_reason_that_went_meanwhile_is_none(made: Made) -> None:
    made.refuse("a.rpm", b"a")
    (told,) = made.reasons.list()
    made.forget("a.rpm")
    assert made.reasons.read(told) is None
    assert list(made.reasons.list()) == []


def test_neither_links_nor_what_is_being_written_are_read_in_a_directory(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    folder = tmp_path / "rejected"
    folder.mkdir()
    (folder / "a.rpm.reason.json").symlink_to(secret)
    (folder / ".repod-1.reason.json").write_text("{}")
    assert list(ReasonFolder(folder).list()) == []


def test_a_place_that_cannot_be_listed_is_not_one_without_reasons(tmp_path: Path) -> None:
    file = tmp_path / "rejected"
    file.write_text("no folder")
    with pytest.raises(Unavailable, match="cannot be read"):
        ReasonFolder(file).list()
