"""Sends a file into a prefix of a bucket as one object: whole, or in parts side by side; or nothing of it stays.

Whoever knows the SHA-256 of the file gives it: then S3 proves each request by its SHA-256, and keeps that of the file
with the object.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from repod import aws
from repod.errors import Corrupt
from repod.inbox.prefix import Prefix

PART = 16 << 20
"""Bytes that are sent at once; what is longer goes in parts."""

SHA256 = "repod-sha256"
"""Under which key of its metadata an object says what the SHA-256 of its bytes is."""

_MOST_PARTS = 10_000
_PROOFS = ("ETag", "ChecksumSHA256", "ChecksumCRC32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent: the first ``size`` bytes of the open ``file``, which must have the SHA-256 ``checksum``.

    Where that is empty it is not looked at. ``sent`` hears how many more bytes are there, from several threads.
    """

    file: int
    size: int
    checksum: str = ""
    sent: Callable[[int], object] = lambda _: None


class Sending:
    """Sends into one prefix. Threads may share it."""

    def __init__(self, prefix: Prefix, *, part: int = PART, side_by_side: int = 1) -> None:
        """``part``: see ``PART``; so many of them lie in memory and are sent ``side_by_side``."""
        self._prefix = prefix
        self._part = part
        self._side_by_side = side_by_side

    def send(self, name: str, load: Load) -> None:
        """Make the object. ``Conflict`` where the name is taken, ``Corrupt`` where the file has other bytes."""
        try:
            self._send(name, load, {"IfNoneMatch": "*"})
        except aws.Unsupported:
            # Without conditions two uploads of one name at the same moment cannot be told apart.
            self._send(name, load, {})

    def _send(self, name: str, load: Load, state: Any) -> None:
        upload = self._whole if load.size <= self._part else self._in_parts
        with self._prefix.told(name, "may or may not have been uploaded", writing=True):
            upload(name, load, state)

    def _kept(self, load: Load) -> Any:
        described = {"Metadata": {SHA256: load.checksum}} if load.checksum else {}
        return {**self._prefix.encrypted(), **described, "ContentType": "application/x-rpm"}

    def _whole(self, name: str, load: Load, state: Any) -> None:
        data = os.pread(load.file, load.size, 0)
        proof: Any = self._proof(data) if load.checksum else {}
        _same(hashlib.sha256(data).hexdigest(), load, name)
        self._prefix.clients.s3().put_object(
            **self._prefix.at(name), **self._kept(load), **state, **proof, Body=data, ContentLength=load.size
        )
        load.sent(load.size)

    def _in_parts(self, name: str, load: Load, state: Any) -> None:
        client, at = self._prefix.clients.s3(), self._prefix.at(name)
        how: Any = {"ChecksumAlgorithm": "SHA256"} if load.checksum and self._checks else {}
        at |= {"UploadId": client.create_multipart_upload(**at, **self._kept(load), **how)["UploadId"]}
        parts: list[Future[Any]] = []
        try:
            with ThreadPoolExecutor(self._side_by_side) as threads:
                try:
                    self._submit(name, load, at, parts, threads)
                    made: Any = [part.result() for part in parts]
                except BaseException:
                    threads.shutdown(cancel_futures=True)
                    raise
            client.complete_multipart_upload(**at, MultipartUpload={"Parts": made}, **state)
        except BaseException:
            with suppress(Exception):
                client.abort_multipart_upload(**at)
            raise

    def _submit(self, name: str, load: Load, at: Any, parts: "list[Future[Any]]", threads: ThreadPoolExecutor) -> None:
        # boto3's clients, unlike its sessions, may be used from several threads at once.
        client = self._prefix.clients.s3()

        def part(number: int, data: bytes) -> Any:
            proof: Any = self._proof(data) if load.checksum or not self._checks else {}
            answer: Any = client.upload_part(**at, PartNumber=number, Body=data, **proof)
            load.sent(len(data))
            return {key: answer[key] for key in _PROOFS if key in answer} | {"PartNumber": number}

        hasher = hashlib.sha256()
        for number, data in enumerate(self._pieces(load), 1):
            hasher.update(data)
            parts.append(threads.submit(part, number, data))
            self._make_room(parts)
        _same(hasher.hexdigest(), load, name)

    def _pieces(self, load: Load) -> Iterator[bytes]:
        part = max(self._part, -(-load.size // _MOST_PARTS))
        for first in range(0, load.size, part):
            yield os.pread(load.file, min(part, load.size - first), first)

    @property
    def _checks(self) -> bool:
        """Whether the server knows the newer checksums of S3."""
        return self._prefix.clients.bucket.checksums

    def _proof(self, data: bytes) -> Any:
        """What lets S3 refuse other bytes than these."""
        if not self._checks:
            return {"ContentMD5": aws.md5(data)}
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(data).digest()).decode()}

    def _make_room(self, parts: "list[Future[Any]]") -> None:
        """Wait until another part may be read; raise what one that ended raised."""
        going = [part for part in parts if not part.done()]
        if len(going) >= self._side_by_side:
            wait(going, return_when=FIRST_COMPLETED)
        for part in parts:
            if part.done():
                part.result()


def _same(found: str, load: Load, name: str) -> None:
    if load.checksum and found != load.checksum:
        expected = f"expected bytes with SHA-256 {load.checksum}, read {found}"
        raise Corrupt(f"{name}: {expected}: it changes while it is sent; send it again")
