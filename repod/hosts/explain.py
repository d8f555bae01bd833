"""What an error of S3 or botocore means for who reads the log of a host: one line with a remedy."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from repod.hosts.faults import Absent, Fault, NoCredentials, Refused, Unreachable

_WITHOUT_CREDENTIALS = (
    ConfigNotFound,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
STALE = {"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired"}
"""Codes after which other credentials of this host, read anew, may do."""

_REMEDIES = {
    "RequestTimeTooSkewed": "set the clock of this host",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: correct the credentials of this host",
    "AuthorizationHeaderMalformed": "set region in repod-s3.conf to the region of the bucket",
    "PermanentRedirect": "set region in repod-s3.conf to the region of the bucket",
    **dict.fromkeys(STALE, "S3 does not know these credentials, or no longer: renew those of this host"),
}
_ALLOW = (
    "allow this identity s3:GetObject below the prefix, and s3:ListBucket on the bucket, "
    "without which S3 says so of objects that do not exist, too"
)
_DENIED = 403
_MISSING = 404
_FAILED = 500


def explained(error: Exception, what: str, identity: str) -> Fault:
    """The fault that tells ``error``. ``what``: the object; ``identity``: who asked for it."""
    if isinstance(error, ClientError):
        return _answered(error, what, identity)
    if isinstance(error, _WITHOUT_CREDENTIALS):
        return NoCredentials(
            f"{what}: no credentials to sign with ({_line(error)}); "
            "give this host a role, or set profile in repod-s3.conf; try: repod-s3 check"
        )
    if isinstance(error, (BotoCoreError, OSError)):
        return Unreachable(f"{what}: S3 cannot be reached ({_line(error)}); look at network, endpoint and HTTPS_PROXY")
    return Unreachable(f"{what}: {type(error).__name__}: {_line(error)}")


def code(error: ClientError) -> str:
    """What S3 calls the error; the status where an answer has no body, as to HEAD."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status(error: ClientError) -> int:
    """The HTTP status of the answer; 0 where there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(error: ClientError, what: str, identity: str) -> Fault:
    name = code(error)
    if status(error) == _MISSING:
        return Absent(f"{what}: not there" + (": no such bucket" if name == "NoSuchBucket" else ""))
    if status(error) == _DENIED or name in _REMEDIES:
        return Refused(f"{what}: S3 refused {identity} ({name}); {_REMEDIES.get(name, _ALLOW)}")
    advice = "it is tried again by who asks again" if status(error) >= _FAILED else "look at endpoint and addressing"
    return Unreachable(f"{what}: S3 answered {status(error)} ({name or _line(error)}); {advice}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
