"""S3 and SQS: clients made of settings, one per thread, and what their errors mean.

boto3 takes 0.25 s to import, so nothing imports this module before a bucket is in use.
"""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)

from repod.config import Bucket
from repod.errors import Conflict, Misconfigured, NotFound, OutcomeUnknown, RepodError, Unavailable

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_sqs.client import SQSClient

_CONNECT_SECONDS = 5
_SERVER_ERROR = 500
_POOL = 4  # connections that one thread's client keeps
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_SKEWED = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_ABSENT = {"404", "NoSuchKey", "NotFound"}
_LOST = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_DENIED = {"403", "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden"}

# Making a session reads shared state of botocore: two threads at once raise KeyError (boto/boto3#1592).
_making = threading.Lock()


class Clients:
    """The clients for one bucket, or one queue, one of each kind per thread."""

    def __init__(self, bucket: Bucket) -> None:
        """``bucket``: how it is reached."""
        self._bucket = bucket
        self._local = threading.local()
        self._epoch = 0
        self._session: boto3.session.Session | None = None

    def s3(self) -> "S3Client":
        """This thread's S3 client."""
        client: S3Client = self._client("s3")
        return client

    def sqs(self) -> "SQSClient":
        """This thread's SQS client."""
        client: SQSClient = self._client("sqs")
        return client

    def renew(self) -> None:
        """Read the credentials anew: those that were found are not valid any more."""
        with _making:
            self._epoch += 1
            self._session = None

    def credentials(self) -> str:
        """What boto3 finds to sign with: ``env``, ``shared-credentials-file``, ``iam-role`` ...; empty for nothing.

        ``Misconfigured`` where it cannot look.
        """
        try:
            with _making:
                found = self._opened().get_credentials()
        except BotoCoreError as error:
            msg = f"[s3]: credentials cannot be looked for ({error}); see config/repod.toml"
            raise Misconfigured(msg) from error
        return found.method if found else ""

    def _client(self, service: str) -> Any:
        known: dict[str, tuple[int, Any]] = self._local.__dict__.setdefault("clients", {})
        epoch, client = known.get(service, (-1, None))
        if epoch != self._epoch:
            with _making:
                epoch = self._epoch
                client = self._made(service)
            known[service] = (epoch, client)
        return client

    def _made(self, service: str) -> Any:
        bucket = self._bucket
        endpoint = bucket.endpoint if service == "s3" else bucket.queue_endpoint
        try:
            return self._opened().client(  # type: ignore[call-overload]
                service, endpoint_url=endpoint or None, config=_config(bucket, service)
            )
        except (BotoCoreError, ValueError) as error:
            msg = f"[s3]: no client for {service} can be made of the settings ({error}); see config/repod.toml"
            raise Misconfigured(msg) from error

    def _opened(self) -> boto3.session.Session:
        # Another client of a session takes 16 ms, another session 130 ms.
        if self._session is None:
            bucket = self._bucket
            self._session = boto3.session.Session(
                profile_name=bucket.profile or None, region_name=bucket.region or None
            )
        return self._session


def _config(bucket: Bucket, service: str) -> Config:
    checks: Literal["when_supported", "when_required"] = "when_supported" if bucket.checksums else "when_required"
    return Config(
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": bucket.addressing},
        retries={"mode": "standard", "total_max_attempts": bucket.attempts},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=bucket.timeout,
        max_pool_connections=_POOL,
        request_checksum_calculation=checks,
        response_checksum_validation=checks,
        tcp_keepalive=True,
        user_agent_extra="repod",
    )


def retried(answer: Any) -> bool:
    """Whether an answer, or an error's answer, was not the first to its request: an earlier one may have done it."""
    return bool(answer.get("ResponseMetadata", {}).get("RetryAttempts"))


@contextlib.contextmanager
def told(clients: Clients, what: str, *, writing: bool = False) -> Iterator[None]:
    """Turn errors of S3 and SQS into repod's. ``what``: ``s3://bucket/key could not be read``, say.

    ``writing``: where no answer came, it may or may not have been done: ``OutcomeUnknown``.
    """
    try:
        yield
    except ClientError as error:
        raise _answered(clients, what, error, writing=writing) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        clients.renew()
        msg = f"{what}: no credentials ({error}); give the daemon a role, environment variables or a profile"
        raise Unavailable(msg) from error
    except (ReadTimeoutError, ConnectionClosedError, HTTPClientError) as error:
        raise (OutcomeUnknown if writing else Unavailable)(f"{what}: no answer ({error})") from error
    except BotoCoreError as error:
        raise Unavailable(f"{what} ({error})") from error


def _answered(clients: Clients, what: str, error: ClientError, *, writing: bool) -> RepodError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = error.response.get("Error", {}).get("Message", "")
    if code in _ABSENT:
        return NotFound(f"{what}: it is not there")
    if code in _LOST:
        return Conflict(f"{what}: it is not as expected any more; read it and try again")
    if code in _EXPIRED:
        clients.renew()
        return Unavailable(f"{what}: the credentials have expired ({code}); they are read anew at the next try")
    if code in _SKEWED:
        return Unavailable(f"{what}: {_skew(error)}")
    if code in _DENIED:
        return Unavailable(f"{what}: refused ({code}: {message}); see the policies in config/iam")
    unknown = writing and status >= _SERVER_ERROR
    return (OutcomeUnknown if unknown else Unavailable)(f"{what} ({code or status}: {message})")


def _skew(error: ClientError) -> str:
    date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    with contextlib.suppress(ValueError, TypeError):
        seconds = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
        return f"this machine's clock is {seconds:+.0f} s from that of S3; set it (NTP)"
    return "this machine's clock is wrong for S3; set it (NTP)"
