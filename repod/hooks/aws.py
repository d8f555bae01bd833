"""Tells SNS topics and EventBridge buses."""

from repod.aws import Clients, told
from repod.config import Bucket
from repod.happenings import Event
from repod.hooking import Hook, Undelivered

# Both take 256 KiB, and count more than the event's own bytes.
_LARGEST = 240_000


def clients(hook: Hook) -> Clients:
    """How AWS is reached for a hook."""
    arn = (hook.sns or hook.eventbridge).split(":")
    region = hook.region or (arn[3] if arn[0] == "arn" and len(arn) > 3 else "")  # noqa: PLR2004 - arn:aws:SERVICE:REGION:...
    bucket = Bucket(
        queue_endpoint=hook.endpoint, region=region, profile=hook.profile, attempts=1, timeout=max(1.0, hook.timeout)
    )
    return Clients(bucket)


class Topic:
    """``Sink`` that is an SNS topic. In a FIFO topic each repository has an order of its own."""

    def __init__(self, hook: Hook) -> None:
        """``hook``: with ``sns``."""
        self._arn = hook.sns
        self._clients = clients(hook)

    def deliver(self, event: Event) -> str:
        """See ``Sink.deliver``."""
        attributes = {"type": str(event.kind), "repository": event.repository, "id": event.id}
        ordered = {"MessageGroupId": event.repository, "MessageDeduplicationId": event.id}
        with told(self._clients, f"telling {self._arn}"):
            answer = self._clients.other("sns").publish(
                TopicArn=self._arn,
                Message=event.fitting(_LARGEST).to_json().decode(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
                **(ordered if self._arn.endswith(".fifo") else {}),
            )
        return str(answer["MessageId"])


class Bus:
    """``Sink`` that is an EventBridge bus. The detail of what comes out is the whole CloudEvent."""

    def __init__(self, hook: Hook) -> None:
        """``hook``: with ``eventbridge``."""
        self._name = hook.eventbridge
        self._source = hook.source
        self._clients = clients(hook)

    def deliver(self, event: Event) -> str:
        """See ``Sink.deliver``."""
        entry = {
            "Time": event.time,
            "Source": self._source,
            "DetailType": str(event.kind),
            "Detail": event.fitting(_LARGEST).to_json().decode(),
            "EventBusName": self._name,
        }
        with told(self._clients, f"telling {self._name}"):
            answer = self._clients.other("events").put_events(Entries=[entry])
        said = answer["Entries"][0]
        if answer["FailedEntryCount"]:
            msg = f"telling {self._name}: it was not taken ({said.get('ErrorCode')}: {said.get('ErrorMessage')})"
            raise Undelivered(msg)
        return str(said["EventId"])
