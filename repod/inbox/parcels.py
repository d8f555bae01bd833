"""Uploads into a prefix of a bucket: gathered in a private file here, then sent as one object."""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from repod import aws
from repod.config import Bucket
from repod.errors import Conflict
from repod.inbox.names import Wanted, left_alone
from repod.inbox.prefix import Prefix
from repod.inbox.staging import Room, Staging, unwritten
from repod.letterbox import Expect
from repod.values import S3Place

PART = 16 << 20
"""Bytes that are sent at once; what is longer goes in parts."""

_PROOFS = ("ETag", "ChecksumCRC32")


class BucketLetterbox:
    """``Letterbox`` of a prefix of a bucket."""

    def __init__(
        self,
        place: S3Place,
        bucket: Bucket,
        *,
        workspace: Path,
        limit: int,
        wanted: Wanted,
        knock: Callable[[], None],
        part: int = PART,
    ) -> None:
        """``workspace``: a private folder. ``knock`` wakes who waits for arrivals."""
        self.limit = limit
        self._prefix = Prefix(place, bucket)
        self._workspace = workspace
        self._wanted = wanted
        self._knock = knock
        self._part = part
        self._room = Room(workspace)

    def refuses(self, name: str) -> str:
        """See ``Letterbox``."""
        return left_alone(name, folder=False, wanted=self._wanted)

    def open(self, name: str, size: int | None) -> "_Parcel":
        """See ``Letterbox``."""
        try:
            with tempfile.TemporaryFile(dir=self._workspace) as file:
                staging = Staging(os.dup(file.fileno()), self._room, size)
        except OSError as error:
            raise unwritten(error) from error
        return _Parcel(self._prefix, name, staging, self._knock, self._part)


class _Parcel:
    """``Letter`` into a bucket."""

    def __init__(self, prefix: Prefix, name: str, staging: Staging, knock: Callable[[], None], part: int) -> None:
        self._prefix = prefix
        self._name = name
        self._staging = staging
        self._knock = knock
        self._part = part

    def write(self, data: bytes) -> None:
        self._staging.write(data)

    def deliver(self, expect: Expect) -> str:
        with open(self._staging.file, "rb", closefd=False) as file:
            for name in _names(self._name):
                if self._prefix.look(name) is not None:
                    continue
                expect(name)
                with suppress(Conflict):
                    self._send(name, file)
                    self._knock()
                    return name
        raise AssertionError  # there is no last name

    def close(self) -> None:
        self._staging.close()

    def _send(self, name: str, file: BinaryIO) -> None:
        """Make the object; ``Conflict`` where the name is taken."""
        send = self._whole if self._staging.size <= self._part else self._in_parts
        what = "may or may not have been uploaded"
        try:
            with self._prefix.told(name, what, writing=True):
                send(name, file, {"IfNoneMatch": "*"})
        except aws.Unsupported:
            # Without conditions two uploads of one name at the same moment cannot be told apart.
            with self._prefix.told(name, what, writing=True):
                send(name, file, {})

    def _whole(self, name: str, file: BinaryIO, state: Any) -> None:
        file.seek(0)
        self._prefix.clients.s3().put_object(
            **self._prefix.at(name),
            **self._prefix.encrypted(),
            **state,
            Body=file,
            ContentLength=self._staging.size,
            ContentType="application/x-rpm",
        )

    def _in_parts(self, name: str, file: BinaryIO, state: Any) -> None:
        client, at = self._prefix.clients.s3(), self._prefix.at(name)
        upload = client.create_multipart_upload(**at, **self._prefix.encrypted(), ContentType="application/x-rpm")
        at |= {"UploadId": upload["UploadId"]}
        file.seek(0)
        try:
            parts: list[Any] = []
            while data := file.read(self._part):
                proof: Any = {} if self._prefix.clients.bucket.checksums else {"ContentMD5": aws.md5(data)}
                sent: Any = client.upload_part(**at, PartNumber=len(parts) + 1, Body=data, **proof)
                parts.append({key: sent[key] for key in _PROOFS if key in sent} | {"PartNumber": len(parts) + 1})
            client.complete_multipart_upload(**at, MultipartUpload={"Parts": parts}, **state)
        except BaseException:
            with suppress(Exception):
                client.abort_multipart_upload(**at)
            raise


def _names(name: str) -> Iterator[str]:
    """``NAME``, then names like it that nobody else has."""
    yield name
    while True:
        yield f"{secrets.token_hex(4)}-{name}"
