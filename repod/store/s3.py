"""A repository in a prefix of a bucket.

The version of an object is its ETag. Who writes says which one it expects, and S3 lets exactly one of
several writers have it (``If-Match``, ``If-None-Match``).
"""

import base64
import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from repod import aws
from repod.config import Bucket
from repod.doors import Blob, Expect, Extent, Part, Store, Stored, Version
from repod.errors import Conflict, Corrupt, NotFound
from repod.package import Sha256, StorePath, store_path
from repod.values import S3Place

_PIECE = 1 << 20


class S3Store:
    """``Store`` in a bucket. Threads and processes, on any machines, may share it."""

    def __init__(self, place: S3Place, bucket: Bucket) -> None:
        """``bucket``: how it is reached. Nothing is asked of it yet."""
        self._place = place
        self._clients = aws.Clients(bucket)

    def read(self, path: StorePath) -> Blob:
        """See ``Store.read``."""
        with self._told(path, "cannot be read"):
            answer = self._clients.s3().get_object(Bucket=self._place.bucket, Key=self._key(path))
            return Blob(data=answer["Body"].read(), version=Version(answer["ETag"]))

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ``Store.stream``."""
        if length == 0:
            return
        end = "" if length is None else offset + length - 1
        with self._told(path, "cannot be read"):
            try:
                answer = self._clients.s3().get_object(
                    Bucket=self._place.bucket, Key=self._key(path), Range=f"bytes={offset}-{end}"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == "InvalidRange":
                    return
                raise
            while piece := answer["Body"].read(_PIECE):
                yield piece

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        """See ``Store.write``."""
        more: dict[str, Any] = {}
        if expect is Expect.ABSENT:
            more["IfNoneMatch"] = "*"
        elif expect is not Expect.ANY:
            more["IfMatch"] = expect
        with self._told(path, "may or may not have been written", writing=True):
            try:
                answer = self._clients.s3().put_object(
                    Bucket=self._place.bucket, Key=self._key(path), Body=data, ChecksumSHA256=_base64(data), **more
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    msg = f"{path}: expected version {expect}, found nothing; read it and try again"
                    raise Conflict(msg) from error
                raise
        return Version(answer["ETag"])

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        """See ``Store.add``."""
        data = b"".join(self._part(part) for part in parts)
        if hashlib.sha256(data).hexdigest() != checksum:
            msg = f"{path}: expected bytes with SHA-256 {checksum}, got others; nothing was added"
            raise Corrupt(msg)
        with contextlib.suppress(NotFound):
            there = self.read(path).data
            if there != data:
                found = hashlib.sha256(there).hexdigest()
                msg = f"{path}: expected nothing or SHA-256 {checksum}, found {found}; it stays as it is"
                raise Conflict(msg)
        self.write(path, data, Expect.ANY)

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        """See ``Store.copy``."""
        self.add(target, (of or self).stream(source), checksum)

    def list(self, prefix: str) -> Iterable[Stored]:
        """See ``Store.list``."""
        with self._told(prefix, "cannot be listed"):
            pages = self._clients.s3().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._place.bucket, Prefix=self._place.prefix + prefix):
                for found in page.get("Contents", ()):
                    with contextlib.suppress(ValueError):
                        yield Stored(
                            path=store_path(found["Key"].removeprefix(self._place.prefix)),
                            size=found["Size"],
                            modified=found["LastModified"].timestamp(),
                            version=found["ETag"],
                        )

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        """See ``Store.remove``."""
        more: dict[str, Any] = {"IfMatch": seen.version} if seen else {}
        with self._told(path, "may or may not have been removed", writing=True):
            try:
                self._clients.s3().delete_object(Bucket=self._place.bucket, Key=self._key(path), **more)
            except ClientError as error:
                if error.response["Error"]["Code"] != "PreconditionFailed":
                    raise
                return False
        return True

    def sweep(self) -> int:
        """See ``Store.sweep``."""
        return 0

    def prove(self) -> None:
        """See ``Store.prove``."""

    def _key(self, path: StorePath) -> str:
        return self._place.prefix + store_path(path)

    def _told(self, path: str, what: str, *, writing: bool = False) -> contextlib.AbstractContextManager[None]:
        return aws.told(self._clients, f"{self._place}{path} {what}", writing=writing)

    def _part(self, part: Part) -> bytes:
        match part:
            case bytes():
                return part
            case Extent():
                return b"".join(self.stream(part.path, part.offset, part.length))
            case Path():
                return part.read_bytes()


def _base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
