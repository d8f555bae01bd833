"""Whether a bucket keeps what the store promises; and what interrupted uploads left in it."""

import contextlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from repod import aws
from repod.errors import Conflict, Misconfigured, NotFound, OutcomeUnknown, RepodError
from repod.store.s3bucket import PROOFS, Objects

_NO_SUCH_VERSION = '"00000000000000000000000000000000"'
_TRIES = 3
_REFUSED = {"PreconditionFailed", "412", "ConditionalRequestConflict"}


def prove(objects: Objects) -> bool:
    """Try all conditional requests on an object of our own; tells whether a copy keeps off what is there.

    ``Misconfigured`` where S3 ignores one. Where a single writer is set, its lease is taken instead.
    """
    if objects.lease:
        with objects.lease.held():
            return False
    for _ in range(_TRIES - 1):
        # Nobody else knows the object, so a conflict is our own write, whose answer was lost: another one tells.
        with contextlib.suppress(Conflict, OutcomeUnknown):
            return _proven(objects)
    return _proven(objects)


def _proven(objects: Objects) -> bool:
    client = objects.client
    at: dict[str, Any] = {
        "Bucket": objects.place.bucket,
        "Key": f"{objects.place.prefix}{PROOFS}{secrets.token_hex(8)}",
    }
    body = {"Body": b"repod", **_proof(objects)}
    absent: dict[str, Any] = {"IfNoneMatch": "*"}
    other: dict[str, Any] = {"IfMatch": _NO_SUCH_VERSION}
    source: Any = at
    what = f"{objects.place}: trying conditional writes at"
    with aws.told(objects.clients, what):
        client.put_object(**at, **body, **absent)
    tries: dict[str, Callable[[], object]] = {
        "PutObject with If-None-Match": lambda: client.put_object(**at, **body, **absent),
        "PutObject with If-Match": lambda: client.put_object(**at, **body, **other),
        "DeleteObject with If-Match": lambda: client.delete_object(**at, **other),
        "CopyObject": lambda: client.copy_object(**at, CopySource=source, MetadataDirective="REPLACE", **absent),
    }
    try:
        with ThreadPoolExecutor(len(tries)) as threads:
            refused = dict(zip(tries, threads.map(_refuses(objects, what), tries.values()), strict=True))
    finally:
        with contextlib.suppress(RepodError), aws.told(objects.clients, what):
            client.delete_object(**at)
    guarded = refused.pop("CopyObject")
    ignored = [name for name, kept in refused.items() if not kept]
    if ignored:
        msg = (
            f"{objects.place}: expected a server that keeps conditional writes, found one that ignores "
            f"{', '.join(ignored)}; with several writers packages would be lost: for one writer alone "
            "set [s3] single_writer = true"
        )
        raise Misconfigured(msg)
    return guarded


def _refuses(objects: Objects, what: str) -> Callable[[Callable[[], object]], bool]:
    """Whether a request that S3 must refuse is refused; one that it does not know keeps nothing."""

    def refuses(request: Callable[[], object]) -> bool:
        try:
            with aws.told(objects.clients, what):
                try:
                    request()
                except ClientError as error:
                    if aws.code(error) not in _REFUSED:
                        raise
                    return True
        except (aws.Unsupported, NotFound):  # not there: the removal beside it was not refused
            return False
        return False

    return refuses


def _proof(objects: Objects) -> dict[str, Any]:
    return {} if objects.bucket.checksums else {"ContentMD5": aws.md5(b"repod")}


def sweep(objects: Objects, age: timedelta) -> int:
    """Abort the uploads below the prefix that began longer ago than ``age``, and remove proofs as old; how many."""
    before = datetime.now(UTC) - age
    return _sweep_proofs(objects, before) + _sweep_uploads(objects, before)


def _sweep_proofs(objects: Objects, before: datetime) -> int:
    """The objects of who was stopped while a bucket was tried."""
    client, swept = objects.client, 0
    place: dict[str, Any] = {"Bucket": objects.place.bucket}
    with aws.told(objects.clients, f"removing old proofs below {objects.place}"):
        pages = client.get_paginator("list_objects_v2").paginate(**place, Prefix=f"{objects.place.prefix}{PROOFS}")
        for one in [one for page in pages for one in page.get("Contents", ()) if one["LastModified"] < before]:
            client.delete_object(**place, Key=one["Key"])
            swept += 1
    return swept


def _sweep_uploads(objects: Objects, before: datetime) -> int:
    client, swept = objects.client, 0
    with aws.told(objects.clients, f"listing uploads below {objects.place}"):
        try:
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=objects.place.bucket, Prefix=objects.place.prefix
            )
            found = [one for page in pages for one in page.get("Uploads", ()) if one["Initiated"] < before]
        except ClientError as error:
            if aws.code(error) in aws.UNKNOWN_TO_IT | {"MethodNotAllowed", "BucketAlreadyOwnedByYou"}:
                return 0
            raise
    for one in found:
        with contextlib.suppress(RepodError), aws.told(objects.clients, f"giving up the upload of {one['Key']}"):
            client.abort_multipart_upload(Bucket=objects.place.bucket, Key=one["Key"], UploadId=one["UploadId"])
            swept += 1
    return swept
