"""The inbox in a bucket, on SeaweedFS with its own rules: states, versions, refusals that stop halfway, clocks."""

import hashlib
import itertools
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from repod.errors import Conflict, NotFound, Unavailable
from repod.inbox.bucket import count
from repod.inbox.castoffs import Castoffs
from repod.inbox.prefix import Prefix
from tests.lab.bucketinboxes import BucketPlace, credentials
from tests.lab.inboxes import FAULT, names, only, wanted
from tests.lab.seaweed import Seaweed

NOW = 1_700_000_000.0
DATA = b"the bytes of a package"
SUM = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def make(s3: Seaweed) -> Iterator[Callable[..., BucketPlace]]:
    made: list[BucketPlace] = []
    with credentials(s3):

        def one(**settings: Any) -> BucketPlace:
            made.append(BucketPlace(s3, **settings))
            return made[-1]

        yield one
        for place in made:
            place.close()


@pytest.fixture
def place(make: Callable[..., BucketPlace]) -> BucketPlace:
    return make()


class Copying(Castoffs):
    """Stops, or lets the world change, just before the object is copied."""

    before: Callable[[], None]

    def _copy(self, *words: Any) -> None:
        self.before()
        super()._copy(*words)


class Stopped(BaseException):
    """The process ends here."""


def stop() -> None:
    raise Stopped


def test_age_is_counted_by_the_clock_of_the_server_that_also_says_when_an_object_came(place: BucketPlace) -> None:
    place.put("x.rpm", DATA)
    first = only(place.inbox)
    assert 0 <= first.age < 60
    place.inbox._prefix._heard({"ResponseMetadata": {"HTTPHeaders": {"date": "Thu, 01 Jan 2099 00:00:00 GMT"}}})
    assert place.inbox._age(place.inbox._found["x.rpm"]) > 10 * 365 * 86400
    assert 0 <= only(place.inbox).age < 60, "each answer tells the time anew"


def test_what_came_in_an_earlier_second_stands_before_what_came_later(place: BucketPlace) -> None:
    place.put("b.rpm", DATA)
    place.inbox.scan()
    before = place.inbox._found["b.rpm"].modified
    for number in itertools.count():
        place.put("a.rpm", DATA + b"%d" % number)
        place.inbox.scan()
        if place.inbox._found["a.rpm"].modified > before:
            break
    assert names(place.inbox.scan()) == ["b.rpm", "a.rpm"]


def test_a_listing_of_more_than_a_page_shows_everything(place: BucketPlace) -> None:
    with pytest.MonkeyPatch.context() as patch:
        client = place.inbox._prefix.clients.s3()
        paginator = client.get_paginator("list_objects_v2")
        real = paginator.paginate
        patch.setattr(paginator, "paginate", lambda **words: real(**words, PaginationConfig={"PageSize": 7}))
        patch.setattr(client, "get_paginator", lambda _: paginator)
        for number in range(20):
            place.put(f"{number % 3}/x{number:02}.rpm", b"%d" % number)
        assert len(place.inbox.scan()) == 20


def test_an_answer_that_breaks_off_is_carried_on_where_it_ended(place: BucketPlace, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5 << 20)
    place.put("x.rpm", data)
    arrival = only(place.inbox)
    asked = list[str]()
    client = place.inbox._prefix.clients.s3()
    real = client.get_object

    def broken(**words: Any) -> Any:
        asked.append(words.get("Range", ""))
        answer = real(**words)
        if len(asked) < 4:
            body = answer["Body"]._raw_stream
            read = body.read
            left = iter([1 << 20, 1 << 20])
            body.read = lambda amt=None, **_: read(amt) if next(left, None) else b""
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "get_object", broken)
        assert place.inbox.take(arrival, tmp_path / "copy") == hashlib.sha256(data).hexdigest()
    assert asked == ["", "bytes=2097152-", "bytes=4194304-"]
    assert (tmp_path / "copy").read_bytes() == data


