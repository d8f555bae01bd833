"""What several daemons meet in a bucket when answers are lost: refusals that come of what they did themselves."""

from collections.abc import Iterator

import pytest

from repod.inbox.prefix import Prefix
from repod.values import S3Place
from tests.lab.buckets import Buckets
from tests.lab.faultproxy import FaultProxy
from tests.lab.s3faults import Does, Rule

_LOST: tuple[Does, ...] = ("done, error", "done, reset", "error", "reset", "slow down")


@pytest.fixture
def proxy(buckets: Buckets) -> Iterator[FaultProxy]:
    with FaultProxy(buckets.server) as running:
        yield running


@pytest.fixture
def place(buckets: Buckets) -> S3Place:
    return buckets.place()


@pytest.mark.parametrize("does", _LOST)
def test_an_arrival_is_removed_whatever_one_answer_was(
    buckets: Buckets, proxy: FaultProxy, place: S3Place, does: Does
) -> None:
    prefix = Prefix(place, buckets.settings(endpoint=proxy.endpoint()))
    client = buckets.server.client()
    etag = client.put_object(Bucket=place.bucket, Key=f"{place.prefix}a.rpm", Body=b"first")["ETag"]
    proxy.rules = [Rule(does=does, on=["DeleteObject"], where=lambda r: r.key.endswith("a.rpm"), times=1)]
    assert prefix.delete("a.rpm", etag)
    assert prefix.look("a.rpm") is None


def test_a_newer_arrival_stays_though_the_answer_to_the_removal_of_the_older_one_was_lost(
    buckets: Buckets, proxy: FaultProxy, place: S3Place
) -> None:
    prefix = Prefix(place, buckets.settings(endpoint=proxy.endpoint()))
    client = buckets.server.client()
    older = client.put_object(Bucket=place.bucket, Key=f"{place.prefix}a.rpm", Body=b"first")["ETag"]
    client.put_object(Bucket=place.bucket, Key=f"{place.prefix}a.rpm", Body=b"second")
    proxy.rules = [Rule(does="done, error", on=["DeleteObject"], where=lambda r: r.key.endswith("a.rpm"), times=1)]
    assert not prefix.delete("a.rpm", older)
    assert b"".join(prefix.pieces("a.rpm", prefix.look("a.rpm").mark, 6)) == b"second"


@pytest.mark.parametrize("does", [*_LOST, "conflict"])
@pytest.mark.parametrize("after", range(3))
def test_a_bucket_proves_itself_whatever_one_answer_was(
    buckets: Buckets, proxy: FaultProxy, place: S3Place, does: Does, after: int
) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint())
    proxy.rules = [Rule(does=does, on=["PutObject", "DeleteObject"], after=after, times=1)]
    store.prove()
    assert proxy.did == {does: 1}
