"""The fault proxy itself: it lets S3 through as it is, counts, and misbehaves in the ways that it is told."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.lab.faultproxy import FaultProxy
from tests.lab.s3faults import Does, Rule, chaos
from tests.lab.s3requests import Tally, kind_of
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.wait import until


@pytest.fixture
def proxy(s3: Seaweed) -> Iterator[FaultProxy]:
    with FaultProxy(s3) as running:
        yield running


def _client(s3: Seaweed, proxy: FaultProxy, name: str = "", *, seconds: float = 60, attempts: int = 1) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=proxy.endpoint(name),
        region_name=REGION,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": attempts},
            read_timeout=seconds,
        ),
    )


def _stored(s3: Seaweed, bucket: str, key: str) -> bytes | None:
    client = s3.client()
    with contextlib.suppress(client.exceptions.NoSuchKey):
        return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    return None


def test_what_it_is_not_told_to_change_goes_through_as_it_is(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    names = ["a/b+c~1^é x.rpm", "empty", "big"]
    bodies = [b"some", b"", b"0123456789abcdef" * 200_000]
    for name, body in zip(names, bodies, strict=True):
        client.put_object(Bucket=bucket, Key=name, Body=body, ChecksumAlgorithm="SHA256")
        assert client.get_object(Bucket=bucket, Key=name)["Body"].read() == body
        assert client.head_object(Bucket=bucket, Key=name)["ContentLength"] == len(body)
    assert client.get_object(Bucket=bucket, Key="big", Range="bytes=16-31")["Body"].read() == b"0123456789abcdef"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="big", Body=b"x", IfNoneMatch="*")
    client.delete_object(Bucket=bucket, Key="a/b+c~1^é x.rpm")
    listed = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert sorted(one["Key"] for one in listed) == ["big", "empty"]


def test_it_counts_requests_and_bytes_by_operation_and_by_what_the_key_is(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    client.put_object(Bucket=bucket, Key="el9/.repod/head.json", Body=b"12345")
    before = proxy.counts()
    client.put_object(Bucket=bucket, Key="el9/.repod/head.json", Body=b"123")
    client.get_object(Bucket=bucket, Key="el9/.repod/head.json")["Body"].read()
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "el9/.repod/head.json"})
    client.delete_object(Bucket=bucket, Key="copy")
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    of = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    source = {"Bucket": bucket, "Key": "el9/.repod/head.json"}
    part = client.upload_part_copy(**of, PartNumber=1, CopySource=source)["CopyPartResult"]["ETag"]
    client.complete_multipart_upload(**of, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]})
    client.list_objects_v2(Bucket=bucket)
    counts = proxy.counts() - before
    assert {name: tally.requests for name, tally in counts.by_operation().items()} == {
        "CompleteMultipartUpload": 1,
        "CopyObject": 1,
        "CreateMultipartUpload": 1,
        "DeleteObject": 1,
        "GetObject": 1,
        "ListObjectsV2": 1,
        "PutObject": 1,
        "UploadPartCopy": 1,
    }
    assert counts.total("PutObject", "pointer") == Tally(requests=1, up=3)
    assert counts.total("GetObject", "pointer") == Tally(requests=1, down=3)
    assert counts.total().requests == 8
    assert "PutObject" in str(counts)


def test_keys_are_told_apart_by_what_they_are_in_a_repository() -> None:
    documents = "0" * 64 + "-primary.xml.gz"
    kinds = {
        "p/.repod/head.json": "pointer",
        ".repod/generations/12.json": "record",
        f"p/repodata/{documents}": "document",
        f"generations/3/repodata/{documents}": "document",
        "p/generations/3/repodata/repomd.xml.asc": "frozen index",
        "p/repodata/repomd.xml": "live index",
        "p/mirrorlist": "link",
        "p/Packages/h/hello-1.0-1.noarch.rpm": "package",
        "p/hello.rpm": "other",
        "": "bucket",
    }
    assert {key: kind_of(key) for key in kinds} == kinds


_FAILED: tuple[Does, ...] = ("error", "slow down", "reset", "no answer", "expired", "denied")
_DONE: tuple[Does, ...] = ("done, error", "done, reset", "done, no answer", "late")


@pytest.mark.parametrize(("does", "done"), [*((does, False) for does in _FAILED), *((does, True) for does in _DONE)])
def test_a_call_that_fails_was_done_or_not_as_it_is_told(
    s3: Seaweed, proxy: FaultProxy, does: Does, *, done: bool
) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy, seconds=0.5)
    proxy.rules = [Rule(does=does, on=["PutObject"], times=1, seconds=5)]
    with pytest.raises((ClientError, BotoCoreError)):
        client.put_object(Bucket=bucket, Key="a", Body=b"new")
    if done:
        until(lambda: _stored(s3, bucket, "a") == b"new", 60, "the late write")
    assert _stored(s3, bucket, "a") == (b"new" if done else None)
    _client(s3, proxy).put_object(Bucket=bucket, Key="a", Body=b"newer")  # by one who waits for a busy server
    assert _stored(s3, bucket, "a") == b"newer"
    assert proxy.did == {does: 1}


def test_a_conflict_meets_conditional_writes_only(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    proxy.rules = [Rule(does="conflict")]
    client.put_object(Bucket=bucket, Key="a", Body=b"plain")
    with pytest.raises(ClientError, match="ConditionalRequestConflict"):
        client.put_object(Bucket=bucket, Key="a", Body=b"if", IfMatch='"x"')
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"plain"


def test_an_answer_that_breaks_off_is_no_shorter_object(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    client.put_object(Bucket=bucket, Key="a", Body=b"x" * 1000)
    proxy.rules = [Rule(does="half", on=["GetObject"], times=1)]
    with pytest.raises(BotoCoreError):
        client.get_object(Bucket=bucket, Key="a")["Body"].read()
    assert len(client.get_object(Bucket=bucket, Key="a")["Body"].read()) == 1000


def test_a_server_without_conditional_writes_takes_them_all(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    proxy.modes = ["no conditions"]
    for body in (b"one", b"two"):
        client.put_object(Bucket=bucket, Key="a", Body=body, IfNoneMatch="*")
    client.put_object(Bucket=bucket, Key="a", Body=b"three", IfMatch='"stale"')
    assert _stored(s3, bucket, "a") == b"three"


def test_a_server_may_ignore_or_refuse_checksums(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    proxy.modes = ["no checksums"]
    answer = client.put_object(Bucket=bucket, Key="a", Body=b"x", ChecksumAlgorithm="SHA256")
    assert "ChecksumSHA256" not in answer
    proxy.modes = ["refuse checksums"]
    with pytest.raises(ClientError, match="NotImplemented"):
        client.put_object(Bucket=bucket, Key="a", Body=b"y", ChecksumAlgorithm="SHA256")
    assert _stored(s3, bucket, "a") == b"x"


def test_a_server_may_read_a_plus_in_a_path_as_a_space(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    proxy.modes = ["plus is space"]
    client.put_object(Bucket=bucket, Key="libx++.rpm", Body=b"encoded")
    assert _stored(s3, bucket, "libx++.rpm") == b"encoded"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_server_whose_clock_is_off_refuses_and_says_its_time(s3: Seaweed, proxy: FaultProxy, hours: int) -> None:
    bucket, client = s3.bucket(), _client(s3, proxy)
    proxy.clock = hours * 3600.0
    with pytest.raises(ClientError, match="RequestTimeTooSkewed") as caught:
        client.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert "date" in caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    proxy.clock = hours * 60.0
    client.put_object(Bucket=bucket, Key="a", Body=b"x")


def test_one_client_is_frozen_and_another_goes_on(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket = s3.bucket()
    frozen, other = _client(s3, proxy, "one", seconds=30), _client(s3, proxy, "two")
    proxy.freeze("one")
    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(frozen.put_object, Bucket=bucket, Key="a", Body=b"frozen")
        until(lambda: proxy.held("one"), 30, "the request to be held")
        other.put_object(Bucket=bucket, Key="b", Body=b"free")
        assert _stored(s3, bucket, "a") is None
        proxy.thaw("one")
        writing.result(60)
    assert _stored(s3, bucket, "a") == b"frozen"


def test_a_request_that_is_held_is_done_though_its_client_is_gone(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket, patient, hurried = s3.bucket(), _client(s3, proxy, "one"), _client(s3, proxy, "one", seconds=0.3)
    proxy.rules = [Rule(does="hold", on=["PutObject"], after=1)]
    patient.put_object(Bucket=bucket, Key="a", Body=b"first")
    with pytest.raises(BotoCoreError):
        hurried.put_object(Bucket=bucket, Key="a", Body=b"second")
    until(lambda: [request.key for request in proxy.held("one")] == ["a"], 30, "the request to be held")
    assert _stored(s3, bucket, "a") == b"first"
    proxy.release("one")
    until(lambda: _stored(s3, bucket, "a") == b"second", 60, "the held request to be done")


def test_the_same_seed_draws_the_same_faults(s3: Seaweed) -> None:
    bucket, drawn = s3.bucket(), []
    failing = {"error", "slow down", "reset", "done, error", "done, reset"}
    for _ in range(2):
        with FaultProxy(s3, seed=7) as proxy:
            proxy.rules = chaos(0.3, seconds=0.05)
            client = _client(s3, proxy, seconds=60)
            faults = []
            for number in range(60):
                before = proxy.did.copy()
                failed = False
                try:
                    client.put_object(Bucket=bucket, Key=f"{number}", Body=b"x")
                except (ClientError, BotoCoreError):
                    # By which error depends on when a cut connection is noticed.
                    failed = True
                does = list(proxy.did - before)
                # The server behind it may fail by itself, where the machine has much to do.
                assert failed or not failing & set(does)
                faults.append(does)
            drawn.append(faults)
            assert 5 < sum(bool(failing & set(does)) for does in faults) < 30
    assert drawn[0] == drawn[1]


def test_it_is_fast_enough_for_many_clients(s3: Seaweed, proxy: FaultProxy) -> None:
    bucket = s3.bucket()

    def work(name: int) -> None:
        client = _client(s3, proxy, str(name % 4))
        for number in range(40):
            client.put_object(Bucket=bucket, Key=f"{name}/{number}", Body=b"x" * 500)

    start = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    seconds = time.monotonic() - start
    print(f"{320 / seconds:.0f} requests/s")
    assert proxy.counts().total("PutObject").requests == 320
