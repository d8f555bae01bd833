"""The lease of a single writer, for S3 servers that ignore conditional writes.

``.repod/lease.json`` says who may write to a repository. All times are those of S3's own clock: of the
object's Last-Modified and of the Date of answers; how long our own lease holds is counted from before the request
that wrote it, on a clock that runs while the machine sleeps. A lease holds for as long as the longest request can
take, and once more; nothing is written when less is left of it than a request can take, so a
writer that stalls past its lease writes nothing more.

Two that take a free lease at once: both write it, wait until the other's look at the free lease must be over,
and read whose stayed. That is right as long as no request takes longer than its time-outs allow: a server without
conditional writes offers no more.
"""

import atexit
import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from repod import aws, jsontext
from repod.doors import Clock
from repod.errors import NotFound, RepodError, Unavailable
from repod.values import S3Place

LEASE = ".repod/lease.json"
_SETTLE = 2.0  # seconds after which two that took a free lease at once look whose it is
_TRIES = 4  # a lease holds for as long as so many tries of a request
_making = threading.Lock()
_leases: dict[tuple[S3Place, str], "Lease"] = {}


class Lease:
    """This process's lease on one repository. Threads share it, and take turns in what it guards."""

    def __init__(self, clients: aws.Clients, place: S3Place, now: Clock | None = None) -> None:
        """``Lease.of`` is who makes one: there is one per process and repository.

        ``now``: seconds of a clock that runs while the machine sleeps.
        """
        self._now = now or _now
        bucket = clients.bucket
        self._clients = clients
        self._place = place
        self._try = bucket.timeout + aws.CONNECT_SECONDS
        self._seconds = _TRIES * self._try
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._turn = threading.RLock()
        self._until = 0.0

    @classmethod
    def of(cls, clients: aws.Clients, place: S3Place) -> "Lease":
        """The lease of this process on the repository at ``place``."""
        with _making:
            key = place, clients.bucket.endpoint
            if key not in _leases:
                _leases[key] = cls(clients, place)
                atexit.register(_leases[key].give_back)
            return _leases[key]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes while this lasts; ``Unavailable`` says who holds the lease, and until when."""
        with self._turn:
            if self._left() < self._seconds / 2:
                self._take()
            with aws.within(self._left() - self._try):
                yield

    def give_back(self) -> None:
        """Let others write at once, where this process holds the lease."""
        with self._turn, contextlib.suppress(RepodError):
            if self._left() > 0 and self._read()[0] == self._owner:
                self._until = 0.0
                with self._told("giving back"):
                    self._clients.s3().delete_object(**self._at())

    def _left(self) -> float:
        return self._until - self._now()

    def _take(self) -> None:
        owner, until, now = self._read()
        fresh = self._left() <= 0 or owner != self._owner
        if owner not in {"", self._owner} and until > now:
            at = datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S UTC")
            msg = (
                f"{self._place}: {owner} is its single writer, by a lease until {at} ({until - now:.0f} s); "
                "stop that one, or wait until then ([s3] single_writer)"
            )
            raise Unavailable(msg)
        began = self._now()
        if not fresh:
            self._write()
        else:
            with aws.within(_SETTLE / 2):
                self._write()
            if self._now() - began > _SETTLE / 2:
                msg = f"{self._place}: S3 was too slow for the lease to be sure; try again in {self._seconds:.0f} s"
                raise Unavailable(msg)
            time.sleep(_SETTLE)
            found = self._read()[0]
            if found != self._owner:
                msg = f"{self._place}: {found or 'nobody'} took the lease at the same time; try again later"
                raise Unavailable(msg)
        self._until = began + self._seconds

    def _read(self) -> tuple[str, float, float]:
        """Who holds the lease ("" for nobody), until when, and what time it is, by the server's clock."""
        with self._told("reading"):
            try:
                answer = self._clients.s3().get_object(**self._at())
                data = answer["Body"].read()
            except ClientError as error:
                if aws.code(error) != "NoSuchKey":
                    raise
                return "", 0.0, 0.0
        try:
            found = jsontext.loads(data)
            owner, seconds = str(found["owner"]), float(found["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            msg = (
                f"{self._place}{LEASE}: expected a lease, found {data[:80]!r}; remove it if no other repod writes there"
            )
            raise Unavailable(msg) from error
        return owner, answer["LastModified"].timestamp() + seconds, aws.server_time(answer)

    def _write(self) -> None:
        data = json.dumps({"owner": self._owner, "seconds": self._seconds}).encode()
        with self._told("writing"):
            self._clients.s3().put_object(
                **self._at(), Body=data, ContentType="application/json", CacheControl="no-cache", **self._proof(data)
            )

    def _proof(self, data: bytes) -> dict[str, Any]:
        return {} if self._clients.bucket.checksums else {"ContentMD5": aws.md5(data)}

    def _at(self) -> dict[str, Any]:
        return {"Bucket": self._place.bucket, "Key": self._place.prefix + LEASE}

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        what = f"{doing} the lease {self._place}{LEASE}"
        try:
            with aws.told(self._clients, what):
                yield
        except NotFound as error:
            raise Unavailable(str(error)) from error


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
