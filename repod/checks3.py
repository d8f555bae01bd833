"""``repod check`` of places in buckets: credentials, reach, clock, rights, queues, all by requests that change nothing.

What a request would be allowed to change is asked with a condition that cannot hold: S3 says first whether the
caller may, and then that the condition does not hold.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from repod import jsontext
from repod.config import Bucket, Repository, Settings, rejected_place
from repod.errors import Conflict, Misconfigured, NotFound, RepodError, Unavailable
from repod.places import open_writable
from repod.problems import Problem, fault, warning
from repod.values import S3Place

_SKEW = 60.0  # seconds; S3 refuses requests from 900 on
_NEVER = '"repod-check"'  # an ETag that nothing has
_RECEIVES = 3
_RETENTION = 86400
_ALL = "s3:ObjectCreated:*"


def check_store(settings: Settings, repository: Repository) -> Iterator[Problem]:
    """All problems with a store in a bucket, found by its own proof too."""
    place = S3Place.parse(repository.store)
    if place is None:
        return
    bucket, where = settings.s3.of(place.bucket), f"{repository.name}: store"
    found = list(_reach(bucket, place, where))
    yield from found
    if any(problem.severity == "fault" for problem in found) or bucket.single_writer:
        return  # the rest would fail alike; and the lease of a single writer is the daemon's
    try:
        open_writable(settings, repository)
    except Misconfigured as error:
        yield from (fault(where, text) for text in error.faults)
    except RepodError as error:
        yield fault(where, str(error))


def check_inbox(settings: Settings, repository: Repository) -> Iterator[Problem]:
    """All problems with an inbox in a bucket and the queue that tells of it."""
    place = S3Place.parse(repository.inbox)
    if place is None:
        return
    bucket, where = settings.s3.of(place.bucket), f"{repository.name}: inbox"
    found = list(_reach(bucket, place, where))
    yield from found
    if any(problem.severity == "fault" for problem in found):
        return
    yield from _rights(bucket, place, rejected_place(repository.inbox), where)
    if repository.queue:
        yield from _queue(bucket, place, repository.queue, f"{repository.name}: queue")


def _reach(bucket: Bucket, place: S3Place, where: str) -> Iterator[Problem]:
    """Credentials, the bucket, the right to list it, and the clock."""
    from repod import aws  # noqa: PLC0415 - it brings boto3

    clients = aws.Clients(bucket)
    try:
        kind = clients.credentials()
    except Misconfigured as error:
        yield fault(where, str(error))
        return
    if not kind:
        text = "boto3 finds no credentials: give repod an instance or container role, AWS_ACCESS_KEY_ID and"
        yield fault(where, f"{text} AWS_SECRET_ACCESS_KEY in its environment, or [s3] profile")
        return
    try:
        with aws.told(clients, f"{place} cannot be listed (credentials: {kind})"):
            answer = clients.s3().list_objects_v2(Bucket=place.bucket, Prefix=place.prefix, MaxKeys=1)
    except RepodError as error:
        yield fault(where, str(error))
        return
    yield from _clock(answer, where)


def _clock(answer: Any, where: str) -> Iterator[Problem]:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    with contextlib.suppress(ValueError, TypeError):
        skew = time.time() - parsedate_to_datetime(date).timestamp()
        if abs(skew) > _SKEW:
            text = f"this machine's clock is {skew:+.0f} s from that of S3, which refuses requests from 900 s on"
            yield warning(where, f"{text}; set it (NTP)")


def _rights(bucket: Bucket, place: S3Place, rejected: str, where: str) -> Iterator[Problem]:
    """Whether arrivals may be read and taken away, and refused ones put aside."""
    from repod import aws  # noqa: PLC0415 - it brings boto3

    clients = aws.Clients(bucket)
    name = f".repod-check-{secrets.token_hex(8)}"
    aside = S3Place.parse(rejected) or place
    here: Any = {"Bucket": place.bucket, "Key": place.prefix + name}
    there: Any = {"Bucket": aside.bucket, "Key": aside.prefix + name}
    tries: Mapping[str, tuple[str, Callable[[], object]]] = {
        "s3:GetObject": (f"{place} cannot be read", lambda: clients.s3().head_object(**here)),
        "s3:DeleteObject": (
            f"{place}: nothing can be removed from it",
            lambda: clients.s3().delete_object(**here, IfMatch=_NEVER),
        ),
        "s3:PutObject": (
            f"{aside}: refused packages cannot be put there",
            lambda: clients.s3().put_object(**there, Body=b"", IfMatch=_NEVER),
        ),
    }
    for action, (what, attempt) in tries.items():
        try:
            with aws.told(clients, f"{what} ({action})"):
                attempt()
        except (NotFound, Conflict):
            continue  # allowed, and the condition did not hold
        except Unavailable as error:
            yield fault(where, str(error))
        else:
            yield from _ignored(clients, there, action, where)


def _ignored(clients: Any, made: Mapping[str, str], action: str, where: str) -> Iterator[Problem]:
    """A condition that cannot hold was passed over."""
    if action == "s3:PutObject":
        clients.s3().delete_object(**made)
        yield warning(where, "this S3 server ignores If-Match: an arrival replaced meanwhile may be taken away unread")


def _queue(bucket: Bucket, place: S3Place, url: str, where: str) -> Iterator[Problem]:
    from repod import aws  # noqa: PLC0415 - it brings boto3

    clients = aws.Clients(bucket)
    try:
        with aws.told(clients, f"queue {url} cannot be asked for its attributes (sqs:GetQueueAttributes)"):
            found = clients.sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except RepodError as error:
        yield fault(where, str(error))
        return
    yield from _redrive(jsontext.loads(found.get("RedrivePolicy", "{}")), where)
    retention = int(found.get("MessageRetentionPeriod", _RETENTION))
    if retention < _RETENTION:
        text = f"messages are kept {retention} s only; give it a day or more (MessageRetentionPeriod)"
        yield warning(where, f"{text}, so that a stop of repod loses no hint")
    if "s3.amazonaws.com" not in found.get("Policy", ""):
        yield warning(where, "its policy does not let S3 send to it; see config/iam/queue-policy.json")
    yield from _notification(clients, place, found.get("QueueArn", ""), where)


def _redrive(policy: Mapping[str, Any], where: str) -> Iterator[Problem]:
    if not policy:
        text = "it has no dead letter queue: a message that never succeeds comes again until its retention ends"
        yield warning(where, f"{text}; set a RedrivePolicy with maxReceiveCount 5 or more")
    elif int(policy.get("maxReceiveCount", _RECEIVES)) < _RECEIVES:
        text = f"maxReceiveCount is {policy['maxReceiveCount']}: each restart of repod counts as one; set 5 or more"
        yield warning(where, text)


def _notification(clients: Any, place: S3Place, arn: str, where: str) -> Iterator[Problem]:
    """Whether S3 tells the queue of arrivals; nothing is said where that may not be asked."""
    from repod import aws  # noqa: PLC0415 - it brings boto3

    try:
        with aws.told(clients, f"{place.bucket}"):
            found = clients.s3().get_bucket_notification_configuration(Bucket=place.bucket)
    except RepodError:
        return
    if not any(_tells(one, place, arn) for one in found.get("QueueConfigurations", ())):
        text = f"bucket {place.bucket} does not tell it of {_ALL} below {place.prefix!r}"
        yield warning(where, f"{text}: arrivals wait for the next listing; see README, put-bucket-notification")


def _tells(configuration: Mapping[str, Any], place: S3Place, arn: str) -> bool:
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    prefixes = [rule["Value"] for rule in rules if rule["Name"].lower() == "prefix"] or [""]
    return (
        configuration.get("QueueArn") == arn
        and _ALL in configuration.get("Events", ())
        and all(place.prefix.startswith(prefix) for prefix in prefixes)
    )
