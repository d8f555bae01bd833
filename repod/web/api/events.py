"""What happens, as it happens: server-sent events, each a CloudEvent in JSON."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import StreamingResponse

from repod.access import READ
from repod.bus import Bus, Subscription
from repod.happenings import Event
from repod.web import veil
from repod.web.api.door import Door, Name
from repod.web.api.problems import documented
from repod.web.gate import offered

HEARTBEAT = 15.0
STREAMS = 200
OF_ONE = 20  # from one address
_RETRY_MILLISECONDS = 3000
_HEADERS = {
    "Cache-Control": "no-store",
    # nginx would gather a stream before it sends anything of it.
    "X-Accel-Buffering": "no",
}
_ITEM = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    "required": ["event", "id", "data"],
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events without end (text/event-stream): event is their type, data a CloudEvent in JSON.",
        "content": {"text/event-stream": {"itemSchema": _ITEM}},
    }
}
_After = Annotated[str | None, Header(alias="Last-Event-ID", max_length=200, description="What was heard last.")]

Allowed = Callable[[], Coroutine[Any, Any, bool]]
"""Whether who listens may still hear it."""


class Streams:
    """The streams that are open, a bounded number. Only the event loop of the listener uses it."""

    def __init__(self, bus: Bus, *, most: int = STREAMS, of_one: int = OF_ONE, heartbeat: float = HEARTBEAT) -> None:
        """``of_one``: how many from one address. ``heartbeat``: seconds after which a stream says that it lives."""
        self._bus = bus
        self._most = most
        self._heartbeat = heartbeat
        self._of_one = of_one
        self._open = Counter[str]()

    def answer(
        self,
        address: str,
        wanted: Callable[[Event], bool],
        after: str | None,
        allowed: Allowed,
        veiled: Callable[[Event], Event] = lambda event: event,
    ) -> StreamingResponse:
        """A stream of the events that are ``wanted``, as ``veiled``; 503 where too many are open."""
        for count, most in ((self._open[address], self._of_one), (self._open.total(), self._most)):
            if count >= most:
                text = f"{most} streams of events are open; try again later"
                raise HTTPException(503, text, headers={"Retry-After": "30"})
        lines = self._lines(address, wanted, after, allowed, veiled)
        return _Stream(lines, media_type="text/event-stream", headers=_HEADERS)

    async def _lines(
        self,
        address: str,
        wanted: Callable[[Event], bool],
        after: str | None,
        allowed: Allowed,
        veiled: Callable[[Event], Event],
    ) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the listener has ended meanwhile
                loop.call_soon_threadsafe(news.set)

        self._open[address] += 1
        subscription = self._bus.subscribe(wanted, wake, after=after)
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n\n"
            async for text in self._heard(subscription, news, allowed, veiled):
                yield text
        finally:
            self._open[address] -= 1
            self._open += Counter()  # without those at 0
            self._bus.leave(subscription)

    async def _heard(
        self, subscription: Subscription, news: asyncio.Event, allowed: Allowed, veiled: Callable[[Event], Event]
    ) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._heartbeat
        while True:
            # However much there is to tell: who may not hear any more hears nothing more.
            if loop.time() >= due:
                due = loop.time() + self._heartbeat
                if not await allowed():
                    yield ": these credentials are good no more\n\n"
                    return
                yield ": alive\n\n"
            news.clear()
            # Asked first: what came before it was closed is still read.
            closed = subscription.closed
            for event in subscription.read():
                yield line_of(veiled(event))
            if closed:
                yield f": {closed}\n\n"
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), max(0.0, due - loop.time()))


class _Stream(StreamingResponse):
    """A stream whose generator is closed at once when nobody listens any more, and not when it is collected."""

    async def stream_response(self, send: Any) -> None:
        try:
            await super().stream_response(send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                await close()


def line_of(event: Event) -> str:
    """An event as a stream has it."""
    data = json.dumps(event.envelope(), ensure_ascii=False).encode(errors="backslashreplace").decode()
    return f"event: {event.kind}\nid: {event.id}\ndata: {data}\n\n"


def make_events(door: Door, streams: Streams) -> APIRouter:
    """The routes about what happens."""
    api = APIRouter(tags=["events"])

    @api.get(
        "/repositories/{name}/events",
        operation_id="streamEventsOf",
        response_class=StreamingResponse,
        responses={**documented("not-found"), **_STREAM},
    )
    async def of_one(request: Request, name: Name, after: _After = None) -> StreamingResponse:
        """What happens in one repository. With Last-Event-ID what was missed comes first, as far as it is kept."""
        await door.reads(request, name)
        return streams.answer(
            offered(request).address,
            lambda event: event.repository == name,
            after,
            lambda: door.gate.lets(request, READ, name),
            await _veil(door, request, [name]),
        )

    @api.get(
        "/events",
        operation_id="streamEvents",
        response_class=StreamingResponse,
        responses={**documented(), **_STREAM},
    )
    async def of_all(request: Request, after: _After = None) -> StreamingResponse:
        """What happens in all repositories that the caller may read."""
        seen = {name for name in door.names() if await door.gate.lets(request, READ, name)}
        if not seen:
            await door.gate.admit(request, READ)

        async def allowed() -> bool:
            return all([await door.gate.lets(request, READ, name) for name in seen])

        veiled = await _veil(door, request, seen)
        return streams.answer(offered(request).address, lambda event: event.repository in seen, after, allowed, veiled)

    return api


async def _veil(door: Door, request: Request, names: Iterable[str]) -> Callable[[Event], Event]:
    """What makes of an event of these repositories what the caller may hear of it."""
    hosts = {name for name in names if await door.gate.names_hosts(request, name)}
    whole = all(map(await door.sight(request), door.names()))
    return lambda event: veil.event(event, hosts=event.repository in hosts, whole=whole)
