"""S3, SQS, EC2, SSM ...: clients made of settings, shared by a few threads each, and what their errors mean.

boto3 takes 0.25 s to import, so nothing imports this module before a bucket is in use.
"""

import base64
import contextlib
import hashlib
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    FlexibleChecksumError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from repod.config import Bucket
from repod.errors import Conflict, Corrupt, Misconfigured, NotFound, OutcomeUnknown, RepodError, Unavailable

if TYPE_CHECKING:
    from types_boto3_ec2.client import EC2Client
    from types_boto3_s3.client import S3Client
    from types_boto3_sqs.client import SQSClient
    from types_boto3_ssm.client import SSMClient

CONNECT_SECONDS = 5
_SERVER_ERROR = 500
_LONGEST_POLL = 20  # seconds for which SQS holds back an empty answer
_SEATS = 8
"""Threads that share one client, which takes 0.3 to 1 MiB; boto3 promises that they may."""
_POOL = 4 * _SEATS  # connections that one client keeps: the parts of a large object go side by side
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_SKEWED = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_ABSENT = {"404", "NoSuchKey", "NotFound"}
_BAD = {"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "InvalidDigest"}
_LOST = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_DENIED = {"403", "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden"}
# As EC2 and SSM say it.
_DENIED |= {"AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "UnrecognizedClientException"}
_DENIED |= {"InvalidClientTokenId", "InvalidSignatureException"}
_WRONG = {"InvalidParameterValue", "InvalidFilterKey", "InvalidInstanceInformationFilterValue", "ValidationException"}

_ELSEWHERE = {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_GONE = "NoSuchUpload"
# What servers answer that do not know a header or a request; it was not done.
UNKNOWN_TO_IT = {"InvalidArgument", "InvalidRequest", "NotImplemented", "MalformedTrailerError", "InvalidTrailer"}
UNKNOWN_TO_IT |= {"UnsupportedArgument", "MissingContentMD5", "InvalidPart", "InvalidPartOrder"}

# Making a session or a client reads shared state of botocore: two threads at once raise KeyError (boto/boto3#1592).
_making = threading.Lock()
_limit = threading.local()


class Unsupported(Unavailable):
    """The server does not know the request, or something in it; it was not done."""


class TooLate(Unavailable):
    """A request was not sent, because too much time had passed since what it was decided on."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Send requests to S3 of this thread only so long; after that, also between tries, they are ``TooLate``.

    The time counts while the machine sleeps too, and it is looked at after the signature is made: one
    that was stopped later still sends a signature of that time, which S3 refuses 15 minutes on.
    """
    before: float = getattr(_limit, "end", math.inf)
    _limit.end = min(before, time.clock_gettime(time.CLOCK_BOOTTIME) + seconds)
    try:
        yield
    finally:
        _limit.end = before


def _in_time(**_: object) -> None:
    if time.clock_gettime(time.CLOCK_BOOTTIME) > getattr(_limit, "end", math.inf):
        msg = "too much time passed since this was decided, so nothing was sent; it is decided anew at the next try"
        raise TooLate(msg)


class _Made:
    """What was made of one bucket's settings: the session, and the seats at clients that no living thread has now."""

    def __init__(self, bucket: Bucket) -> None:
        self.epoch = 0
        self._bucket = bucket
        self._session: boto3.session.Session | None = None
        self._free: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        self._local = threading.local()
        # Held here too: one that the garbage collector found unreachable loses its inner weak
        # references even where it is taken back.
        self._kept: list[Any] = []

    def renew(self) -> None:
        with _making:
            self.epoch += 1
            self._session = None
            self._kept = []
            # Who comes from now on finds its own: the environment may not be what it was.
            for key in [key for key, made in _all_made.items() if made is self]:
                del _all_made[key]

    def client(self, service: str) -> Any:
        """The client at which this thread has its seat, whichever place it works for."""
        known: dict[str, _Held] = self._local.__dict__
        held = known.get(service)
        if held is None or held.epoch != self.epoch:
            held = known[service] = self._taken(service)
        return held.client

    def _taken(self, service: str) -> "_Held":
        free = self._free[service]
        with _making:
            # Asked within: of threads that come at one time, one makes what the others share.
            with contextlib.suppress(IndexError):
                while True:
                    epoch, client = free.pop()
                    if epoch == self.epoch:
                        return _Held(client, epoch, free)
            try:
                client = self._made(service)
            except (BotoCoreError, ValueError) as error:
                msg = f"no client for {service} can be made of the settings ({error}); see region and profile there"
                raise Misconfigured(msg) from error
            free += [(self.epoch, client)] * (_SEATS - 1)
            return _Held(client, self.epoch, free)

    def _made(self, service: str) -> Any:
        bucket = self._bucket
        endpoint = bucket.endpoint if service == "s3" else bucket.queue_endpoint
        client = self._opened().client(  # type: ignore[call-overload]
            service, endpoint_url=endpoint or None, config=_config(bucket, service)
        )
        client.meta.events.register("before-send.s3", _in_time)
        self._kept.append(client)
        return client

    def credentials(self) -> str:
        try:
            with _making:
                found = self._opened().get_credentials()
        except BotoCoreError as error:
            msg = f"credentials cannot be looked for ({error}); see profile in the settings"
            raise Misconfigured(msg) from error
        return found.method if found else ""

    def _opened(self) -> boto3.session.Session:
        if self._session is None:
            profile, region = self._bucket.profile, self._bucket.region
            self._session = boto3.session.Session(profile_name=profile or None, region_name=region or None)
        return self._session


class _Held:
    """A thread's seat at a client; when the thread ends, the next new one takes it over."""

    def __init__(self, client: Any, epoch: int, free: list[tuple[int, Any]]) -> None:
        self.client = client
        self.epoch = epoch
        self._free = free

    def __del__(self) -> None:
        self._free.append((self.epoch, self.client))


# The first client of a session takes 130 ms to make, each further one 5 to 16 ms; a daemon has many places.
# Shared by who has the same settings and the same environment, which boto3 reads. Weakly: who opens everything anew,
# as on SIGHUP, reads the credentials anew too.
_all_made = WeakValueDictionary[tuple[Bucket, frozenset[tuple[str, str]]], _Made]()


class Clients:
    """The clients for one bucket, or one queue: of each kind one for every few living threads.

    A thread has the same one with all ``Clients`` of the same settings, and the next thread takes its seat over.
    """

    def __init__(self, bucket: Bucket) -> None:
        """``bucket``: how it is reached."""
        self.bucket = bucket
        around = frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
        with _making:
            self._made = _all_made.setdefault((bucket, around), _Made(bucket))

    def s3(self) -> "S3Client":
        """This thread's S3 client."""
        client: S3Client = self._client("s3")
        return client

    def sqs(self) -> "SQSClient":
        """This thread's SQS client."""
        client: SQSClient = self._client("sqs")
        return client

    def ec2(self) -> "EC2Client":
        """This thread's EC2 client."""
        client: EC2Client = self._client("ec2")
        return client

    def ssm(self) -> "SSMClient":
        """This thread's SSM client."""
        client: SSMClient = self._client("ssm")
        return client

    def other(self, service: str) -> Any:
        """This thread's client of another service, by its name; it is reached as queues are."""
        return self._client(service)

    def renew(self) -> None:
        """Read the credentials anew: those that were found are not valid any more."""
        self._made.renew()

    def credentials(self) -> str:
        """What boto3 finds to sign with: ``env``, ``shared-credentials-file``, ``iam-role`` ...; empty for nothing.

        ``Misconfigured`` where it cannot look.
        """
        return self._made.credentials()

    def _client(self, service: str) -> Any:
        return self._made.client(service)


def _config(bucket: Bucket, service: str) -> Config:
    checks: Literal["when_supported", "when_required"] = "when_supported" if bucket.checksums else "when_required"
    return Config(
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": bucket.addressing},
        retries={"mode": "standard", "total_max_attempts": bucket.attempts},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=max(bucket.timeout, _LONGEST_POLL + CONNECT_SECONDS) if service == "sqs" else bucket.timeout,
        max_pool_connections=_POOL,
        request_checksum_calculation=checks,
        response_checksum_validation=checks,
        tcp_keepalive=True,
        user_agent_extra="repod",
    )


def code(error: ClientError) -> str:
    """The error's code, as S3 names it."""
    return str(error.response.get("Error", {}).get("Code", ""))


def denied(error: ClientError) -> bool:
    """Whether it says that who asks may not."""
    return code(error) in _DENIED


@contextlib.contextmanager
def asked_by_settings() -> Iterator[None]:
    """Inside, outside of ``told``: what AWS says is no request that it takes is a fault of the settings."""
    try:
        yield
    except Unavailable as error:
        if isinstance(error.__cause__, ClientError) and code(error.__cause__) in _WRONG:
            raise Misconfigured(f"{error}; correct the filters in the settings") from error
        raise


def server_time(answer: Any) -> float:
    """Seconds since 1970 by the clock of the server that gave the answer; ``Unavailable`` where it does not tell."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError as error:
        msg = f"the S3 server gives no time: expected a header Date, found {date!r}"
        raise Unavailable(msg) from error


def md5(data: bytes) -> str:
    """The header Content-MD5."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def retried(answer: Any) -> bool:
    """Whether an answer, or an error's answer, was not the first to its request: an earlier one may have done it."""
    return bool(answer.get("ResponseMetadata", {}).get("RetryAttempts"))


@contextlib.contextmanager
def told(clients: Clients, what: str, *, writing: bool = False) -> Iterator[None]:
    """Turn errors of AWS into repod's. ``what``: ``reading s3://bucket/key``, say.

    ``writing``: where no answer came, it may or may not have been done, and so it is where the answer is
    that the state is another one, but to a second try: the first may have made it so. Both are ``OutcomeUnknown``.
    """
    try:
        yield
    except ClientError as error:
        raise _answered(clients, what, error, writing=writing) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        clients.renew()
        msg = f"{what}: no credentials ({error}); give a role, environment variables or a profile"
        raise Unavailable(msg) from error
    except FlexibleChecksumError as error:
        msg = f"{what}: the bytes that came are not those of the checksum that S3 keeps ({error})"
        raise Corrupt(msg) from error
    except (ReadTimeoutError, ConnectionClosedError, HTTPClientError) as error:
        raise _unanswered(f"{what}: no answer ({error})", unknown=writing) from error
    except ResponseParserError as error:
        # A page of HTML, say, of something that stands between: no error of botocore's own kind.
        raise _unanswered(f"{what}: an answer that is none of AWS ({error})", unknown=writing) from error
    except BotoCoreError as error:
        raise Unavailable(f"{what} ({error})") from error


def _unanswered(what: str, *, unknown: bool) -> Unavailable:
    return OutcomeUnknown(f"{what}; it may or may not have been done: read it back") if unknown else Unavailable(what)


def _answered(clients: Clients, what: str, error: ClientError, *, writing: bool) -> RepodError:
    name, message = code(error), error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if name in _EXPIRED:
        clients.renew()
    again = writing and (name == _GONE or (name in _LOST and retried(error.response)))
    if again or (writing and status >= _SERVER_ERROR and name not in UNKNOWN_TO_IT):
        return _unanswered(f"{what} ({name or status}: {message})", unknown=True)
    kinds: tuple[tuple[set[str], type[RepodError], str], ...] = (
        (_ABSENT, NotFound, "it is not there"),
        (_LOST | {_GONE}, Conflict, "it is not as expected any more; read it and try again"),
        (_BAD, Corrupt, f"S3 got other bytes than the checksum says ({name}: {message}){_hint(clients)}"),
        (_EXPIRED, Unavailable, f"the credentials have expired ({name}); they are read anew at the next try"),
        (_SKEWED, Unavailable, _skew(error)),
        (_DENIED, Unavailable, f"refused ({name}: {message}); see the policies in config/iam"),
        ({"NoSuchBucket"}, Unavailable, "there is no such bucket; make it, or correct the place in the settings"),
        (_ELSEWHERE, Unavailable, f"the bucket lies in another region ({message}); set [s3] region"),
        (UNKNOWN_TO_IT, Unsupported, f"the server does not know it ({name}: {message}){_hint(clients)}"),
    )
    for names, kind, text in kinds:
        if (name or str(status)) in names:
            return kind(f"{what}: {text}")
    return Unavailable(f"{what} ({name or status}: {message})")


def _hint(clients: Clients) -> str:
    if not clients.bucket.checksums:
        return ""
    return "; where the server does not know the newer checksums of S3, set [s3] checksums = false"


def _skew(error: ClientError) -> str:
    date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    with contextlib.suppress(ValueError, TypeError):
        seconds = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
        return f"this machine's clock is {seconds:+.0f} s from that of S3; set it (NTP)"
    return "this machine's clock is wrong for S3; set it (NTP)"
