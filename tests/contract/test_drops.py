"""What every ``Drop`` promises: the daemon's API, an inbox in a bucket, and one in a directory.

Each leads into the inbox of a daemon that runs, so that what becomes of what was sent is real.
"""

import base64
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from repod.client.api import Api
from repod.client.drops.api import ApiDrop
from repod.client.drops.bucket import BucketDrop
from repod.client.drops.directory import DirectoryDrop
from repod.client.proving import prove
from repod.client.pushing import Drop, Fate, Stopped, Ticket
from repod.client.settings import Server
from repod.client.tokens import Token
from repod.client.wire import Patience, Wire
from repod.errors import Corrupt, Refused
from repod.values import S3Place
from tests.lab.bucketinboxes import credentials, reach
from tests.lab.daemon import Repod
from tests.lab.faultproxy import FaultProxy
from tests.lab.rpms import quick
from tests.lab.s3faults import Does, Rule
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.uploads import TOKENS, token
from tests.lab.wait import until

_PART = 5 << 20  # the least that S3 takes but for the last
_BIG = {"/usr/share/big": bytes(range(256)) * (12 << 12)}  # 12 MiB, which gzip would make small


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A drop, the daemon behind it, and how to see what lies in its inbox: names that do not begin with a dot."""

    drop: Drop
    repod: Repod
    lying: Callable[[], list[str]]
    half: Callable[[], int]

    def became(self, ticket: Ticket, *states: str) -> Fate:
        """What became of it, as soon as it is one of these."""
        return until(
            lambda: fate if (fate := self.drop.fate(ticket)).state in states else None, 30, f"it to be {states}"
        )


@pytest.fixture(scope="module", params=["api", "bucket", "directory"])
def dropped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]
) -> Iterator[Dropped]:
    """One daemon for all tests of a kind: each of them pushes packages of its own names."""
    base = tmp_path_factory.mktemp("drops")
    if request.param == "bucket":
        yield from _bucket(base, key_file, request.getfixturevalue("s3"), long_lived)
        return
    repod = Repod(base, key_file, settings=TOKENS)
    inbox = base / "inbox/test"
    with repod:
        long_lived.add(repod.pid)
        if request.param == "directory":
            yield Dropped(
                drop=DirectoryDrop(inbox), repod=repod, lying=partial(_names, inbox), half=partial(_half, inbox)
            )
            return
        server = Server(url=repod.url)
        with Api(Wire(server, Token(text=token(repod), source="a test"), Patience(first=0.01))) as api:
            drop = ApiDrop(api, "test")
            yield Dropped(drop=drop, repod=repod, lying=partial(_names, inbox), half=partial(_half, inbox))


def _names(inbox: Path) -> list[str]:
    return sorted(path.name for path in inbox.iterdir() if not path.name.startswith("."))


def _half(inbox: Path) -> int:
    return sum(path.name.startswith(".repod-upload") for path in inbox.iterdir())


def _bucket(base: Path, key_file: Path, s3: Seaweed, long_lived: set[int]) -> Iterator[Dropped]:
    place = S3Place(bucket=s3.bucket(), prefix="in/")
    settings = {"s3": {"endpoint": s3.endpoint, "region": REGION, "addressing": "path"}}
    client = s3.client()

    def half() -> int:
        return len(client.list_multipart_uploads(Bucket=place.bucket).get("Uploads", ()))

    with credentials(s3), Repod(base, key_file, {"test": {"inbox": str(place)}}, settings=settings, s3=s3) as repod:
        long_lived.add(repod.pid)
        drop = BucketDrop(place, reach(s3), part=_PART)
        yield Dropped(drop=drop, repod=repod, lying=partial(_objects, client, place), half=half)


def _objects(client: Any, place: S3Place) -> list[str]:
    found = client.list_objects_v2(Bucket=place.bucket, Prefix=place.prefix, Delimiter="/").get("Contents", ())
    # SeaweedFS lists the folder that it made for the prefix, too.
    return sorted(name for one in found if (name := one["Key"].removeprefix(place.prefix)))


def nothing(_: int) -> None:
    """Who does not listen."""


def test_what_is_sent_is_published_and_left_nowhere(dropped: Dropped, tmp_path: Path) -> None:
    parcel = prove(quick(tmp_path, "plain"))
    sent: list[int] = []
    ticket = dropped.drop.send(parcel, sent.append)
    assert (ticket.sha256, ticket.size, sum(sent)) == (parcel.sha256, parcel.size, parcel.size)
    dropped.became(ticket, "taken", "published")
    until(lambda: list(dropped.repod.store().rglob("plain-1.0-1.noarch.rpm")), 30, "it to be published")
    until(lambda: dropped.lying() == [], 30, "the inbox to be empty")


def test_a_large_file_arrives_whole(dropped: Dropped, tmp_path: Path) -> None:
    parcel = prove(quick(tmp_path, "big", files=_BIG, compression="none"))
    assert parcel.size > 2 * _PART
    sent: list[int] = []
    ticket = dropped.drop.send(parcel, sent.append)
    assert sum(sent) == parcel.size
    dropped.became(ticket, "taken", "published")
    until(lambda: list(dropped.repod.store().rglob("big-1.0-1.noarch.rpm")), 30, "it to be published")
    until(lambda: dropped.half() == 0, 30, "nothing half to be left")


def test_what_is_rejected_tells_why_and_what_to_do(dropped: Dropped, tmp_path: Path) -> None:
    ticket = dropped.drop.send(prove(quick(tmp_path, "foreign", arch="ppc64le")), nothing)
    fate = dropped.became(ticket, "rejected")
    (fault,) = fate.faults
    assert (fault["code"], "arch ppc64le" in fault["text"]) == ("arch", True)
    assert "Upload it to a repository for its architecture" in fault["remedy"]


def test_the_same_bytes_may_be_sent_again_and_again(dropped: Dropped, tmp_path: Path) -> None:
    parcel = prove(quick(tmp_path, "again"))
    with ThreadPoolExecutor(4) as threads:
        tickets = list(threads.map(lambda _: dropped.drop.send(parcel, nothing), range(4)))
    for ticket in tickets:
        dropped.became(ticket, "taken", "published")
    until(lambda: dropped.lying() == [], 30, "the inbox to be empty")
    until(lambda: list(dropped.repod.store().rglob("again-*.rpm")), 30, "it to be published")


def test_the_same_bytes_are_rejected_each_time_they_are_sent(dropped: Dropped, tmp_path: Path) -> None:
    parcel = prove(quick(tmp_path, "old", arch="ppc64le"))
    for _ in range(2):
        dropped.became(dropped.drop.send(parcel, nothing), "rejected")
        # Reasons say when, in seconds, and those of a bucket are told apart by nothing else.
        second = int(time.time())
        until(partial(_is_later, second), 5, "the next second")
    good = prove(quick(tmp_path, "newer"))
    assert dropped.became(dropped.drop.send(good, nothing), "taken", "published").faults == ()


def _is_later(second: int) -> bool:
    return int(time.time()) > second


def test_a_file_that_changes_while_it_is_sent_is_not_kept(dropped: Dropped, tmp_path: Path) -> None:
    parcel = replace(prove(quick(tmp_path, "changing")), sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(Corrupt):
        dropped.drop.send(parcel, nothing)
    # The daemon may not have taken away yet what another test sent.
    assert [name for name in dropped.lying() if name.startswith("changing")] == []
    until(lambda: dropped.half() == 0, 30, "nothing half to be left")


def test_sending_that_is_stopped_leaves_nothing(dropped: Dropped, tmp_path: Path) -> None:
    parcel = prove(quick(tmp_path, "halted", files=_BIG, compression="none"))

    def stop(count: int) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        dropped.drop.send(parcel, stop)
    until(lambda: (dropped.lying(), dropped.half()) == ([], 0), 30, "nothing half to be left")


def test_a_name_that_the_inbox_leaves_alone_is_refused(dropped: Dropped, tmp_path: Path) -> None:
    parcel = prove(quick(tmp_path, "named"))
    other = parcel.path.with_name("app.rpm.part")
    parcel.path.rename(other)
    with pytest.raises(Refused, match=r"app\.rpm\.part"):
        dropped.drop.send(replace(parcel, path=other), nothing)
    assert not [name for name in dropped.lying() if name.startswith("app")]


@pytest.mark.parametrize("where", ["bucket", "directory"])
def test_a_file_of_somebody_else_keeps_its_name_and_bytes(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name in ("one", "two", "inbox"):
        (tmp_path / name).mkdir()
    mine = prove(quick(tmp_path / "one", "app", as_name="app.rpm"))
    other = prove(quick(tmp_path / "two", "app", "2.0", as_name="app.rpm"))
    with contextlib.ExitStack() as stack:
        drop: Drop = DirectoryDrop(tmp_path / "inbox")
        lying = partial(_names, tmp_path / "inbox")
        if where == "bucket":
            s3: Seaweed = request.getfixturevalue("s3")
            stack.enter_context(credentials(s3))
            place = S3Place(bucket=s3.bucket(), prefix="in/")
            drop, lying = BucketDrop(place, reach(s3)), partial(_objects, s3.client(), place)
        assert drop.send(other, nothing).file == "app.rpm"
        ticket = drop.send(mine, nothing)
        assert ticket.file.endswith("-app.rpm")
        # The same once more changes nothing.
        assert drop.send(other, nothing).file == "app.rpm"
        assert lying() == sorted(["app.rpm", ticket.file])
        assert drop.fate(ticket).state == "waiting"


@pytest.mark.parametrize("does", ["error", "reset", "done, error", "done, reset"])
def test_a_bucket_that_fails_or_loses_its_answers_has_the_file_once(does: Does, s3: Seaweed, tmp_path: Path) -> None:
    place = S3Place(bucket=s3.bucket(), prefix="in/")
    small = prove(quick(tmp_path, "small"))
    large = prove(quick(tmp_path, "large", files=_BIG, compression="none"))
    with credentials(s3), FaultProxy(s3) as proxy:
        bucket = reach(s3).model_copy(update={"endpoint": proxy.endpoint(), "attempts": 2})
        drop = BucketDrop(place, bucket, part=_PART)
        for parcel in (small, large):
            proxy.rules = [Rule(does=does, times=2, on=("PutObject", "UploadPart", "CompleteMultipartUpload"))]
            sent: list[int] = []
            assert drop.send(parcel, sent.append).file == parcel.name
            assert sum(sent) == parcel.size
    assert _objects(s3.client(), place) == sorted([small.name, large.name])
    assert not s3.client().list_multipart_uploads(Bucket=place.bucket).get("Uploads")


def test_a_bucket_keeps_the_checksum_of_what_was_sent(s3: Seaweed, tmp_path: Path) -> None:
    place = S3Place(bucket=s3.bucket(), prefix="in/")
    parcel = prove(quick(tmp_path, "proven"))
    with credentials(s3):
        BucketDrop(place, reach(s3)).send(parcel, nothing)
    found = s3.client().head_object(Bucket=place.bucket, Key=f"in/{parcel.name}", ChecksumMode="ENABLED")
    assert found["Metadata"] == {"repod-sha256": parcel.sha256}
    assert base64.b64decode(found["ChecksumSHA256"]).hex() == parcel.sha256
