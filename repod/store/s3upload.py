"""Large objects: multipart uploads, in parts side by side, proven whole at their end, or given up.

The parts do not show before the upload is completed, and that is one conditional request. The proof is a CRC-32 of
the whole object: S3 has one of each part, of those it copied itself too, and completes the upload only where they make
up ours. A server that cannot is asked for the bytes afterwards.
"""

import base64
import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from repod import aws
from repod.doors import Expect, Version
from repod.errors import Conflict, Corrupt, NotFound, RepodError
from repod.package import Sha256, StorePath
from repod.store.s3bucket import Head, Objects, metadata
from repod.store.s3parts import Copied, Limits, Sent, even

LIMITS = Limits()
_SIDE_BY_SIDE = 4  # so many blocks lie in memory at once, and one more

Read = Callable[[int, int], bytes]
"""Bytes of the object that is made, from an offset on, so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object that another is a copy of: where it lies, and what S3 told of it."""

    objects: Objects
    path: StorePath
    head: Head


class Uploads:
    """Makes large objects. What a server turns out not to know is not asked of it again."""

    def __init__(self, objects: Objects) -> None:
        """``objects``: where they are made."""
        self._objects = objects
        self._proving = objects.bucket.checksums

    def whole(
        self,
        path: StorePath,
        pieces: Iterable[bytes],
        checksum: Sha256,
        expect: Version | Expect = Expect.ABSENT,
        *,
        again: int = 0,
        block: int = LIMITS.block,
    ) -> None:
        """Make an object of bytes that come one after another, in any pieces, in blocks of one length.

        ``Corrupt`` where they do not have ``checksum``, and nothing is visible.
        """
        with self._begun(path, checksum, again=again) as upload:
            digest, crc, size = hashlib.sha256(), 0, 0
            for data in blocks(pieces, block):
                digest.update(data)
                crc = zlib.crc32(data, crc)
                size += len(data)
                upload.send(data)
            if digest.hexdigest() != checksum:
                msg = f"{path}: expected bytes with SHA-256 {checksum}, got {digest.hexdigest()}; nothing was added"
                raise Corrupt(msg)
            upload.complete(expect, crc, size)

    def planned(self, path: StorePath, parts: Sequence[Copied | Sent], read: Read, checksum: Sha256, crc: int) -> None:
        """Make an object of parts; ``crc`` and ``checksum`` are those of all its bytes.

        ``NotFound`` names a source that is gone; ``Corrupt`` where what is stored is not what it should be;
        ``Unsupported`` where the server does not copy parts.
        """
        with self._begun(path, checksum) as upload:
            for part in parts:
                if isinstance(part, Copied):
                    upload.copy(self._objects.at(part.path), part)
                else:
                    upload.send_later(part, read)
            upload.complete(Expect.ABSENT, crc, sum(part.length for part in parts))

    def copied(
        self,
        source: "Source",
        path: StorePath,
        checksum: Sha256,
        expect: Version | Expect,
        *,
        parts: int = 1,
        again: int = 0,
    ) -> None:
        """Make an object of all bytes of another, in that many parts at least."""
        with self._begun(path, checksum, again=again) as upload:
            head = source.head
            most = min(LIMITS.most, -(-head.size // parts))
            for start, length in even(0, head.size, most):
                part = Copied(path=source.path, offset=start, length=length)
                upload.copy(source.objects.at(source.path), part, {"CopySourceIfMatch": head.version})
            upload.complete(expect, None, head.size)

    @contextlib.contextmanager
    def _begun(self, path: StorePath, checksum: Sha256, *, again: int = 0) -> Iterator["_Upload"]:
        objects = self._objects
        with objects.told("uploading", path):
            made = {**objects.at(path), "Metadata": metadata(checksum, again=again), **objects.described(path)}
            answer = self._created(made)
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
            upload = _Upload(objects, path, answer["UploadId"], checksum, threads, proving=self._proving)
            try:
                yield upload
            except BaseException:
                upload.abort()
                raise

    def _created(self, made: dict[str, Any]) -> Any:
        client = self._objects.client
        if self._proving:
            try:
                return client.create_multipart_upload(**made, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
            except ClientError as error:
                if aws.code(error) not in aws.UNKNOWN_TO_IT:
                    raise
            self._proving = False
        return client.create_multipart_upload(**made)


class _Upload:
    """One upload in hand."""

    def __init__(
        self,
        objects: Objects,
        path: StorePath,
        upload_id: str,
        checksum: Sha256,
        threads: ThreadPoolExecutor,
        *,
        proving: bool,
    ) -> None:
        self._objects = objects
        self._path = path
        self._at: dict[str, Any] = {**objects.at(path), "UploadId": upload_id}
        self._checksum = checksum
        self._threads = threads
        self._proving = proving
        # boto3's clients, unlike its sessions, may be used from several threads at once.
        self._client = objects.client
        self._parts: list[Future[dict[str, Any]]] = []

    def send(self, data: bytes) -> None:
        """Send the next part."""
        self._submit(lambda number: self._sent(number, data))

    def send_later(self, part: Sent, read: Read) -> None:
        """Read and send the next part."""
        self._submit(lambda number: self._sent(number, read(part.start, part.length)))

    def copy(self, source: Any, part: Copied, more: Any = None) -> None:
        """Let S3 take the next part from another object."""
        self._submit(lambda number: self._copied(number, source, part, more or {}))

    def complete(self, expect: Version | Expect, crc: int | None, size: int) -> None:
        """Make the object visible, proven; ``crc``: of all bytes, None where only S3 saw them."""
        parts: Any = [part.result() for part in self._parts]
        proof: Any = (
            {} if crc is None or not self._proving else {"ChecksumCRC32": _crc(crc), "ChecksumType": "FULL_OBJECT"}
        )
        objects = self._objects
        with (
            objects.expecting(self._path, expect) as conditions,
            objects.told("completing the upload of", self._path, writing=True),
        ):
            try:
                answer = self._client.complete_multipart_upload(
                    **self._at, MultipartUpload={"Parts": parts}, **proof, **conditions
                )
            except ClientError as error:
                if aws.code(error) != "NoSuchKey":
                    raise
                raise Conflict(f"{objects.place}{self._path}: it is gone; nothing was added") from error
        version = Version(answer["ETag"])
        if crc is None:
            return self._measure(size)
        if not proof or answer.get("ChecksumCRC32") != _crc(crc):
            self._read_back(version)
        return None

    def abort(self) -> None:
        """Let S3 forget the parts; what cannot be forgotten now is swept later."""
        for part in self._parts:
            part.cancel()
        wait(self._parts)
        with contextlib.suppress(RepodError), self._objects.told("giving up the upload of", self._path):
            self._client.abort_multipart_upload(**self._at)

    def _submit(self, make: Callable[[int], dict[str, Any]]) -> None:
        going = [part for part in self._parts if not part.done()]
        if len(going) >= _SIDE_BY_SIDE:
            wait(going, return_when=FIRST_COMPLETED)
        for part in self._parts:
            if part.done():
                part.result()
        self._parts.append(self._threads.submit(make, len(self._parts) + 1))

    def _sent(self, number: int, data: bytes) -> dict[str, Any]:
        proof: Any = {"ChecksumCRC32": _crc(zlib.crc32(data))} if self._proving else {}
        if not self._objects.bucket.checksums:
            proof = {"ContentMD5": aws.md5(data)}
        with self._objects.told("uploading a part of", self._path):
            answer = self._client.upload_part(**self._at, PartNumber=number, Body=data, **proof)
        return _part(number, answer)

    def _copied(self, number: int, source: Any, part: Copied, more: Any) -> dict[str, Any]:
        span = f"bytes={part.offset}-{part.offset + part.length - 1}"
        with self._objects.told(f"copying into {self._path} from", part.path):
            answer = self._client.upload_part_copy(
                **self._at, PartNumber=number, CopySource=source, CopySourceRange=span, **more
            )
        return _part(number, answer["CopyPartResult"])

    def _measure(self, size: int) -> None:
        with contextlib.suppress(NotFound):
            found = self._objects.head(self._path).size
            if found != size:
                msg = f"{self._path}: expected a copy of {size} bytes, S3 made one of {found}; remove it"
                raise Corrupt(msg)

    def _read_back(self, version: Version) -> None:
        try:
            found, _ = self._objects.digest(self._path, version)
        except (Conflict, NotFound):
            return
        if found != self._checksum:
            with contextlib.suppress(Conflict):
                self._objects.delete(self._path, version)
            msg = f"{self._path}: expected bytes with SHA-256 {self._checksum}, S3 stored {found}; it was removed"
            raise Corrupt(msg)


def blocks(pieces: Iterable[bytes], block: int) -> Iterator[bytes]:
    """The same bytes in blocks of one length, the last of which may be shorter."""
    held = bytearray()
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            room = block - len(held)
            held += rest[:room]
            rest = rest[room:]
            if len(held) == block:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


def _part(number: int, answer: Any) -> dict[str, Any]:
    found = {"PartNumber": number, "ETag": answer["ETag"]}
    return found | ({"ChecksumCRC32": answer["ChecksumCRC32"]} if answer.get("ChecksumCRC32") else {})


def _crc(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
