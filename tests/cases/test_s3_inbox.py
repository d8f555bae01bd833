"""Cases about an inbox in a bucket."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.place import MakePlace, Place
from tests.lab import rpms
from tests.lab.queues import Moto
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.wait import until

Told = tuple[Place, Any, str]
"""A place whose inbox is ``s3://BUCKET/incoming/``, a client of that S3, and the bucket's name."""


@pytest.fixture
def told(queues: Moto, make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> Told:
    """The bucket tells a queue of its objects, in its own words, and nothing is listed."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, queues.environ[name])
    url = queues.queue()
    bucket = queues.bucket(url, "incoming/")
    both = {"endpoint": queues.endpoint, "queue_endpoint": queues.endpoint, "region": REGION, "addressing": "path"}
    settings = {"s3": both, "inbox": {"list_interval": 3600.0, "visibility": 1800.0}}
    place = make_place(settings, inbox=f"s3://{bucket}/incoming/", queue=url)
    return place, queues.client("s3"), bucket


@pytest.fixture
def listed(s3: Seaweed, make_place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> Told:
    """There is no queue."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, s3.environ[name])
    bucket = s3.bucket()
    reach = {"endpoint": s3.endpoint, "region": REGION, "addressing": "path"}
    place = make_place({"s3": reach}, inbox=f"s3://{bucket}/incoming/")
    return place, s3.client(), bucket


@pytest.fixture(params=["told", "listed"])
def either(request: pytest.FixtureRequest) -> Told:
    found: Told = request.getfixturevalue(request.param)
    return found


def upload(client: Any, bucket: str, key: str, file: Path | None = None) -> None:
    client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes() if file else b"")


def published(place: Place, count: int) -> Callable[[], bool]:
    return lambda: place.metric("repod_arrivals_total", result="published") == count


def test_c012_form_encoded_keys_of_events_are_decoded_once(told: Told, built: Path) -> None:
    """``libx%2B%2B-…`` and ``a+b.rpm`` in events are the objects ``libx++-…`` and ``a b.rpm``; both are published."""
    place, client, bucket = told
    plus, space = rpms.quick(built, "libx++", arch="x86_64"), rpms.quick(built)
    with place.running():
        until(lambda: place.metric("repod_watcher_up"), 20, "the queue")
        upload(client, bucket, f"incoming/{plus.name}", plus)
        upload(client, bucket, "incoming/a b.rpm", space)
        until(published(place, 2), 30, "both packages")
        until(lambda: not client.list_objects_v2(Bucket=bucket).get("Contents"), 30, "the inbox to be empty")
    assert sorted(place.sound()) == ["hello-1.0-1.noarch", "libx++-1.0-1.x86_64"]
    assert place.metric("repod_found_by_scan_total") == 0


def test_c016_folder_objects_are_no_packages(either: Told, built: Path) -> None:
    """Objects ``incoming/`` and ``incoming/new.rpm/`` of size 0 are ignored, refused by nobody and counted nowhere."""
    place, client, bucket = either
    with place.running():
        until(lambda: place.metric("repod_watcher_up"), 20, "the inbox to be watched")
        for folder in ("incoming/", "incoming/new.rpm/"):
            upload(client, bucket, folder)
        upload(client, bucket, "incoming/new.rpm/hello.rpm", rpms.quick(built))
        until(published(place, 1), 30, "the package in the folder")
        until(lambda: place.metric("repod_inbox_depth") == 0, 30, "the inbox to be empty")
    assert list(place.sound()) == ["hello-1.0-1.noarch"]
    assert place.metric("repod_arrivals_total", result="rejected") == 0
    assert place.log.warned("package rejected") == []
    kept = {item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert kept == {"incoming/", "incoming/new.rpm/"}
