"""What a message of a queue says of objects: S3's own form, the same within SNS, and EventBridge's.

Forms: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from repod import jsontext
from repod.errors import shown

_CREATED = "ObjectCreated:"
_SOURCES = ("aws:s3", "minio:s3", "ceph:s3")
_EVENTBRIDGE = "aws.s3"


class Unknown(ValueError):
    """A message that tells of no object in any known form."""

    def __init__(self, message: str) -> None:
        """``message`` is ``shown``: what it tells of the message is a stranger's."""
        super().__init__(shown(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """An object was created. ``key`` is raw: what was encoded is decoded, once."""

    bucket: str
    key: str


def parse(body: str) -> Sequence[Created]:
    """The objects that were created by what a message says; ``Unknown`` where it is no message of S3.

    One that tells of something else (S3's test event, a removed object) names none.
    """
    return list(_created(_table(body)))


def _created(message: Mapping[str, Any], *, wrapped: bool = False) -> Iterator[Created]:
    if message.get("Type") == "Notification" and isinstance(message.get("Message"), str) and not wrapped:
        yield from _created(_table(message["Message"]), wrapped=True)
    elif isinstance(message.get("Records"), list):
        for record in message["Records"]:
            yield from _record(record)
    elif message.get("source") == _EVENTBRIDGE and isinstance(message.get("detail-type"), str):
        if message["detail-type"] == "Object Created":
            detail = message.get("detail")
            yield Created(bucket=_text(detail, "bucket", "name"), key=_text(detail, "object", "key"))
    elif message.get("Event") != "s3:TestEvent":
        msg = f"expected a notification of S3, found keys {sorted(message)[:5]}"
        raise Unknown(msg)


def _record(record: object) -> Iterator[Created]:
    if _text(record, "eventSource") not in _SOURCES:
        msg = f"expected a record of S3, found one of {_text(record, 'eventSource')[:40]!r}"
        raise Unknown(msg)
    # Ceph and MinIO write the name as it is subscribed to.
    if _text(record, "eventName").removeprefix("s3:").startswith(_CREATED):
        key = _text(record, "s3", "object", "key")
        try:
            raw = unquote_plus(key, errors="strict")
        except UnicodeDecodeError as error:
            msg = f"expected a form-encoded key, found {key[:80]!r}"
            raise Unknown(msg) from error
        yield Created(bucket=_text(record, "s3", "bucket", "name"), key=raw)


def _table(text: str) -> Mapping[str, Any]:
    try:
        found = jsontext.loads(text)
        jsontext.prove(text, found)
    except (ValueError, RecursionError) as error:
        msg = f"expected JSON, found {text[:40]!r}"
        raise Unknown(msg) from error
    if not isinstance(found, dict):
        msg = f"expected a JSON object, found {text[:40]!r}"
        raise Unknown(msg)
    return found


def _text(table: object, *keys: str) -> str:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    if not isinstance(table, str):
        msg = f"expected a text at {'.'.join(keys)}, found {table!r:.40}"
        raise Unknown(msg)
    return table
