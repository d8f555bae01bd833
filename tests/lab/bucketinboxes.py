"""Inboxes in buckets for tests: SeaweedFS holds the objects, moto the queue."""

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from repod.config import Bucket
from repod.inbox.bucket import BucketInbox
from repod.inbox.prefix import REJECTED
from repod.inbox.queue import Receiver
from repod.values import S3Place
from tests.lab.inboxes import Lines, Time, wanted
from tests.lab.queues import Moto
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.wait import until

VISIBILITY = 30.0


def reach(s3: Seaweed, queues: Moto | None = None, **more: Any) -> Bucket:
    """The settings with which both servers are reached."""
    queue = {"queue_endpoint": queues.endpoint} if queues else {}
    return Bucket(endpoint=s3.endpoint, region=REGION, addressing="path", **queue, **more)


@contextmanager
def credentials(s3: Seaweed) -> Iterator[None]:
    """The key of the server in the environment of this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environ.items():
            if not name.startswith("AWS_ENDPOINT"):
                patch.setenv(name, value)
        yield


class Messages:
    """Counts what becomes of messages."""

    def __init__(self) -> None:
        self.count = Counter[str]()

    def __call__(self, result: str) -> None:
        self.count[result] += 1


class BucketPlace:
    """An inbox on a new prefix of a new bucket, without a queue, or with one: then each upload is told of."""

    def __init__(self, s3: Seaweed, queues: Moto | None = None, *, ahead: int = 300, **settings: Any) -> None:
        self.clock = Time()
        self.log = Lines()
        self.client = s3.client()
        self.bucket = s3.bucket()
        self.prefix = f"{secrets.token_hex(4)}/el9-prod/"
        self.place = S3Place(bucket=self.bucket, prefix=self.prefix)
        self.messages = Messages()
        self.queues = queues
        self.url = queues.queue() if queues else ""
        self.reach = reach(s3, queues)
        visibility = settings.get("visibility", VISIBILITY)
        self.receiver = self._receiver(visibility, ahead) if queues else None
        given = {"scan_interval": 0.2, "list_interval": 60.0, "visibility": visibility}
        self.inbox = BucketInbox(
            self.place, self.reach, receiver=self.receiver, log=self.log, wanted=wanted, **given | settings
        )
        if self.receiver:
            self.receiver.start()
            until(lambda: self.receiver.up, 20, "the queue to answer")

    def _receiver(self, visibility: float, ahead: int) -> Receiver:
        # A poll that a closed receiver leaves behind costs moto a core for as long as it takes.
        return Receiver(
            self.url, self.reach, visibility=visibility, ahead=ahead, poll=1, log=self.log, count=self.messages
        )

    def upload(self, name: str, data: bytes) -> str:
        """Put an object and tell nobody; its ETag."""
        etag: str = self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data)["ETag"]
        return etag

    def put(self, name: str, data: bytes, *, earlier: float = 0.0) -> None:
        """Put an object; where there is a queue this returns when it was heard of."""
        assert not earlier, "S3 says when an object came"
        self.upload(name, data)
        if self.queues:
            self.tell(name)

    def tell(self, *names: str) -> None:
        """Tell of objects in one message, and wait until it was received."""
        assert self.queues
        before = self._heard(names)
        self.queues.tell(self.url, self.bucket, *(self.prefix + name for name in names))
        until(lambda: self._heard(names) > before, 30, "the message to be received")

    def _heard(self, names: Sequence[str]) -> int:
        feed = self.inbox._feed
        assert feed
        return sum(len(feed.told_of(name)) for name in names) + self.messages.count["unrelated"]

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)

    def lying(self) -> dict[str, bytes]:
        return {name: data for name, data in self._objects().items() if not name.startswith(REJECTED)}

    def rejected(self) -> dict[str, bytes]:
        return {name.removeprefix(REJECTED): d for name, d in self._objects().items() if name.startswith(REJECTED)}

    def _objects(self) -> dict[str, bytes]:
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix):
            for item in page.get("Contents", ()):
                body = self.client.get_object(Bucket=self.bucket, Key=item["Key"])["Body"]
                found[item["Key"].removeprefix(self.prefix)] = body.read()
        return found

    def break_it(self) -> None:
        os.environ["AWS_SECRET_ACCESS_KEY"] = "wrong"
        self.inbox._prefix.clients.renew()

    def close(self) -> None:
        self.inbox.close()
        if self.receiver:
            self.receiver.close()
