"""The objects below a prefix of a bucket, one request at a time; every error is one of repod's.

Each object tells the SHA-256 of its bytes in its metadata: an ETag is not a checksum (it is none of an
object in several parts, or encrypted with KMS), and is used as a version only.
"""

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from repod import aws
from repod.config import Bucket
from repod.doors import Expect, Version
from repod.errors import Conflict, Corrupt, NotFound
from repod.numerals import number
from repod.package import Sha256, StorePath, store_path
from repod.served import served
from repod.store.s3lease import LEASE, Lease
from repod.values import S3Place

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

PIECE = 1 << 20
"""The longest piece of a stream."""

PROOFS = ".repod/proof/"
_SHA256, _STAMP, _AGAIN = "sha256", "write", "again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What S3 tells of an object. ``modified`` is seconds since 1970, to one second; ``age`` by S3's own clock.

    ``sha256``: of its bytes, by the checksum that S3 keeps or else by the metadata that we gave it; empty where
    there is neither. ``again``: how often it was added again. ``stamp``: of the write that made it.
    """

    size: int
    version: Version
    modified: float
    age: float
    sha256: str
    again: int
    stamp: str

    @property
    def in_parts(self) -> bool:
        """Whether it was made of parts, as its ETag tells."""
        return "-" in self.version


class Objects:
    """The objects below one prefix. Threads may share it."""

    def __init__(self, place: S3Place, bucket: Bucket) -> None:
        """``bucket``: how it is reached. Nothing is asked of it yet."""
        self.place = place
        self.bucket = bucket
        self.clients = aws.Clients(bucket)
        self.lease = Lease.of(self.clients, place) if bucket.single_writer else None

    @property
    def client(self) -> "S3Client":
        """This thread's client."""
        return self.clients.s3()

    def at(self, path: StorePath) -> dict[str, Any]:
        """Bucket and key of an object; ``ValueError`` where the path is not proven, or is the store's own."""
        store_path(path).encode()
        if own(path):
            msg = f"not an object but the store's own: {path!r}"
            raise ValueError(msg)
        return {"Bucket": self.place.bucket, "Key": self.place.prefix + path}

    def told(
        self, doing: str, path: StorePath | str, *, writing: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        """Turns errors of what is done to the object into repod's."""
        return aws.told(self.clients, f"{doing} {self.place}{path}", writing=writing)

    def described(self, path: StorePath) -> dict[str, Any]:
        """How a new object is kept and served: headers of any request that makes one, but its metadata."""
        how, bucket = served(path), self.bucket
        headers = {"ContentType": how.type, "CacheControl": how.cache}
        if bucket.storage_class and how.immutable:
            headers["StorageClass"] = bucket.storage_class
        if bucket.encryption:
            headers["ServerSideEncryption"] = bucket.encryption
        if bucket.kms_key and bucket.encryption.startswith("aws:kms"):
            headers["SSEKMSKeyId"] = bucket.kms_key
        return headers

    def head(self, path: StorePath) -> Head:
        """What S3 tells of an object; ``NotFound``."""
        asked: dict[str, Any] = {"ChecksumMode": "ENABLED"} if self.bucket.checksums else {}
        with self.told("looking at", path):
            answer = self.client.head_object(**self.at(path), **asked)
        metadata, modified = answer["Metadata"], answer["LastModified"].timestamp()
        proven = "" if answer.get("ChecksumType") == "COMPOSITE" else answer.get("ChecksumSHA256", "")
        sha256 = _hex(proven) if proven and "-" not in proven else metadata.get(_SHA256, "")
        again = metadata.get(_AGAIN, "")
        return Head(
            size=answer["ContentLength"],
            version=Version(answer["ETag"]),
            modified=modified,
            age=aws.server_time(answer) - modified,
            sha256=sha256,
            again=number(again) or 0,
            stamp=metadata.get(_STAMP, ""),
        )

    def get(self, path: StorePath) -> tuple[bytes, Version]:
        """All bytes of a small object and its version; ``NotFound``. Asked again where the connection breaks."""
        left = self.bucket.attempts
        with self.told("reading", path):
            while True:
                left -= 1
                try:
                    answer = self.client.get_object(**self.at(path))
                    return answer["Body"].read(), Version(answer["ETag"])
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    if not left:
                        raise

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Pieces of an object, of 1 MiB each but the last; ``NotFound``. Carried on where the connection breaks."""
        wanted: dict[str, Any] = {}
        end = "" if length is None else offset + length - 1
        if length == 0:
            self.head(path)
            return
        for left in reversed(range(self.bucket.attempts)):
            if offset or length is not None:
                wanted["Range"] = f"bytes={offset}-{end}"
            with self.told("reading", path):
                try:
                    answer = self.client.get_object(**self.at(path), **wanted)
                    wanted["IfMatch"] = answer["ETag"]
                    while piece := answer["Body"].read(PIECE):
                        yield piece
                        offset += len(piece)
                except ClientError as error:
                    if aws.code(error) == "InvalidRange":
                        return
                    raise
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    if not left:
                        raise
                else:
                    return

    def digest(self, path: StorePath, version: Version) -> tuple[Sha256, int]:
        """SHA-256 of the stored bytes, read back, and how many; ``Unavailable`` where it changed while it was read."""
        digest, size = hashlib.sha256(), 0
        with self.told("reading", path):
            answer = self.client.get_object(**self.at(path), IfMatch=version)
            while piece := answer["Body"].read(PIECE):
                digest.update(piece)
                size += len(piece)
        return Sha256(digest.hexdigest()), size

    @contextmanager
    def expecting(self, path: StorePath, expect: Version | Expect) -> Iterator[dict[str, Any]]:
        """Headers by which S3 refuses a change of an object whose state is not the expected one.

        Where S3 cannot (``single_writer``), the state is compared here, while nobody else can change it.
        """
        if self.lease is None:
            yield conditions(expect)
            return
        with self.lease.held():
            if expect is not Expect.ANY:
                found: Version | Expect = Expect.ABSENT
                with contextlib.suppress(NotFound):
                    found = self.head(path).version
                if found != expect:
                    msg = f"{self.place}{path}: it is not as expected any more; read it and try again"
                    raise Conflict(msg)
            yield {}

    def put(
        self, path: StorePath, data: bytes, expect: Version | Expect, *, stamp: str = "", again: int = 0
    ) -> Version:
        """Create or replace an object in one request, its bytes proven; its version.

        ``Conflict`` where the state is not the expected one; ``OutcomeUnknown``.
        """
        digest = hashlib.sha256(data)
        with (
            self.expecting(path, expect) as conditions,
            self.told("writing", path, writing=True),
        ):
            try:
                answer = self.client.put_object(
                    **self.at(path),
                    Body=data,
                    Metadata=metadata(Sha256(digest.hexdigest()), stamp=stamp, again=again),
                    **self.described(path),
                    **self.proof(data, digest.digest()),
                    **conditions,
                )
            except ClientError as error:
                if aws.code(error) != "NoSuchKey":
                    raise
                msg = f"{self.place}{path}: expected version {expect}, found nothing; read it and try again"
                raise Conflict(msg) from error
        version = Version(answer["ETag"])
        if answer.get("ChecksumSHA256") != base64.b64encode(digest.digest()).decode():
            self._read_back(path, version, Sha256(digest.hexdigest()), expect)
        return version

    def proof(self, data: bytes, sha256: bytes) -> dict[str, Any]:
        """The header by which S3 checks bytes that it gets."""
        if self.bucket.checksums:
            return {"ChecksumSHA256": base64.b64encode(sha256).decode()}
        return {"ContentMD5": aws.md5(data)}

    def _read_back(self, path: StorePath, version: Version, checksum: Sha256, expect: Version | Expect) -> None:
        try:
            found, _ = self.digest(path, version)
        except (Conflict, NotFound):
            return  # it was replaced since, so it is not ours to judge
        if found == checksum:
            return
        if expect is Expect.ABSENT:
            self.delete(path, version)
        msg = f"{self.place}{path}: expected bytes with SHA-256 {checksum}, S3 stored {found}"
        raise Corrupt(msg)

    def delete(self, path: StorePath, expect: Version | Expect) -> None:
        """Remove an object; ``Conflict`` where its state is not the expected one."""
        with self.expecting(path, expect) as conditions, self.told("removing", path, writing=True):
            self.client.delete_object(**self.at(path), **conditions)


def own(path: str) -> bool:
    """Whether ``path`` is one of the store's own, which are no objects of it."""
    return path == LEASE or path.startswith(PROOFS)


def conditions(expect: Version | Expect) -> dict[str, Any]:
    """The headers of a request that is to change an object only in the expected state."""
    if expect is Expect.ABSENT:
        return {"IfNoneMatch": "*"}
    return {} if expect is Expect.ANY else {"IfMatch": expect}


def metadata(checksum: Sha256, *, stamp: str = "", again: int = 0) -> dict[str, str]:
    """What an object tells of itself; see ``Head``."""
    found: dict[str, str] = {_SHA256: checksum}
    if stamp:
        found[_STAMP] = stamp
    if again:
        found[_AGAIN] = str(again)
    return found


def new_stamp() -> str:
    """A stamp that no other write has."""
    return secrets.token_hex(8)


def _hex(checksum: str) -> str:
    return base64.b64decode(checksum).hex()
