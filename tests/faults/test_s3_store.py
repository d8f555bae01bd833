"""The store in a bucket while S3, or the way to it, fails, is slow, or lies about what it did."""

import hashlib
import random
from collections.abc import Iterator

import pytest

from repod.doors import Expect, Extent
from repod.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from repod.package import Sha256, StorePath
from repod.values import S3Place
from tests.lab.buckets import Buckets
from tests.lab.faultproxy import FaultProxy
from tests.lab.s3faults import Does, Rule
from tests.lab.s3requests import Request

MIB = 1 << 20
PATH = StorePath("repodata/repomd.xml")


@pytest.fixture
def proxy(buckets: Buckets) -> Iterator[FaultProxy]:
    with FaultProxy(buckets.server) as running:
        yield running


@pytest.fixture
def place(buckets: Buckets) -> S3Place:
    return buckets.place()


def checksum(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


# ---------------------------------------------------------------- unknown outcomes


@pytest.mark.parametrize("does", ["error", "reset", "slow down", "done, error", "done, reset", "half"])
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_write_whose_outcome_is_unknown_is_done_once_and_told_so(
    buckets: Buckets, proxy: FaultProxy, place: S3Place, does: Does, attempts: int
) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint(), attempts=attempts)
    there = buckets.store(place)  # what is looked at has no part in the fault, nor in the connection that it broke
    proxy.rules = [Rule(does=does, on=["PutObject"], times=1)]
    first = store.write(PATH, b"one", Expect.ABSENT)
    assert (there.read(PATH).data, there.read(PATH).version) == (b"one", first)
    proxy.rules = [Rule(does=does, on=["PutObject"], times=1)]
    store.write(PATH, b"two", first)
    assert there.read(PATH).data == b"two"
    proxy.rules = [Rule(does=does, on=["PutObject"], times=1)]
    with pytest.raises(Conflict):
        store.write(PATH, b"three", first)
    with pytest.raises(Conflict):
        store.write(PATH, b"two", Expect.ABSENT)
    assert there.read(PATH).data == b"two"


@pytest.mark.parametrize("does", ["error", "reset"])
def test_a_write_that_another_overtook_while_its_outcome_was_unknown_is_a_conflict(
    buckets: Buckets, proxy: FaultProxy, place: S3Place, does: Does
) -> None:
    store, other = buckets.store(place, endpoint=proxy.endpoint(), attempts=3), buckets.store(place)
    version = store.write(PATH, b"one", Expect.ABSENT)

    def overtake(_: Request) -> bool:
        other.write(PATH, b"same bytes", Expect.ANY)
        return True

    proxy.rules = [Rule(does=does, on=["PutObject"], where=overtake, times=1)]
    with pytest.raises(Conflict):
        store.write(PATH, b"other bytes", version)
    assert store.read(PATH).data == b"same bytes"


def test_a_write_that_another_made_with_the_same_bytes_is_not_taken_for_ours(
    buckets: Buckets, proxy: FaultProxy, place: S3Place
) -> None:
    store, other = buckets.store(place, endpoint=proxy.endpoint(), attempts=1), buckets.store(place)

    def overtake(request: Request) -> bool:
        other.write(PATH, b"same", Expect.ABSENT)
        return bool(request.key)

    proxy.rules = [Rule(does="reset", on=["PutObject"], where=overtake, times=1)]
    with pytest.raises(Conflict):
        store.write(PATH, b"same", Expect.ABSENT)


def test_a_write_that_never_gets_an_answer_is_unknown_and_no_more_than_that(
    buckets: Buckets, proxy: FaultProxy, place: S3Place
) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint(), attempts=2)
    proxy.rules = [Rule(does="reset", on=["PutObject"])]
    with pytest.raises(OutcomeUnknown, match="may or may not have been done: read it back"):
        store.write(PATH, b"one", Expect.ABSENT)
    proxy.rules = [Rule(does="done, reset", on=["PutObject"]), Rule(does="reset", on=["HeadObject"])]
    with pytest.raises(OutcomeUnknown):
        store.write(PATH, b"one", Expect.ABSENT)
    proxy.rules = []
    assert store.read(PATH).data == b"one"


@pytest.mark.parametrize("does", ["error", "reset", "done, error", "done, reset", "conflict"])
def test_adding_and_copying_succeed_whatever_one_answer_was(
    buckets: Buckets, proxy: FaultProxy, place: S3Place, does: Does
) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint(), attempts=2)
    data = random.Random(1).randbytes(17 * MIB)
    proxy.rules = [Rule(does=does, on=["PutObject"], times=1)]
    store.add(PATH, [b"x"], checksum(b"x"))
    proxy.rules = [Rule(does=does, on=["CopyObject"], times=1)]
    store.copy(PATH, StorePath("copy"), checksum(b"x"))
    proxy.rules = [Rule(does=does, on=["CompleteMultipartUpload"], times=1)]
    store.add(StorePath("large"), [data], checksum(data))
    proxy.rules = []
    assert [store.read(StorePath(path)).data for path in (PATH, "copy", "large")] == [b"x", b"x", data]
    assert buckets.server.client().list_multipart_uploads(Bucket=place.bucket).get("Uploads", []) == []


