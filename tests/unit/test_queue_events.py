"""What messages of queues say: every form that S3's events come in, keys decoded once, and nothing guessed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.inbox.events import Created, Unknown, parse
from tests.lab.queues import notification

RAW = "in/a b+c~1^é%2B.rpm"


def told(body: object) -> list[tuple[str, str]]:
    return [(one.bucket, one.key) for one in parse(json.dumps(body))]


def eventbridge(kind: str = "Object Created", key: str = RAW) -> dict[str, Any]:
    detail = {"version": "0", "bucket": {"name": "b"}, "object": {"key": key, "size": 1, "sequencer": "1"}}
    return {"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail}


@pytest.mark.parametrize(
    "key",
    [
        "in/a+b%2Bc~1%5E%C3%A9%252B.rpm",  # as Amazon's S3 writes it
        "in%2Fa+b%2Bc%7E1%5E%C3%A9%252B.rpm",
        "in/a%20b%2Bc~1%5E%C3%A9%252B.rpm",  # Ceph
    ],
)
def test_a_key_of_a_notification_is_decoded_once_however_it_was_encoded(key: str) -> None:
    body = notification("b", "x")
    body["Records"][0]["s3"]["object"]["key"] = key
    assert told(body) == [("b", RAW)]


def test_a_key_of_eventbridge_is_taken_as_it_is() -> None:
    assert told(eventbridge()) == [("b", RAW)]


def test_a_message_may_tell_of_several_objects_in_their_order() -> None:
    assert told(notification("b", "2", "1", "2")) == [("b", "2"), ("b", "1"), ("b", "2")]


def test_a_notification_within_sns_is_read_like_one_that_came_straight() -> None:
    wrapped = {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(notification("b", RAW))}
    assert told(wrapped) == [("b", RAW)]
    with pytest.raises(Unknown):
        told({"Type": "Notification", "Message": json.dumps(wrapped)})


@pytest.mark.parametrize(
    "event", ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "s3:ObjectCreated:Copy"]
)
def test_every_way_to_create_an_object_counts(event: str) -> None:
    assert told(notification("b", "x", event=event)) == [("b", "x")]


@pytest.mark.parametrize(
    "body",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"},
        {"Type": "Notification", "Message": json.dumps({"Event": "s3:TestEvent", "Bucket": "b"})},
        notification("b", "x", event="ObjectRemoved:Delete"),
        notification("b", "x", event="ObjectTagging:Put"),
        notification("b", "x", event="LifecycleExpiration:Delete"),
        eventbridge("Object Deleted"),
        {"Records": []},
    ],
)
def test_what_tells_of_something_else_names_no_object(body: object) -> None:
    assert told(body) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "[]",
        "3",
        "{}",
        "[" * 100_000,
        '{"Records": [3]}',
        '{"Records": [{"eventSource": "aws:sqs", "eventName": "ObjectCreated:Put"}]}',
        '{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}]}',
        '{"Type": "Notification", "Message": 3}',
        '{"Type": "SubscriptionConfirmation", "Message": "x"}',
        '{"source": "aws.ec2", "detail-type": "Object Created"}',
        '{"source": "aws.s3", "detail-type": "Object Created", "detail": null}',
        json.dumps(notification("b", "x")).replace('"key": "x"', '"key": "%FF.rpm"'),
    ],
)
def test_what_has_no_known_form_is_unknown_and_never_an_empty_answer(body: str) -> None:
    with pytest.raises(Unknown):
        parse(body)


@given(st.text(min_size=1, max_size=50).filter(lambda text: text.isprintable()))
def test_any_key_survives_the_way_into_a_message_and_out_of_it(key: str) -> None:
    assert parse(json.dumps(notification("b", key))) == [Created(bucket="b", key=key)]
