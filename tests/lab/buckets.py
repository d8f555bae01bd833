"""Stores in new buckets of a real S3 server, and what lies in them."""

from collections.abc import Callable
from typing import Any

import pytest

from repod.config import Bucket
from repod.store.s3 import S3Store
from repod.values import S3Place
from tests.lab.seaweed import Seaweed

PREFIX = "a prefix/of+its~own/"


class Buckets:
    """Makes stores; ``server`` is what they lie in."""

    def __init__(self, server: Seaweed, moto: Callable[[], str]) -> None:
        """``moto`` gives the URL of a moto server."""
        self.server = server
        self._moto = moto

    def settings(self, **own: Any) -> Bucket:
        """How a bucket is reached; ``own``: what is other than usual, such as ``endpoint``."""
        given = {"endpoint": self.server.endpoint, "addressing": "path", "timeout": 60} | own
        return Bucket.model_validate(given)

    def place(self) -> S3Place:
        """A prefix of a new bucket."""
        return S3Place(bucket=self.server.bucket(), prefix=PREFIX)

    def store(self, place: S3Place | None = None, **own: Any) -> S3Store:
        """A store; see ``settings``."""
        return S3Store(place or self.place(), self.settings(**own))

    def of_moto(self) -> S3Store:
        """A store in a new bucket of moto: never to prove what several writers see."""
        endpoint = self._moto()
        place = self.place()
        self.server.client(endpoint).create_bucket(Bucket=place.bucket)
        return self.store(place, endpoint=endpoint)

    def head(self, place: S3Place, path: str) -> Any:
        """What the server tells of an object."""
        return self.server.client().head_object(Bucket=place.bucket, Key=place.prefix + path)


def in_environment(server: Seaweed, moto: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Buckets:
    """``Buckets`` of a server, whose keys are in the environment of this test."""
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return Buckets(server, moto)
