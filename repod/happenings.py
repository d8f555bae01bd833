"""What happens in repositories, as those hear of it who are told: pages that are open, webhooks, queues, programs.

Events are CloudEvents 1.0 (https://github.com/cloudevents/spec): their JSON form is what every receiver gets.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol


class Kind(StrEnum):
    """What happened. The number at the end is the version of what ``data`` holds."""

    PUBLISHED = "repod.generation.published.v1"
    MISSED = "repod.generation.missed.v1"
    REJECTED = "repod.arrival.rejected.v1"
    WAITING = "repod.arrival.waiting.v1"
    PRUNED = "repod.store.pruned.v1"
    FAILING = "repod.repository.failing.v1"
    RECOVERED = "repod.repository.recovered.v1"
    ROLLOUT = "repod.rollout.reported.v1"
    TEST = "repod.hook.test.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    ``id`` is the same whenever and by whichever daemon the same thing is told, so that a receiver can drop what
    it has heard already. ``time`` is seconds since 1970, ``data`` is what JSON can hold.
    """

    kind: Kind
    repository: str
    id: str
    time: float
    data: Mapping[str, Any]

    def envelope(self) -> dict[str, Any]:
        """The event as a CloudEvent in JSON."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/repositories/{self.repository}",
            "type": str(self.kind),
            "time": datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": dict(self.data),
        }

    def to_json(self) -> bytes:
        """What receivers get: the envelope, in UTF-8."""
        return json.dumps(self.envelope(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def fitting(self, size: int) -> "Event":
        """The event in at most ``size`` bytes of JSON: its longest lists are cut short, totals beside them stay."""
        event = self
        while len(event.to_json()) > size:
            lists = {name: value for name, value in event.data.items() if isinstance(value, list) and value}
            if not lists:
                break
            name = max(lists, key=lambda name: len(json.dumps(lists[name])))
            event = replace(event, data={**event.data, name: lists[name][: len(lists[name]) // 2]})
        return event


class Hear(Protocol):
    """The door to who is told. It never blocks, and never raises."""

    def __call__(self, event: Event, /) -> None:
        """It happened."""
