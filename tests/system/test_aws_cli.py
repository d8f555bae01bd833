"""``aws s3 cp`` and ``aws s3 sync``, the real ones, are all that a CI job needs."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from repod.config import Bucket
from repod.inbox.bucket import BucketInbox
from repod.inbox.queue import Receiver
from repod.values import S3Place
from tests.lab.awscli import aws
from tests.lab.bucketinboxes import Messages, credentials, reach
from tests.lab.inboxes import Lines, names, wanted
from tests.lab.queues import Moto
from tests.lab.rpms import quick
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.wait import until

PREFIX = "el9-prod/"
HALF = {"list_interval": 3600.0, "visibility": 1800.0, "scan_interval": 1.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a build left: packages, one with plus signs in its name, one that is sent in parts, and other files."""
    made = tmp_path / "dist"
    (made / "deep").mkdir(parents=True)
    quick(made, "libx++", "1.0", "1", "x86_64")
    quick(made / "deep", "hello", as_name="a b~1^2.rpm")
    (made / "big.rpm").write_bytes(random.Random(1).randbytes(20 << 20))
    (made / "build.log").write_text("none of repod's business")
    return made


def sums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.rpm")
    }


def taken(inbox: BucketInbox, folder: Path, count: int) -> dict[str, str]:
    """Names and checksums of all that is there, when so many are."""
    arrivals = until(lambda: found if len(found := inbox.scan()) == count else [], 30, f"{count} arrivals")
    folder.mkdir()
    result = {a.name: inbox.take(a, folder / str(number)) for number, a in enumerate(arrivals)}
    for arrival in arrivals:
        inbox.remove(arrival)
    return dict(result)


def test_cp_and_sync_bring_packages_whole_and_under_their_names(s3: Seaweed, tmp_path: Path, folder: Path) -> None:
    bucket = s3.bucket()
    with credentials(s3):
        inbox = BucketInbox(
            S3Place(bucket=bucket, prefix=PREFIX), reach(s3), receiver=None, log=Lines(), wanted=wanted, **HALF
        )
        said = aws(tmp_path, s3.environ, "s3", "cp", folder / "big.rpm", f"s3://{bucket}/{PREFIX}")
        assert f"to s3://{bucket}/{PREFIX}big.rpm" in said
        aws(tmp_path, s3.environ, "s3", "cp", folder / "libx++-1.0-1.x86_64.rpm", f"s3://{bucket}/{PREFIX}")
        assert sorted(names(inbox.scan())) == ["big.rpm", "libx++-1.0-1.x86_64.rpm"]
        first = taken(inbox, tmp_path / "first", 2)
        assert first == {name: total for name, total in sums(folder).items() if "/" not in name}
        aws(tmp_path, s3.environ, "s3", "sync", folder, f"s3://{bucket}/{PREFIX}")
        assert taken(inbox, tmp_path / "second", 3) == sums(folder)
        inbox.close()


@pytest.fixture
def told(queues: Moto) -> Iterator[tuple[BucketInbox, str, Messages]]:
    """An inbox in a bucket that tells its queue itself, with the name of the bucket."""
    url = queues.queue()
    bucket = queues.bucket(url, PREFIX)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKMOTO")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "moto")
        both = Bucket(endpoint=queues.endpoint, queue_endpoint=queues.endpoint, region=REGION, addressing="path")
        messages = Messages()
        receiver = Receiver(url, both, visibility=60, poll=1, log=Lines(), count=messages)
        place = S3Place(bucket=bucket, prefix=PREFIX)
        inbox = BucketInbox(place, both, receiver=receiver, log=Lines(), wanted=wanted, **HALF)
        inbox.scan()
        yield inbox, bucket, messages
        inbox.close()
        receiver.close()


def test_what_sync_uploads_is_told_of_by_the_bucket_itself(
    queues: Moto, told: tuple[BucketInbox, str, Messages], tmp_path: Path, folder: Path
) -> None:
    inbox, bucket, messages = told
    aws(tmp_path, queues.environ, "s3", "sync", folder, f"s3://{bucket}/{PREFIX}")
    assert taken(inbox, tmp_path / "copies", 3) == sums(folder)
    assert inbox.up
    # The removals are told of too, and are no work. moto tells twice of what came in parts.
    until(lambda: messages.count["done"] >= 3 and messages.count["unrelated"] >= 5, 30, "all messages")