def test_a_body_that_never_gets_on_is_unavailable_and_leaves_no_copy(place: BucketPlace, tmp_path: Path) -> None:
    place.put("x.rpm", DATA)
    arrival = only(place.inbox)
    client = place.inbox._prefix.clients.s3()
    real = client.get_object

    def empty(**words: Any) -> Any:
        answer = real(**words)
        answer["Body"]._raw_stream.read = lambda *_, **__: b""
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "get_object", empty)
        with pytest.raises(Unavailable):
            place.inbox.take(arrival, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("versioned", [False, True])
def test_an_object_replaced_again_and_again_while_it_is_taken_is_each_time_whole_in_one_state(
    place: BucketPlace, tmp_path: Path, versioned: bool
) -> None:
    if versioned:
        place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    states = {hashlib.sha256(data).hexdigest(): data for data in (bytes([n]) * (300_000 + n) for n in range(12))}
    done = threading.Event()

    def replace() -> None:
        for data in states.values():
            place.upload("x.rpm", data)
        done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    taken: list[str] = []
    numbers = itertools.count()
    while not done.is_set() or place.inbox.scan():
        for arrival in place.inbox.scan():
            copy = tmp_path / str(next(numbers))
            with suppress(Conflict, NotFound):
                checksum = place.inbox.take(arrival, copy)
                assert copy.read_bytes() == states[checksum]
                taken.append(checksum)
                place.inbox.remove(arrival)
    writer.join()
    assert taken[-1] == list(states)[-1], "the last state is not lost"
    assert len(set(taken)) == len(taken), "no state is taken twice"


def test_in_a_versioned_bucket_what_lay_there_before_does_not_come_back(place: BucketPlace, tmp_path: Path) -> None:
    place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    place.put("x.rpm", b"old")
    place.put("x.rpm", b"new")
    arrival = only(place.inbox)
    assert place.inbox.take(arrival, tmp_path / "copy") == hashlib.sha256(b"new").hexdigest()
    place.inbox.remove(arrival)
    assert list(place.inbox.scan()) == []
    kept = place.client.list_object_versions(Bucket=place.bucket, Prefix=place.prefix)["Versions"]
    assert len(kept) == 2, "nothing is removed for ever: that is the bucket's rule to decide"


def test_where_a_server_ignores_the_condition_of_a_delete_another_state_stays_all_the_same(place: BucketPlace) -> None:
    place.put("x.rpm", DATA)
    arrival = only(place.inbox)
    place.inbox._prefix._conditional = False
    place.upload("x.rpm", b"other")
    place.inbox.remove(arrival)
    assert place.lying() == {"x.rpm": b"other"}
    place.inbox.remove(only(place.inbox))
    assert place.lying() == {}


def test_a_big_object_is_refused_by_copies_of_its_parts(make: Callable[..., BucketPlace]) -> None:
    place = make(copy_limit=5 << 20)
    data = random.Random(1).randbytes((12 << 20) + 5)
    place.put("big.rpm", data)
    place.inbox.reject(only(place.inbox), [FAULT], "", NOW)
    assert (place.lying(), place.rejected()["big.rpm"]) == ({}, data)
    place.put("again/big.rpm", data)
    place.inbox.reject(only(place.inbox), [FAULT], "", NOW)
    assert place.rejected().keys() == {"big.rpm", "big.rpm.reason.json"}, "it is known as the same"


@pytest.mark.parametrize("step", ["before the copy", "after the copy"])
def test_a_stop_while_refusing_loses_nothing_and_the_next_try_ends_it(place: BucketPlace, step: str) -> None:
    place.put("x.rpm", DATA)
    arrival = only(place.inbox)
    real = place.inbox._castoffs
    if step == "before the copy":
        place.inbox._castoffs = Copying(place.inbox._prefix)
        place.inbox._castoffs.before = stop
    else:
        delete, place.inbox._prefix.delete = place.inbox._prefix.delete, lambda *_: stop()
    with pytest.raises(Stopped):
        place.inbox.reject(arrival, [FAULT], SUM, NOW)
    assert place.lying() == {"x.rpm": DATA}
    if step == "before the copy":
        place.inbox._castoffs = real
    else:
        place.inbox._prefix.delete = delete
    assert place.inbox.reject(only(place.inbox), [FAULT], SUM, NOW + 60).endswith("/rejected/x.rpm")
    assert (place.lying(), place.rejected().keys()) == ({}, {"x.rpm", "x.rpm.reason.json"})
    assert json.loads(place.rejected()["x.rpm.reason.json"])["time"] == "2023-11-14T22:14:20Z"


def test_an_object_replaced_just_before_it_is_refused_leaves_no_reason_for_nothing(place: BucketPlace) -> None:
    place.put("x.rpm", DATA)
    arrival = only(place.inbox)
    place.inbox._castoffs = Copying(place.inbox._prefix)
    place.inbox._castoffs.before = lambda: place.upload("x.rpm", b"newer") and None
    with pytest.raises(Conflict):
        place.inbox.reject(arrival, [FAULT], SUM, NOW)
    assert (place.lying(), place.rejected()) == ({"x.rpm": b"newer"}, {})


def test_two_daemons_that_refuse_the_same_object_leave_it_refused_once_with_its_reason(place: BucketPlace) -> None:
    place.put("x.rpm", DATA)
    arrival = only(place.inbox)
    place.inbox._castoffs = Copying(place.inbox._prefix)
    other = Castoffs(Prefix(place.place, place.reach))

    def first() -> None:
        said = json.loads(place.rejected()["x.rpm.reason.json"])
        other.receive("x.rpm", arrival.mark, said, SUM)
        place.delete("x.rpm")

    place.inbox._castoffs.before = first
    with pytest.raises(NotFound):
        place.inbox.reject(arrival, [FAULT], SUM, NOW)
    assert place.rejected().keys() == {"x.rpm", "x.rpm.reason.json"}


def test_two_objects_of_one_name_refused_at_once_take_a_name_each(place: BucketPlace) -> None:
    place.put("a/x.rpm", DATA)
    place.put("b/x.rpm", b"other")
    first, second = place.inbox.scan()
    place.inbox._castoffs = Copying(place.inbox._prefix)
    plain = Castoffs(place.inbox._prefix)

    def meanwhile() -> None:
        said = {"inbox_path": "b/x.rpm", "sha256": None, "size": 5}
        assert plain.receive("b/x.rpm", second.mark, said, "") == "x.rpm.2"

    place.inbox._castoffs.before = meanwhile
    assert place.inbox.reject(first, [FAULT], SUM, NOW).endswith("/x.rpm")
    assert place.rejected()["x.rpm"] == DATA
    assert place.rejected()["x.rpm.2"] == b"other"


def test_an_old_reason_for_nothing_goes_and_a_young_one_may_be_somebodys_at_work(place: BucketPlace) -> None:
    place.upload("rejected/x.rpm.reason.json", b"{}")
    place.inbox.scan()
    assert place.rejected()
    place.inbox._castoffs._prefix.now = lambda: 4e9
    place.inbox.scan()
    assert place.rejected() == {}


def test_arrivals_and_refused_ones_are_counted_as_such(place: BucketPlace) -> None:
    for name in ("a.rpm", "b/c.rpm", "README", "d.rpm.part", "rejected/e.rpm", "rejected/e.rpm.reason.json", "f.rpm/"):
        place.upload(name, b"")
    assert count(place.place, place.reach, wanted) == (2, 1)
