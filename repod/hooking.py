"""Hooks: who is told of what happens, by the settings, and the door to a receiver."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Protocol, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from repod.errors import Unavailable
from repod.happenings import Event, Kind
from repod.values import Seconds, Section

_WAYS = ("url", "sns", "eventbridge", "exec")


class Hook(Section):
    """``[[hook]]``: one receiver. ``events`` and ``repositories`` are shell patterns."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=50)]
    url: str = ""
    secret: str = ""
    sns: str = ""
    eventbridge: str = ""
    source: Annotated[str, Field(min_length=1, max_length=256)] = "repod"
    exec: str = ""
    events: Sequence[str] = ("repod.generation.*", "repod.arrival.rejected.*")
    repositories: Sequence[str] = ("*",)
    timeout: Annotated[Seconds, Field(ge=0.1, le=300)] = 10.0
    give_up: Annotated[Seconds, Field(ge=1)] = 3 * 86400.0
    region: str = ""
    profile: str = ""
    endpoint: str = ""

    def wants(self, kind: Kind) -> bool:
        """Whether it is told of such events."""
        return any(fnmatchcase(kind, pattern) for pattern in self.events)

    def hears(self, repository: str) -> bool:
        """Whether it is told of that repository."""
        return any(fnmatchcase(repository, pattern) for pattern in self.repositories)

    @property
    def way(self) -> str:
        """How it is reached: the name of the setting that says so."""
        return next(way for way in _WAYS if getattr(self, way))

    @property
    def target(self) -> str:
        """Whom it tells, as logs may say it: of a URL without what may be secret."""
        if self.way == "url":
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/"
        value: str = getattr(self, self.way)
        return value.split(maxsplit=1)[0]

    @property
    def mark(self) -> str:
        """Tells the receiver from any other that the hook may be given, and shows nothing of it."""
        value = f"{self.way} {getattr(self, self.way)}"
        return hashlib.sha256(value.encode("utf-8", "backslashreplace")).hexdigest()[:16]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        faults = list(_faults(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _faults(hook: Hook) -> Iterator[str]:
    ways = [way for way in _WAYS if getattr(hook, way)]
    if len(ways) != 1:
        yield f"expected exactly one of {', '.join(_WAYS)}, found {' and '.join(ways) or 'none'}"
    if hook.url and not _is_url(hook.url):
        yield f"url: expected https://HOST/PATH or http://HOST/PATH, found {hook.url!r}"
    if hook.secret and not hook.url:
        yield "secret: is for url alone; take it away"
    if hook.sns and not hook.sns.startswith("arn:"):
        yield f"sns: expected the ARN of a topic, as arn:aws:sns:REGION:ACCOUNT:NAME, found {hook.sns!r}"
    if hook.source.startswith("aws."):
        yield f"source: expected none that begins with aws., which is Amazon's, found {hook.source!r}"
    for pattern in hook.events:
        if not any(fnmatchcase(kind, pattern) for kind in Kind):
            kinds = ", ".join(kind for kind in Kind if kind != Kind.TEST)
            yield f"events: no event is called {pattern!r}; there are: {kinds}"


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and value.isprintable()
    except ValueError:
        return False


def strangers(hooks: Iterable[Hook], repositories: Sequence[str]) -> Iterator[str]:
    """What is wrong with hooks beside each other, and beside ``repositories``."""
    names = [hook.name for hook in hooks]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"hook.name: {name!r} is given to {names.count(name)} hooks; expected one each"
    for hook in hooks:
        for pattern in hook.repositories:
            if not any(fnmatchcase(name, pattern) for name in repositories):
                there = ", ".join(repositories)
                yield f"hook {hook.name!r}.repositories: no repository is called {pattern!r}; there are: {there}"


class Undelivered(Unavailable):
    """A receiver did not take an event.

    ``after``: seconds that it asks to be left alone; None where it does not say. ``gone``: it wants no more events.
    """

    def __init__(self, text: str, *, after: float | None = None, gone: bool = False) -> None:
        """``text``: one line."""
        super().__init__(text)
        self.after = after
        self.gone = gone


class Sink(Protocol):
    """The door to one receiver. Used by one thread at a time."""

    def deliver(self, event: Event) -> str:
        """Hand the event over, and return what the receiver said, in a few words.

        ``Undelivered``, or any other ``RepodError``, where it is not known to have it. Ends in bounded time.
        """
