"""A hook that is told of a store: records put there by hand, a clock that the test moves, a receiver."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from repod import tidings
from repod.backlog import Told
from repod.delivery import Delivery, Tried
from repod.doors import Expect, Store
from repod.errors import NotFound
from repod.generation import HEAD, Head, record_path
from repod.happenings import Event, Kind
from repod.hooking import Hook
from repod.outbox import Outbox, Post
from repod.package import Fault, Nevra, Origin, Package, Sha256
from tests.lab.records import record

_SCHEMA = Path(__file__).parents[2] / "config" / "events.schema.json"
URL = "https://repo.example.com/test/"


def check_event(envelope: Mapping[str, Any]) -> None:
    """What a receiver got is as the schema says it."""
    schema = json.loads(_SCHEMA.read_text())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(envelope)


def publish(store: Store, number: int) -> None:
    """Generation ``number`` is current, made at second 100 times that."""
    nevra = Nevra(name="hello", epoch=0, version="1.0", release=str(number), arch="noarch")
    package = Package(nevra=nevra, pkgid=Sha256(f"{number:064x}"), size=1, href=nevra.location)
    origin = Origin(how="arrival", of=f"hello-{number}.rpm", checksum=f"{number + 1000:064x}")
    made = record(number, [package], origins=[origin], actor="inbox")
    store.write(record_path(number), made.to_json(), Expect.ANY)
    store.write(HEAD, Head(generation=number).to_json(), Expect.ANY)


def refusal(file: str, time: float) -> Event:
    """An arrival was rejected."""
    faults = [Fault(code="unsigned", text="it is not signed")]
    return tidings.rejected(
        "test", file=file, mark=file, checksum="a" * 64, package="", faults=faults, place="/rejected", time=time
    )


@dataclass(slots=True, kw_only=True)
class Receiver:
    """A ``Sink`` in memory; ``act`` may raise. What it heard must be as the schema says."""

    act: Callable[[Event], object] = lambda _event: None
    heard: list[Event] = field(default_factory=list)

    def deliver(self, event: Event) -> str:
        self.act(event)
        check_event(json.loads(event.to_json()))
        self.heard.append(event)
        return "taken"

    @property
    def numbers(self) -> list[Any]:
        """Generations by number, and files that were rejected, in the order in which they were heard."""
        return [
            event.data["generation"] if event.kind == Kind.PUBLISHED else event.data["file"] for event in self.heard
        ]


@dataclass(slots=True, kw_only=True)
class Hooked:
    """The hook ``ci`` of the repository ``test``. ``now`` moves only where a test moves it."""

    store: Store
    receiver: Receiver = field(default_factory=Receiver)
    hook: Hook = field(default_factory=lambda: Hook(name="ci", url="https://ci.example.com/"))
    now: float = 1000.0
    began: float = 0.0
    tried: list[Tried] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def delivery(self, holder: str = "one", store: Store | None = None, **more: Any) -> Delivery:
        """What a process would deliver with."""
        told = Told(hook=self.hook, repository="test", url=URL, store=store or self.store, began=int(self.began))
        return Delivery(
            told,
            sink=lambda: self.receiver,
            holder=holder,
            clock=lambda: self.now,
            chance=lambda: 0.5,
            tell=self.tried.append,
            lost=self.lost.append,
            **more,
        )

    @property
    def box(self) -> Outbox:
        """Its outbox."""
        return Outbox(self.hook.name, self.store)

    def post(self, event: Event) -> None:
        """What happened besides generations."""
        Post(self.store, [(self.hook.wants, self.box)])(event)

    @property
    def left(self) -> dict[str, Any]:
        """The cursor, as it is stored."""
        cursor, _ = self.box.cursor()
        if cursor is None:
            raise NotFound(self.hook.name)
        return asdict(cursor)
