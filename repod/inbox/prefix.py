"""The objects of an inbox in a bucket, each request about them, and the clock of the server that holds them."""

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from repod import aws
from repod.config import Bucket
from repod.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from repod.inbox.names import shown
from repod.values import S3Place

REJECTED = "rejected/"
"""Where, below the prefix, refused arrivals go; nothing there is an arrival."""

_PIECE = 1 << 20
_TRIES = 5  # in a row, without a byte between them
_HONOURED = {"412", "PreconditionFailed", "404", "NoSuchKey", "409", "ConditionalRequestConflict"}
_UNSUPPORTED = {"501", "NotImplemented", "400", "InvalidArgument", "InvalidRequest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One state of an object. ``name`` is its key below the prefix, raw; ``modified`` seconds since 1970, as S3 says.

    ``version`` is its version id where the bucket is versioned and a request told it, else empty.
    """

    name: str
    size: int
    etag: str
    modified: float
    version: str = ""

    @property
    def mark(self) -> str:
        """What tells this state from any other."""
        return f"{self.etag} {self.version}"


class Prefix:
    """All objects below a prefix. Threads may share it."""

    def __init__(self, place: S3Place, bucket: Bucket) -> None:
        """``bucket``: how it is reached. Nothing is asked of it yet."""
        self.place = place
        self._bucket = bucket
        self.clients = aws.Clients(bucket)
        self._server_ahead = time.time() - time.monotonic()
        self._conditional: bool | None = None

    def now(self) -> float:
        """Seconds since 1970 by the clock of the server, as its last answer told it."""
        return self._server_ahead + time.monotonic()

    def list(self, below: str = "") -> Iterator[Object]:
        """Every object whose name begins with ``below``, refused ones too; ``Unavailable`` rather than fewer."""
        with self.told("", "cannot be listed"):
            pages = self.clients.s3().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=self.place.prefix + below):
                self._heard(page)
                for found in page.get("Contents", ()):
                    yield Object(
                        name=found["Key"].removeprefix(self.place.prefix),
                        size=found["Size"],
                        etag=found["ETag"],
                        modified=found["LastModified"].timestamp(),
                    )

    def look(self, name: str) -> Object | None:
        """The present state of one object; None where there certainly is none."""
        found = self.head(name)
        if found is None:
            return None
        return Object(
            name=name,
            size=found["ContentLength"],
            etag=found["ETag"],
            modified=found["LastModified"].timestamp(),
            version=found.get("VersionId", ""),
        )

    def head(self, name: str) -> Mapping[str, Any] | None:
        """All that S3 says of an object."""
        with contextlib.suppress(NotFound), self.told(name, "cannot be read"):
            answer: Any = self.clients.s3().head_object(**self.at(name))
            self._heard(answer)
            found: Mapping[str, Any] = answer
            return found
        return None

    def pieces(self, name: str, mark: str, size: int) -> Iterator[bytes]:
        """The bytes of exactly this state, whole, or an error; where the answer breaks off, the rest is asked for.

        ``Conflict`` where it is another state now, ``NotFound`` where it is gone.
        """
        at, tries = 0, 0
        while at < size or not tries:
            tries += 1
            try:
                for piece in self._from(at, name, mark, size):
                    at += len(piece)
                    tries = 1
                    yield piece
            except Unavailable:
                if tries >= _TRIES or at >= size:
                    raise
            if at < size and tries >= _TRIES:
                raise Unavailable(f"{self.place}{shown(name)} cannot be read: its bytes end at {at} of {size}")

    def _from(self, at: int, name: str, mark: str, size: int) -> Iterator[bytes]:
        etag, _, version = mark.partition(" ")
        part: dict[str, Any] = {"Range": f"bytes={at}-"} if at else {}
        with self.told(name, "cannot be read"):
            answer = self.clients.s3().get_object(**self.at(name), IfMatch=etag, **part)
            told = answer.get("VersionId", "")
            with contextlib.closing(answer["Body"]) as body:
                if answer["ContentLength"] != size - at or (version and told not in {"", version}):
                    raise Conflict(f"{shown(name)} changed after it was seen; it is looked at again")
                while piece := body.read(_PIECE):
                    yield piece

    def delete(self, name: str, mark: str) -> bool:
        """Delete an object in exactly this state; False where it is in another one, or gone.

        In a versioned bucket that hides it and removes no version: what lay there before does not come back.
        """
        etag = mark.partition(" ")[0]
        state: dict[str, Any] = {}
        if self._honours_conditions():
            state = {"IfMatch": etag}
        else:
            found = self.look(name)
            if found is None or found.etag != etag:
                return False
        try:
            with self.told(name, "may or may not have been removed", writing=True):
                answer = self.clients.s3().delete_object(**self.at(name), **state)
        except (Conflict, NotFound):
            return False
        except OutcomeUnknown:
            # It was asked more than once: then the refusal of the last time may come of what the first one did.
            found = self.look(name)
            if found is not None and found.etag == etag:
                raise
            return found is None
        if self._bucket.endpoint and answer.get("DeleteMarker") and self._hid_another(name, etag):
            # Amazon compares and hides in one step; servers that do it in two may hide what came between them.
            with self.told(name, "came while its last state was removed, and may be hidden", writing=True):
                self.clients.s3().delete_object(**self.at(name), VersionId=answer["VersionId"])
            return False
        return True

    def _hid_another(self, name: str, etag: str) -> bool:
        """Whether the newest version of an object, hidden or not, is in another state."""
        key = self.place.prefix + name
        with self.told(name, "has versions that cannot be listed"):
            found = self.clients.s3().list_object_versions(Bucket=self.place.bucket, Prefix=key)
        newest = next((version for version in found.get("Versions", ()) if version["Key"] == key), None)
        return newest is not None and newest["ETag"] != etag

    def _honours_conditions(self) -> bool:
        """Whether deleting takes a condition, asked once with an object that is not there."""
        if self._conditional is None:
            nothing = f"{REJECTED}.repod-{secrets.token_hex(8)}"
            with self.told(nothing, "could not be asked whether deleting takes a condition", writing=True):
                try:
                    self.clients.s3().delete_object(**self.at(nothing), IfMatch='"00000000000000000000000000000000"')
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code not in _HONOURED | _UNSUPPORTED:
                        raise
                    self._conditional = code in _HONOURED
                else:
                    self._conditional = False
        return self._conditional

    def at(self, name: str) -> Any:
        """The arguments that name an object."""
        return {"Bucket": self.place.bucket, "Key": self.place.prefix + name}

    def encrypted(self) -> Any:
        """The arguments that say how a new object is encrypted."""
        more = {"ServerSideEncryption": self._bucket.encryption, "SSEKMSKeyId": self._bucket.kms_key}
        return {key: value for key, value in more.items() if value}

    @contextlib.contextmanager
    def told(self, name: str, what: str, *, writing: bool = False) -> Iterator[None]:
        """See ``aws.told``."""
        with aws.told(self.clients, f"{self.place}{shown(name)} {what}", writing=writing):
            yield

    def _heard(self, answer: Any) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        with contextlib.suppress(ValueError, TypeError):
            self._server_ahead = parsedate_to_datetime(date).timestamp() - time.monotonic()
