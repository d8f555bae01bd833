"""The store in a bucket, on a real S3 server: what is sent, what is copied there, and what an object is served as."""

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repod import aws
from repod.doors import Expect, Extent, Part
from repod.errors import Conflict, Corrupt, Misconfigured, NotFound, Unavailable
from repod.package import Sha256, StorePath
from repod.store import s3proof
from repod.store.s3 import S3Store
from repod.store.s3bucket import Objects
from repod.store.s3lease import Lease
from repod.values import S3Place
from tests.lab.buckets import Buckets
from tests.lab.faultproxy import FaultProxy
from tests.lab.s3faults import Rule
from tests.lab.s3requests import Request

MIB = 1 << 20
PATH = StorePath("repodata/" + "a" * 64 + "-primary.xml.gz")
OLD = StorePath("repodata/" + "b" * 64 + "-primary.xml.gz")


@pytest.fixture
def proxy(buckets: Buckets) -> Iterator[FaultProxy]:
    with FaultProxy(buckets.server) as running:
        yield running


def checksum(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def add(store: S3Store, path: StorePath, data: bytes) -> None:
    store.add(path, [data], checksum(data))


def operations(proxy: FaultProxy, act: Callable[[], object]) -> tuple[dict[str, int], int, int]:
    """How often which operation was asked for while ``act`` ran, and bytes of bodies up and down."""
    before = proxy.counts()
    act()
    done = proxy.counts() - before
    total = done.total()
    return {name: tally.requests for name, tally in done.by_operation().items()}, total.up, total.down


def left_uploads(buckets: Buckets, place: S3Place) -> list[Any]:
    found = buckets.server.client().list_multipart_uploads(Bucket=place.bucket)
    return list(found.get("Uploads", ()))


@pytest.fixture(scope="module")
def noise() -> bytes:
    return random.Random(7).randbytes(40 * MIB)


# ---------------------------------------------------------------- requests


def test_a_small_object_is_one_request_and_a_write_too(buckets: Buckets, proxy: FaultProxy) -> None:
    store = buckets.store(endpoint=proxy.endpoint())
    assert operations(proxy, lambda: add(store, PATH, b"x" * 5000)) == ({"PutObject": 1}, 5000, 0)
    asked, *_ = operations(proxy, lambda: store.write(StorePath("a"), b"x", Expect.ABSENT))
    assert asked == {"PutObject": 1}


def test_a_copy_moves_no_bytes_and_is_three_requests(buckets: Buckets, proxy: FaultProxy, noise: bytes) -> None:
    one, two = buckets.store(endpoint=proxy.endpoint()), buckets.store(endpoint=proxy.endpoint())
    two.prove()
    add(one, OLD, noise[:MIB])
    asked, up, down = operations(proxy, lambda: two.copy(OLD, PATH, checksum(noise[:MIB]), of=one))
    assert asked == {"HeadObject": 2, "CopyObject": 1}
    assert up + down < 1000
    assert two.read(PATH).data == noise[:MIB]


def test_a_large_document_is_made_of_what_s3_has_and_the_least_around_what_is_new(
    buckets: Buckets, proxy: FaultProxy, noise: bytes
) -> None:
    store = buckets.store(endpoint=proxy.endpoint())
    add(store, OLD, noise)

    def extent(offset: int, length: int) -> Extent:
        return Extent(
            path=OLD, offset=offset, length=length, local=lambda at, size: noise[offset + at : offset + at + size]
        )

    parts: list[Part] = [b"head", extent(10, 20 * MIB), b"new" * 1000, extent(20 * MIB + 10, 20 * MIB - 10), b"tail"]
    data = b"head" + noise[10 : 20 * MIB + 10] + b"new" * 1000 + noise[20 * MIB + 10 :] + b"tail"
    asked, up, down = operations(proxy, lambda: store.add(PATH, parts, checksum(data)))
    assert asked == {
        "HeadObject": 1,
        "CreateMultipartUpload": 1,
        "UploadPart": 3,
        "UploadPartCopy": 2,
        "CompleteMultipartUpload": 1,
    }
    assert 10 * MIB < up < 10 * MIB + 10_000
    assert down < 10_000
    assert b"".join(store.stream(PATH)) == data


def test_a_large_document_of_ranges_that_are_nowhere_nearer_has_the_right_bytes(buckets: Buckets, noise: bytes) -> None:
    store = buckets.store()
    add(store, OLD, noise)
    parts = [Extent(path=OLD, offset=1, length=30 * MIB), b"end"]
    data = noise[1 : 30 * MIB + 1] + b"end"
    store.add(PATH, parts, checksum(data))
    assert b"".join(store.stream(PATH)) == data
    with pytest.raises(NotFound, match=str(OLD).replace("b" * 64, "c" * 64)):
        store.add(StorePath("x"), [Extent(path=_other("c"), offset=0, length=30 * MIB)], checksum(b""))
    with pytest.raises(Corrupt):
        store.add(StorePath("x"), [Extent(path=OLD, offset=20 * MIB, length=30 * MIB)], checksum(b""))


def _other(letter: str) -> StorePath:
    return StorePath("repodata/" + letter * 64 + "-primary.xml.gz")


def test_ranges_of_which_s3_has_other_bytes_than_the_cache_are_corrupt_and_nothing_shows(
    buckets: Buckets, noise: bytes
) -> None:
    place = buckets.place()
    store = buckets.store(place)
    wrong = bytearray(noise)
    wrong[25 * MIB] ^= 1
    add(store, OLD, bytes(wrong))
    parts = [b"x", Extent(path=OLD, offset=0, length=len(noise), local=lambda at, size: noise[at : at + size])]
    with pytest.raises(Corrupt, match="primary"):
        store.add(PATH, parts, checksum(b"x" + noise))
    with pytest.raises(NotFound):
        store.read(PATH)
    assert left_uploads(buckets, place) == []


def test_a_large_file_goes_in_parts_and_wrong_bytes_of_a_file_or_stream_are_never_seen(
    buckets: Buckets, noise: bytes, tmp_path: Path
) -> None:
    place = buckets.place()
    store, file = buckets.store(place), tmp_path / "large.rpm"
    file.write_bytes(noise)
    path = StorePath("Packages/l/large.rpm")
    for parts in ([file], iter([noise[: 17 * MIB], noise[17 * MIB :]])):
        with pytest.raises(Corrupt, match=r"large\.rpm"):
            store.add(path, parts, checksum(b"others"))
    assert left_uploads(buckets, place) == []
    store.add(path, [file], checksum(noise))
    told = buckets.head(place, path)
    assert told["ETag"].endswith('-3"')
    assert told["Metadata"] == {"sha256": checksum(noise)}
    store.add(path, iter([noise]), checksum(noise))
    with pytest.raises(Conflict, match=checksum(noise)):
        store.add(path, [b"other"], checksum(b"other"))
    with pytest.raises(Conflict, match=checksum(noise)):
        store.add(path, [noise, b"x"], checksum(noise + b"x"))
    assert b"".join(store.stream(path)) == noise


# ---------------------------------------------------------------- added again while somebody prunes


@pytest.mark.parametrize(("size", "times"), [(5, 1), (5, 2), (5, 3), (17 * MIB, 2)])
@pytest.mark.parametrize("copied", [False, True])
def test_what_was_added_again_since_it_was_listed_is_not_removed(
    buckets: Buckets, noise: bytes, size: int, times: int, *, copied: bool
) -> None:
    store, data = buckets.store(), noise[:size]
    add(store, OLD, data)
    add(store, PATH, data)
    (seen,) = store.list(PATH)
    before = {store.read(PATH).version}
    for _ in range(times):
        if copied:
            store.copy(OLD, PATH, checksum(data))
        else:
            add(store, PATH, data)
        before.add(store.read(PATH).version)
    assert not store.remove(PATH, seen=seen)
    assert store.read(PATH).data == data
    assert len(before) == 2, "another form at first, and that one for a while"
    (seen,) = store.list(PATH)
    assert not store.remove(PATH, seen=seen), "for 20 minutes, since a request to remove may be on its way"


@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_is_added_again_between_the_look_and_the_removal_stays(
    buckets: Buckets, proxy: FaultProxy, times: int
) -> None:
    place = buckets.place()
    store, other = buckets.store(place, endpoint=proxy.endpoint()), buckets.store(place)
    add(store, PATH, b"data")
    (seen,) = store.list(PATH)

    def meanwhile(_: Request) -> bool:
        for _again in range(times):
            add(other, PATH, b"data")
        return False

    proxy.rules = [Rule(does="error", on=["DeleteObject"], where=meanwhile)]
    assert not store.remove(PATH, seen=seen)
    assert store.read(PATH).data == b"data"


def test_a_removal_that_comes_too_long_after_the_look_is_not_sent(buckets: Buckets) -> None:
    store = buckets.store()
    add(store, PATH, b"data")
    (seen,) = store.list(PATH)
    with aws.within(-1), pytest.raises(aws.TooLate, match="too much time passed"):
        store.remove(PATH, seen=seen)
    assert store.remove(PATH, seen=seen)


# ---------------------------------------------------------------- sweep


def test_sweep_gives_up_old_uploads_below_the_prefix_only(buckets: Buckets) -> None:
    place = buckets.place()
    client, store = buckets.server.client(), buckets.store(place)
    for key in (place.prefix + "left", "beside/left"):
        client.create_multipart_upload(Bucket=place.bucket, Key=key)
    assert store.sweep() == 0, "they may be in hand"
    assert s3proof.sweep(Objects(place, buckets.settings()), timedelta(seconds=-5)) == 1
    assert [one["Key"] for one in left_uploads(buckets, place)] == ["beside/left"]


def test_sweep_removes_what_a_stopped_trial_of_the_bucket_left(buckets: Buckets) -> None:
    place = buckets.place()
    client, store = buckets.server.client(), buckets.store(place)
    keys = [place.prefix + name for name in (".repod/proof/left", "Packages/kept")]
    for key in keys:
        client.put_object(Bucket=place.bucket, Key=key, Body=b"repod")
    assert store.sweep() == 0, "it may be in hand"
    assert s3proof.sweep(Objects(place, buckets.settings()), timedelta(seconds=-5)) == 1
    found = client.list_objects_v2(Bucket=place.bucket)["Contents"]
    assert [one["Key"] for one in found] == keys[1:]


# ---------------------------------------------------------------- how objects are kept


def test_class_and_encryption_are_asked_for_where_they_are_set_and_an_acl_never(
    buckets: Buckets, proxy: FaultProxy, noise: bytes
) -> None:
    made: list[Request] = []

    def makes(request: Request) -> bool:
        if request.operation in {"PutObject", "CreateMultipartUpload"}:
            made.append(request)
        return request in made

    proxy.rules = [Rule(does="denied", where=makes)]
    own = {"storage_class": "STANDARD_IA", "encryption": "aws:kms", "kms_key": "arn:aws:kms:x"}
    store = buckets.store(endpoint=proxy.endpoint(), **own)
    for path, data in {
        PATH: b"1",
        StorePath("Packages/l.rpm"): noise[: 17 * MIB],
        StorePath("mirrorlist"): b"2",
    }.items():
        with pytest.raises(Unavailable, match=r"AccessDenied.*config/iam"):
            add(store, path, data)
    assert [request.get("x-amz-storage-class") for request in made] == ["STANDARD_IA", "STANDARD_IA", ""]
    assert {request.get("x-amz-server-side-encryption") for request in made} == {"aws:kms"}
    assert {request.get("x-amz-server-side-encryption-aws-kms-key-id") for request in made} == {"arn:aws:kms:x"}
    assert not any(request.get("x-amz-acl") or request.get("content-encoding") for request in made)


# ---------------------------------------------------------------- proof and lease


def test_prove_is_six_requests_and_leaves_nothing(buckets: Buckets, proxy: FaultProxy) -> None:
    place = buckets.place()
    store = buckets.store(place, endpoint=proxy.endpoint())
    asked, *_ = operations(proxy, store.prove)
    assert asked == {"PutObject": 3, "CopyObject": 1, "DeleteObject": 2}
    assert "Contents" not in buckets.server.client().list_objects_v2(Bucket=place.bucket)


def test_a_server_that_ignores_conditions_is_named_with_the_setting_for_one_writer(
    buckets: Buckets, proxy: FaultProxy
) -> None:
    proxy.modes = ["no conditions"]
    with pytest.raises(Misconfigured, match=r"ignores .*If-None-Match.*\[s3\] single_writer = true"):
        buckets.store(endpoint=proxy.endpoint()).prove()


def test_a_single_writer_compares_where_the_server_does_not(buckets: Buckets, proxy: FaultProxy) -> None:
    proxy.modes = ["no conditions"]
    place = buckets.place()
    store = buckets.store(place, endpoint=proxy.endpoint(), single_writer=True)
    store.prove()
    first = store.write(PATH, b"1", Expect.ABSENT)
    second = store.write(PATH, b"2", first)
    for expect in (Expect.ABSENT, first):
        with pytest.raises(Conflict):
            store.write(PATH, b"3", expect)
    with pytest.raises(Conflict):
        store.add(PATH, [b"3"], checksum(b"3"))
    assert store.read(PATH).version == second
    assert [stored.path for stored in store.list("")] == [PATH], "the lease is no object"


_WRITER = """
import sys
from repod.config import Bucket
from repod.doors import Expect
from repod.store.s3 import S3Store
from repod.values import S3Place
endpoint, bucket, prefix = sys.argv[1:]
settings = Bucket(endpoint=endpoint, addressing="path", timeout=2, single_writer=True)
store = S3Store(S3Place(bucket=bucket, prefix=prefix), settings)
store.prove()
print("holds", flush=True)
sys.stdin.read()
"""


def _writer(buckets: Buckets, place: S3Place, endpoint: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", _WRITER, endpoint, place.bucket, place.prefix]
    writer = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **buckets.server.environ}
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "holds\n"
    return writer


def test_a_second_writer_is_told_who_holds_the_lease_and_has_it_once_that_one_ends(
    buckets: Buckets, proxy: FaultProxy
) -> None:
    place = buckets.place()
    writer = _writer(buckets, place, proxy.endpoint())
    store = buckets.store(place, endpoint=proxy.endpoint(), single_writer=True, timeout=2)
    with pytest.raises(Unavailable, match=rf":{writer.pid}:.* is its single writer, by a lease until .* UTC"):
        store.prove()
    writer.communicate(timeout=30)
    store.prove()
    store.write(PATH, b"1", Expect.ABSENT)


def test_the_lease_of_a_dead_writer_ends_by_the_clock_of_the_server(buckets: Buckets, proxy: FaultProxy) -> None:
    place = buckets.place()
    writer = _writer(buckets, place, proxy.endpoint())
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=30)
    store = buckets.store(place, endpoint=proxy.endpoint(), single_writer=True, timeout=2)
    with pytest.raises(Unavailable, match="single writer"):
        store.write(PATH, b"1", Expect.ABSENT)
    proxy.clock = 60
    store.write(PATH, b"1", Expect.ABSENT)


def test_a_writer_that_stalls_past_its_lease_writes_nothing_more(buckets: Buckets) -> None:
    place = buckets.place()
    now = [0.0]
    clients = aws.Clients(buckets.settings(timeout=2, single_writer=True))
    lease = Lease(clients, place, lambda: now[0])
    with lease.held():
        pass
    key, client = place.prefix + ".repod/lease.json", buckets.server.client()
    client.put_object(Bucket=place.bucket, Key=key, Body=b'{"owner": "another:1:a", "seconds": 60}')
    now[0] = 100.0
    with pytest.raises(Unavailable, match="another:1:a is its single writer"), lease.held():
        pytest.fail("nobody holds two leases")


def test_a_writer_that_stalls_while_it_holds_its_lease_sends_nothing_after_its_end(buckets: Buckets) -> None:
    store = buckets.store()
    with pytest.raises(aws.TooLate), aws.within(-1):
        store.write(PATH, b"1", Expect.ANY)
    assert list(store.list("")) == []
