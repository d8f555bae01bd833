"""A repository in a prefix of a bucket."""

import posixpath
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from repod import aws
from repod.config import Bucket
from repod.errors import NotFound, Unavailable
from repod.values import S3Place

_PIECE = 1 << 20
_ATTEMPTS = 6


class Prefix:
    """Objects below a prefix, under raw hrefs. They are listed once: asking for each of 50,000 takes minutes."""

    def __init__(self, place: S3Place, bucket: Bucket, pause: Callable[[int], None]) -> None:
        """``bucket``: how it is reached; ``pause`` sleeps a little, longer for a higher number of the attempt."""
        self.name = str(place)
        self._place = place
        self._bucket = bucket
        self._clients = aws.Clients(bucket)
        self._pause = pause
        self._lock = threading.Lock()
        self._listed: dict[str, int] | None = None

    def size(self, href: str) -> int:
        """See ``Source.size``."""
        key = self._key(href)
        found = self._sizes().get(key)
        if found is None:
            raise NotFound(f"s3://{self._place.bucket}/{key} is not there")
        return found

    def open(self, href: str) -> Iterator[bytes]:
        """See ``Source.open``. What breaks off is carried on where it stopped."""
        key, done, etag = self._key(href), 0, ""
        what = f"s3://{self._place.bucket}/{key} cannot be read"
        for attempt in range(_ATTEMPTS):
            more: dict[str, Any] = {"Range": f"bytes={done}-", "IfMatch": etag} if done else {}
            try:
                with aws.told(self._clients, what):
                    answer = self._clients.s3().get_object(Bucket=self._place.bucket, Key=key, **more)
                etag = answer["ETag"]
                while piece := answer["Body"].read(_PIECE):
                    done += len(piece)
                    yield piece
            except (BotoCoreError, ClientError, OSError) as error:
                problem = error
                self._pause(attempt)
            else:
                return
        raise Unavailable(f"{what}: broke off {_ATTEMPTS} times ({problem}); try again later")

    def below(self, base: str) -> "Prefix":
        """See ``Own.below``."""
        prefix = posixpath.normpath(f"/{self._place.prefix}{base}").lstrip("/")
        return Prefix(replace(self._place, prefix=f"{prefix}/" if prefix else ""), self._bucket, self._pause)

    def path(self, _href: str) -> None:
        """No local file."""

    def _key(self, href: str) -> str:
        return self._place.prefix + href.lstrip("/")

    def _sizes(self) -> dict[str, int]:
        with self._lock:
            if self._listed is None:
                with aws.told(self._clients, f"{self._place} cannot be listed"):
                    pages = self._clients.s3().get_paginator("list_objects_v2")
                    found = pages.paginate(Bucket=self._place.bucket, Prefix=self._place.prefix)
                    self._listed = {one["Key"]: one["Size"] for page in found for one in page.get("Contents", ())}
            return self._listed
