"""Messages of queues about objects: S3's own, within SNS, EventBridge's."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from urllib.parse import quote, quote_plus

from repod.inbox import events
from tests.fuzz import mutate
from tests.fuzz.core import Door, Finding, of_doors

_KEYS = (
    "in/a b+c~1^é.rpm",
    "in/plain.rpm",
    "in/100%.rpm",
    "in/ü/漢字.rpm",
    "in/a%2Bb.rpm",
    "in/x\ty.rpm",
    "in/'\"<&>.rpm",
)
_SHAPES = ("s3", "sns", "eventbridge", "minio", "bare")


def body(shape: str, key: str, encode: str = "plus") -> bytes:
    """A message that tells of ``key``."""
    encoded = {"plus": quote_plus, "percent": quote, "none": str}[encode](key)
    if shape == "eventbridge":
        detail = {"bucket": {"name": "b"}, "object": {"key": key, "size": 5, "etag": "e", "sequencer": "00"}}
        return json.dumps(
            {"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        ).encode()
    source = "minio:s3" if shape == "minio" else "aws:s3"
    name = "s3:ObjectCreated:Put" if shape == "minio" else "ObjectCreated:CompleteMultipartUpload"
    object_ = {"key": encoded, "size": 5, "eTag": "e", "sequencer": "00"}
    record = {"eventSource": source, "eventName": name, "s3": {"bucket": {"name": "b"}, "object": object_}}
    message = {"Records": [record, record]}
    if shape == "bare":
        message = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}
    if shape == "sns":
        return json.dumps(
            {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(message)}
        ).encode()
    return json.dumps(message).encode()


def _read(data: bytes) -> str:
    found = events.parse(data.decode("utf-8", "surrogateescape"))
    for one in found:
        if not isinstance(one.bucket, str) or not isinstance(one.key, str):
            raise Finding(f"a name that is no text: {one}")
    return f"{min(len(found), 3)} objects"


def _key(data: bytes) -> str:
    """Whatever a key is, it comes out as it went in, in every shape and encoding that S3 has for it."""
    key = data.decode("utf-8", "replace")
    for shape, encode in (
        ("s3", "plus"),
        ("s3", "percent"),
        ("sns", "plus"),
        ("minio", "plus"),
        ("eventbridge", "none"),
    ):
        for one in events.parse(body(shape, key, encode).decode()):
            if one.key != key:
                raise Finding(f"{shape} {encode}: {key!r} came as {one.key!r}")
    return "the same"


def _nested(draw: Random, data: bytes) -> bytes:
    """Also within the text that SNS carries."""
    try:
        outer = json.loads(data)
        inner = outer["Message"].encode("utf-8", "surrogatepass")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return mutate.as_json(draw, data)
    if draw.random() < 0.3:
        return mutate.as_json(draw, data)
    return json.dumps(outer | {"Message": mutate.as_json(draw, inner).decode("utf-8", "replace")}).encode()


def _doors(_folder: Path) -> Mapping[str, Door]:
    return {
        "body": Door(
            read=_read,
            refusals=(events.Unknown,),
            mutate=_nested,
            seeds=[body(shape, key) for shape in _SHAPES for key in _KEYS[:3]],
        ),
        "key": Door(read=_key, refusals=(), mutate=mutate.text, seeds=[key.encode() for key in _KEYS]),
    }


EVENTS = of_doors(
    "events", "messages of SQS, SNS and EventBridge: told of no object, or of the one that is meant", _doors
)
