"""The queue of an inbox in a bucket: moto's SQS tells of objects in SeaweedFS."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from repod.errors import NotFound
from repod.inbox.bucket import BucketInbox
from repod.inbox.queue import Receiver
from repod.values import S3Place
from tests.lab.bucketinboxes import BucketPlace, Messages, credentials, reach
from tests.lab.inboxes import FAULT, Lines, names, only, wanted
from tests.lab.queues import Moto, notification
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

NOW = 1_700_000_000.0


@pytest.fixture
def make(s3: Seaweed, queues: Moto) -> Iterator[Callable[..., BucketPlace]]:
    made: list[BucketPlace] = []
    with credentials(s3):

        def one(**settings: Any) -> BucketPlace:
            made.append(BucketPlace(s3, queues, **settings))
            return made[-1]

        yield one
        for place in made:
            place.close()


@pytest.fixture
def place(make: Callable[..., BucketPlace]) -> BucketPlace:
    return make()


def counts(place: BucketPlace) -> tuple[int, int]:
    assert place.queues
    return place.queues.counts(place.url)


def settled(place: BucketPlace, *expected: tuple[int, int]) -> None:
    until(lambda: counts(place) in (expected or ((0, 0),)), 20, "the queue to be so")


def test_a_message_is_deleted_only_after_all_that_it_tells_of_is_done_with(place: BucketPlace) -> None:
    for name in ("a.rpm", "b.rpm"):
        place.upload(name, b"x")
    place.tell("a.rpm", "b.rpm")
    first, second = place.inbox.scan()
    place.inbox.remove(first)
    assert counts(place) == (0, 1)
    place.inbox.reject(second, [FAULT], "", NOW)
    settled(place)
    assert place.messages.count == {"done": 1}


def test_a_message_stays_hidden_while_its_object_is_worked_on(make: Callable[..., BucketPlace]) -> None:
    # Hidden anew each two seconds: a busy machine has four more.
    place = make(visibility=6)
    place.put("x.rpm", b"x")
    arrival = only(place.inbox)
    start = time.monotonic()
    while time.monotonic() < start + 8:
        assert counts(place) == (0, 1)
        assert names(place.inbox.scan()) == ["x.rpm"]
        time.sleep(0.1)
    place.inbox.remove(arrival)
    settled(place)


def test_what_could_not_be_taken_in_twice_goes_back_and_comes_again(
    make: Callable[..., BucketPlace], tmp_path: Path
) -> None:
    place = make(visibility=2)
    place.put("x.rpm", b"x")
    numbers = itertools.count()
    for _ in range(2):
        place.inbox.take(only(place.inbox), tmp_path / str(next(numbers)))
    assert list(place.inbox.scan()) == []
    assert place.messages.count["returned"] == 1
    start = time.monotonic()
    arrival = until(lambda: next(iter(place.inbox.scan()), None), 30, "the arrival to come again")
    assert time.monotonic() - start > 2, "after a while only"
    place.inbox.remove(arrival)
    settled(place)


def test_the_same_told_twice_is_one_arrival_and_both_messages_go_with_it(place: BucketPlace) -> None:
    place.put("x.rpm", b"x")
    arrival = only(place.inbox)
    place.tell("x.rpm", "x.rpm")
    assert names(place.inbox.scan()) == ["x.rpm"]
    place.inbox.remove(arrival)
    settled(place)


def test_an_event_that_comes_while_an_older_state_is_worked_on_is_not_deleted_with_it(place: BucketPlace) -> None:
    place.put("x.rpm", b"old")
    arrival = only(place.inbox)
    place.put("x.rpm", b"newer")
    place.inbox.remove(arrival)
    assert counts(place) == (0, 2)
    newer = only(place.inbox)
    assert newer.size == 5
    place.inbox.remove(newer)
    settled(place)
    assert place.lying() == {}


def test_an_object_that_is_gone_takes_its_message_with_it(place: BucketPlace) -> None:
    place.tell("gone.rpm")
    place.put("here.rpm", b"x")
    assert names(place.inbox.scan()) == ["here.rpm"]
    until(lambda: place.messages.count["done"] == 1, 20, "the message to be deleted")
    place.inbox.remove(only(place.inbox))
    settled(place)


def test_what_is_none_of_an_inbox_is_deleted_and_said_once(place: BucketPlace) -> None:
    assert place.queues
    place.inbox.scan()
    queues, url = place.queues, place.url
    queues.send(url, {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": place.bucket})
    queues.send(url, notification(place.bucket, place.prefix + "x.rpm", event="ObjectRemoved:Delete"))
    for key in ("README", "new.rpm/", "", "rejected/x.rpm", "x.rpm.part"):
        queues.tell(url, place.bucket, place.prefix + key)
    for number in range(3):
        queues.tell(url, place.bucket, f"elsewhere/{number}.rpm")
    until(lambda: place.messages.count["unrelated"] == 10, 20, "all messages")
    settled(place)
    assert len(place.log.of("queue tells of objects outside every inbox")) == 1
    assert list(place.inbox.scan()) == []


def test_what_no_one_understands_is_left_for_the_dead_letter_queue(
    make: Callable[..., BucketPlace], queues: Moto
) -> None:
    place = make(visibility=2)
    dead = queues.queue()
    redrive = f'{{"deadLetterTargetArn": "{queues.arn(dead)}", "maxReceiveCount": "1"}}'
    queues.client("sqs").set_queue_attributes(QueueUrl=place.url, Attributes={"RedrivePolicy": redrive})
    queues.send(place.url, "not JSON")
    until(lambda: queues.counts(dead)[0] == 1, 30, "the message to be dead")
    assert place.messages.count["unknown"] == 1
    (line,) = place.log.of("message left for the dead letter queue")
    assert "not JSON" in line["problem"]


def test_a_receiver_holds_no_more_than_is_useful_and_goes_on_as_it_is_settled(
    make: Callable[..., BucketPlace], queues: Moto
) -> None:
    place = make(ahead=10)
    for number in range(30):
        place.upload(f"x{number}.rpm", b"x")
        queues.tell(place.url, place.bucket, f"{place.prefix}x{number}.rpm")
    until(lambda: counts(place)[1] >= 10, 20, "the first messages")
    seen = set[str]()

    def all_came() -> bool:
        arrivals = place.inbox.scan()
        assert len(arrivals) < 20
        for arrival in arrivals:
            seen.add(arrival.name)
            place.inbox.remove(arrival)
        return len(seen) == 30

    until(all_came, 60, "all arrivals")
    settled(place)


def test_several_inboxes_share_a_queue_and_the_longest_prefix_has_an_object(s3: Seaweed, queues: Moto) -> None:
    url, bucket, log = queues.queue(), s3.bucket(), Lines()
    with credentials(s3):
        receiver = Receiver(url, reach(s3, queues), visibility=30, poll=1, log=log, count=Messages())
        given: dict[str, Any] = {"scan_interval": 60, "list_interval": 3600, "visibility": 30, "wanted": wanted}
        inboxes = [
            BucketInbox(S3Place(bucket=bucket, prefix=prefix), reach(s3, queues), receiver=receiver, log=log, **given)
            for prefix in ("in/", "in/el9/")
        ]
        for key in ("in/a.rpm", "in/el9/b.rpm", "in/el9/c.rpm"):
            s3.client().put_object(Bucket=bucket, Key=key, Body=b"x")
        queues.tell(url, bucket, "in/a.rpm", "in/el9/b.rpm", "in/el9/c.rpm")
        outer, inner = inboxes
        assert names(until(outer.scan, 20, "the outer one")) == ["a.rpm"]
        assert names(inner.scan()) == ["b.rpm", "c.rpm"]
        for inbox in inboxes:
            inbox.close()
        receiver.close()
        assert queues.counts(url) == (1, 0), "what is not done with is there for others at once"


def test_closing_puts_back_at_once_what_nobody_had_begun_with(place: BucketPlace, tmp_path: Path) -> None:
    place.put("begun.rpm", b"x")
    place.put("not.rpm", b"y")
    begun = next(arrival for arrival in place.inbox.scan() if arrival.name == "begun.rpm")
    place.inbox.take(begun, tmp_path / "copy")
    place.inbox.close()
    settled(place, (1, 1))
    place.inbox.remove(begun)
    settled(place, (1, 0))
    assert place.receiver
    place.receiver.close()
    assert place.messages.count == {"returned": 1, "done": 1}


def test_what_a_poll_gets_after_the_end_goes_back_at_once(s3: Seaweed, queues: Moto) -> None:
    url = queues.queue()
    with credentials(s3):
        receiver = Receiver(url, reach(s3, queues), visibility=600, poll=20, log=Lines(), count=Messages())
        receiver.start()
        until(lambda: receiver.up, 20, "the queue to answer")
        receiver.close()
        queues.send(url, "late")
        receiver._threads[0].join(30)
        assert queues.counts(url) == (1, 0)


def test_a_listing_leaves_young_objects_to_their_events_and_takes_those_whose_event_is_overdue(
    make: Callable[..., BucketPlace],
) -> None:
    place = make(visibility=6, list_interval=0.1)
    until(lambda: place.inbox._feed.quiet, 20, "the queue to be quiet")
    place.upload("lost.rpm", b"x")
    assert list(place.inbox.scan()) == []
    arrival = until(lambda: next(iter(place.inbox.scan()), None), 60, "the object whose event is overdue")
    assert arrival.age >= 6
    place.inbox.remove(arrival)
    assert list(place.inbox.scan()) == []


def test_without_an_answer_of_the_queue_everything_is_found_by_listing_and_the_log_says_so_once(
    make: Callable[..., BucketPlace], queues: Moto
) -> None:
    place = make()
    place.inbox.scan()
    assert place.inbox.up
    attributes = queues.client("sqs").get_queue_attributes(QueueUrl=place.url, AttributeNames=["All"])["Attributes"]
    queues.client("sqs").delete_queue(QueueUrl=place.url)
    until(lambda: place.inbox._feed.down, 20, "the loss to be noticed")
    assert place.inbox.wait(30), "who waits looks at once"
    place.upload("x.rpm", b"x")
    assert not place.inbox.up
    assert names(place.inbox.scan()) == ["x.rpm"]
    assert not place.inbox.wait(60), "it is listed every scan_interval now"
    queues.client("sqs").create_queue(QueueName=attributes["QueueArn"].rpartition(":")[2])
    until(lambda: place.inbox.up, 30, "the queue to answer again")
    assert len(place.log.of("inbox is found by listing, since its queue does not answer")) == 1
    assert len(place.log.of("queue answers again")) == 1


def test_a_wrong_queue_never_keeps_an_inbox_from_its_arrivals(s3: Seaweed, queues: Moto) -> None:
    with credentials(s3):
        place = BucketPlace(s3)
        receiver = Receiver(
            queues.queue() + "-not", reach(s3, queues), visibility=30, poll=1, log=place.log, count=Messages()
        )
        inbox = BucketInbox(
            place.place,
            place.reach,
            receiver=receiver,
            scan_interval=0.1,
            list_interval=60,
            visibility=30,
            log=place.log,
            wanted=wanted,
        )
        place.upload("x.rpm", b"x")
        arrival = until(lambda: next(iter(inbox.scan()), None), 20, "the arrival")
        assert not inbox.up
        inbox.remove(arrival)
        with pytest.raises(NotFound):
            inbox.reject(arrival, [FAULT], "", NOW)
        inbox.close()
        receiver.close()
        place.close()