@pytest.mark.parametrize("does", ["error", "reset", "done, error", "done, reset"])
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_removal_of_what_was_listed_is_told_as_it_was(
    buckets: Buckets, proxy: FaultProxy, place: S3Place, does: Does, attempts: int
) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint(), attempts=attempts)
    store.add(PATH, [b"x"], checksum(b"x"))
    (seen,) = store.list("")
    proxy.rules = [Rule(does=does, on=["DeleteObject"], times=1)]
    if attempts == 1 and not does.startswith("done"):
        with pytest.raises(OutcomeUnknown):
            store.remove(PATH, seen=seen)
    assert store.remove(PATH, seen=seen)
    assert list(store.list("")) == []


# ---------------------------------------------------------------- what is left, and carried on


def test_an_upload_that_fails_on_the_way_leaves_nothing(buckets: Buckets, proxy: FaultProxy, place: S3Place) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint(), attempts=2)
    data = random.Random(1).randbytes(17 * MIB)
    proxy.rules = [Rule(does="error", on=["UploadPart"])]
    with pytest.raises(Unavailable):
        store.add(PATH, [data], checksum(data))
    assert list(store.list("")) == []
    assert buckets.server.client().list_multipart_uploads(Bucket=place.bucket).get("Uploads", []) == []


def test_a_stream_that_breaks_off_is_carried_on(buckets: Buckets, proxy: FaultProxy, place: S3Place) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint())
    data = random.Random(1).randbytes(5 * MIB)
    store.add(PATH, [data], checksum(data))
    proxy.rules = [Rule(does="half", on=["GetObject"], times=2)]
    assert b"".join(store.stream(PATH)) == data
    proxy.rules = [Rule(does="half", on=["GetObject"], times=1)]
    assert b"".join(store.stream(PATH, 7, 3 * MIB)) == data[7 : 7 + 3 * MIB]
    proxy.rules = [Rule(does="half", on=["GetObject"])]
    with pytest.raises(Unavailable):
        list(store.stream(PATH))


def test_a_server_that_cannot_copy_parts_gets_all_bytes(buckets: Buckets, proxy: FaultProxy, place: S3Place) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint())
    data = random.Random(1).randbytes(17 * MIB)
    old = StorePath("old")
    store.add(old, [data], checksum(data))
    proxy.rules = [Rule(does="unknown", on=["UploadPartCopy"])]
    whole = Extent(path=old, offset=0, length=len(data), local=lambda at, size: data[at : at + size])
    store.add(PATH, [b"new", whole], checksum(b"new" + data))
    assert b"".join(store.stream(PATH)) == b"new" + data
    (seen,) = store.list("old")
    for _ in range(2):
        store.add(old, [data], checksum(data))
        assert not store.remove(old, seen=seen)


# ---------------------------------------------------------------- refusals


def test_credentials_that_have_expired_are_read_anew(buckets: Buckets, proxy: FaultProxy, place: S3Place) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint())
    proxy.rules = [Rule(does="expired", times=1)]
    with pytest.raises(Unavailable, match="credentials have expired"):
        store.write(PATH, b"one", Expect.ABSENT)
    store.write(PATH, b"one", Expect.ABSENT)


def test_a_clock_that_is_wrong_is_told_with_the_seconds(buckets: Buckets, proxy: FaultProxy, place: S3Place) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint(), attempts=1)
    proxy.clock = -4000
    # As many more as a busy machine lets pass between the answer and the look at it.
    with pytest.raises(Unavailable, match=r"this machine's clock is \+(3999|40[0-5]\d) s from that of S3; set it"):
        store.write(PATH, b"one", Expect.ABSENT)


def test_throttling_is_waited_out(buckets: Buckets, proxy: FaultProxy, place: S3Place) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint())
    proxy.rules = [Rule(does="slow down", times=2)]
    store.write(PATH, b"one", Expect.ABSENT)
    with pytest.raises(NotFound):
        store.read(StorePath("none"))


def test_no_bucket_is_said_and_is_never_an_empty_store(buckets: Buckets) -> None:
    store = buckets.store(S3Place(bucket="there-is-none", prefix=""))
    for act in (lambda: store.read(PATH), lambda: list(store.list(""))):
        with pytest.raises(Unavailable, match="there is no such bucket; make it"):
            act()
