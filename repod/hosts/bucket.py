"""Objects in buckets, read with the credentials that botocore finds on this host.

botocore knows them all: environment, profiles, SSO, web identity, containers, instances (IMDSv2). It
refreshes them, finds a bucket's region, signs, and tries again with jitter where S3 fails.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from repod.hosts.explain import STALE, code, explained, status
from repod.hosts.faults import Fault, NoCredentials
from repod.hosts.place import Target
from repod.hosts.settings import Settings

PASSED_BACK = (
    "Accept-Ranges",
    "Cache-Control",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
)
_PIECE = 1 << 18
_ATTEMPTS = 4
_RESUMES = 5
_RENEWAL = 5.0  # seconds between two searches for credentials where there are none, or wrong ones
_NOT_MODIFIED, _NOT_SO, _NO_RANGE = 304, 412, 416
_FAILURES = (BotoCoreError, ClientError, OSError)


@dataclass(frozen=True)
class Answer:
    """What S3 said. ``body`` yields the bytes; it may raise ``Fault``; closing it lets the connection go."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]


class Buckets:
    """Reads objects. Threads may share it."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is looked for yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Any = None
        self._searched = -_RENEWAL
        self._missing: Fault | None = None
        self.identity = "nobody"

    def get(self, target: Target, headers: Mapping[str, str], *, head: bool = False) -> Answer:
        """The object as a request with ``headers`` (Range and conditions) gets it; ``Fault`` where it does not."""
        wanted = _parameters(headers)
        try:
            return self._asked(target, wanted, head=head)
        except ClientError as error:
            if status(error) == _NOT_SO and "Range" in wanted:  # If-Range: another object by now, so all of it
                return self._told(target, {}, head=head)
            if status(error) in {_NOT_MODIFIED, _NO_RANGE}:
                found = error.response["ResponseMetadata"]["HTTPHeaders"]
                kept = {name: value for name, value in _kept(found).items() if not name.startswith("Content-L")}
                return Answer(status(error), kept, iter(()))
            if code(error) in STALE and self.renew():
                return self._told(target, wanted, head=head)
            raise explained(error, str(target), self.identity) from error
        except _FAILURES as error:
            raise explained(error, str(target), self.identity) from error

    def renew(self) -> bool:
        """Look for credentials anew at the next request; False where that was done a moment ago."""
        with self._lock:
            if time.monotonic() - self._searched < _RENEWAL:
                return False
            self._client = None
            return True

    def client(self) -> Any:
        """A client of botocore with credentials; ``NoCredentials`` where there are none."""
        with self._lock:
            if self._client is None:
                if self._missing is not None and time.monotonic() - self._searched < _RENEWAL:
                    raise self._missing
                self._searched = time.monotonic()
                try:
                    self._client, self._missing = self._made(), None
                except (BotoCoreError, Fault) as error:
                    self._missing = explained(error, "S3", "") if isinstance(error, BotoCoreError) else error
                    raise self._missing from error
            return self._client

    def _made(self) -> Any:
        settings = self._settings
        session = botocore.session.Session(profile=settings.profile or None)
        # dnf, yum and zypper check every digest themselves. By name, since older versions have no such option.
        session.set_config_variable("response_checksum_validation", "when_required")
        credentials = session.get_credentials()
        if credentials is None:
            msg = (
                "S3: no credentials on this host: no environment variables, profile, container or instance role; "
                "give it a role, or set profile in repod-s3.conf"
            )
            raise NoCredentials(msg)
        self.identity = f"{credentials.method} {credentials.get_frozen_credentials().access_key}"
        return session.create_client(
            "s3",
            region_name=settings.region or None,
            endpoint_url=settings.endpoint or None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": settings.addressing},  # type: ignore[arg-type,unused-ignore]
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                connect_timeout=5,
                read_timeout=30,
                max_pool_connections=256,
                user_agent_extra="repod-s3",
            ),
        )

    def _told(self, target: Target, wanted: Mapping[str, Any], *, head: bool) -> Answer:
        try:
            return self._asked(target, wanted, head=head)
        except _FAILURES as error:
            raise explained(error, str(target), self.identity) from error

    def _asked(self, target: Target, wanted: Mapping[str, Any], *, head: bool) -> Answer:
        client = self.client()
        found = (client.head_object if head else client.get_object)(Bucket=target.bucket, Key=target.key, **wanted)
        said = found["ResponseMetadata"]
        body = iter(()) if head else self._pieces(target, found)
        return Answer(said["HTTPStatusCode"], _kept(said["HTTPHeaders"]), body)

    def _pieces(self, target: Target, found: Mapping[str, Any]) -> Iterator[bytes]:
        """The bytes of an answer; where S3 breaks off, what is missing of the same object is asked for."""
        begin, end = _extent(found)
        resumes = 0
        body = found["Body"]
        try:
            while begin < end:
                try:
                    piece = body.read(min(_PIECE, end - begin))
                    if not piece:
                        msg = f"{end - begin} bytes missing"
                        raise ConnectionError(msg)
                except _FAILURES as error:
                    body.close()
                    resumes += 1
                    if resumes > _RESUMES:
                        raise explained(error, str(target), self.identity) from error
                    body = self._rest(target, begin, end, found["ETag"])
                    continue
                begin += len(piece)
                yield piece
        finally:
            body.close()

    def _rest(self, target: Target, begin: int, end: int, etag: str) -> Any:
        try:
            return self.client().get_object(
                Bucket=target.bucket, Key=target.key, Range=f"bytes={begin}-{end - 1}", IfMatch=etag
            )["Body"]
        except _FAILURES as error:
            raise explained(error, str(target), self.identity) from error


def _extent(found: Mapping[str, Any]) -> tuple[int, int]:
    """The first byte of an answer and the one after its last, in the object."""
    begin = 0
    if "ContentRange" in found:
        begin = int(found["ContentRange"].partition(" ")[2].partition("-")[0])
    return begin, begin + int(found["ContentLength"])


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name.lower()] for name in PASSED_BACK if name.lower() in headers}


def _parameters(headers: Mapping[str, str]) -> dict[str, Any]:
    """Range and conditions of a request as botocore's parameters; a date that is none is no condition (RFC 9110)."""
    wanted: dict[str, Any] = {}
    if headers.get("If-None-Match"):
        wanted["IfNoneMatch"] = headers["If-None-Match"]
    elif since := _date(headers.get("If-Modified-Since")):
        wanted["IfModifiedSince"] = since
    same = headers.get("If-Range", "")
    if headers.get("Range"):
        wanted["Range"] = headers["Range"]
        if same.startswith('"'):
            wanted["IfMatch"] = same
        elif since := _date(same):
            wanted["IfUnmodifiedSince"] = since
        elif same:  # a weak validator, or none: never the same
            del wanted["Range"]
    return wanted


def _date(text: str | None) -> Any:
    try:
        return email.utils.parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError):
        return None
