"""A proxy on loopback before a real S3 server: it counts what is asked, and misbehaves as it is told.

Each client gets a door of its own (a port), so that one of several can be told apart and held up. The
Host header goes on as the client signed it, and bodies are streamed. What it does to requests is drawn
from a seeded generator.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from tests.lab.httpwire import again, closes, read_body, read_head, wire
from tests.lab.s3faults import ANSWERS, Does, Mode, Rule
from tests.lab.s3requests import (
    Counting,
    Counts,
    Request,
    Resigner,
    carries_checksum,
    plus_read_as_space,
    unchecked,
    unconditional,
)
from tests.lab.seaweed import REGION, Seaweed

_HEAD = 1 << 17
_SKEW = 900.0  # seconds that S3 lets a request's date be off
_GIVEN_UP = 30.0

T = TypeVar("T")


class FaultProxy:
    """The proxy; a context manager. ``rules``, ``modes`` and ``clock`` (seconds it is wrong) may be set at any time."""

    def __init__(self, server: Seaweed, *, seed: int = 1) -> None:
        """``server``: what stands behind it."""
        self.modes: Collection[Mode] = ()
        self.clock = 0.0
        self.did = Counter[Does]()
        self._rules: Sequence[Rule] = ()
        self._passed = Counter[int]()
        self._done = Counter[int]()
        self._server = server
        self._upstream = urlsplit(server.endpoint)
        self._signer = Resigner(server.access_key, server.secret_key, REGION)
        self._random = random.Random(seed)
        self._counting = Counting()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy")
        self._doors: dict[str, str] = {}
        self._listeners: list[asyncio.Server] = []
        self._tasks = set[asyncio.Task[Any]]()
        self._held: list[tuple[Request, asyncio.Event]] = []
        self._frozen: dict[str, asyncio.Event] = {}

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self._in_loop(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def rules(self) -> Sequence[Rule]:
        """What is done to requests: the first that fits and is drawn."""
        return self._rules

    @rules.setter
    def rules(self, rules: Iterable[Rule]) -> None:
        rules = tuple(rules)

        async def change() -> None:
            self._rules = rules
            self._passed.clear()
            self._done.clear()

        self._in_loop(change())

    def endpoint(self, client: str = "") -> str:
        """The URL of the door for ``client``; always the same for one name."""
        if client not in self._doors:
            self._doors[client] = self._in_loop(self._open(client))
        return self._doors[client]

    def counts(self) -> Counts:
        """What was asked so far, of all doors."""
        return self._counting.now()

    def held(self, client: str = "") -> Sequence[Request]:
        """The requests of ``client`` that are held up now, by ``freeze`` or by a rule."""
        return [request for request, _ in list(self._held) if request.client == client]

    def release(self, client: str = "") -> None:
        """Let go of what a rule holds up of ``client``."""

        async def let_go() -> None:
            for request, event in self._held:
                if request.client == client:
                    event.set()

        self._in_loop(let_go())

    def freeze(self, client: str = "") -> None:
        """Hold up every request of ``client`` from now on, until ``thaw``."""

        async def stop() -> None:
            self._frozen.setdefault(client, asyncio.Event())

        self._in_loop(stop())

    def thaw(self, client: str = "") -> None:
        """Let every request of ``client`` go on."""

        async def go() -> None:
            event = self._frozen.pop(client, None)
            if event:
                event.set()

        self._in_loop(go())
        self.release(client)

    def _in_loop(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_GIVEN_UP)

    async def _open(self, client: str) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
                    await _Connection(self, client, reader, writer).serve()
            finally:
                self._tasks.discard(task)
                writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_HEAD, backlog=1024)
        self._listeners.append(listener)
        return f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"

    async def _shut(self) -> None:
        for listener in self._listeners:
            listener.close()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.sleep(0.01)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection to the server."""
        return await asyncio.open_connection(self._upstream.hostname, self._upstream.port, limit=_HEAD)

    def count(self, request: Request, **moved: int) -> None:
        """Count what ``request`` moved."""
        self._counting.add(request, **moved)

    def drawn(self, request: Request) -> Rule | None:
        """What is to be done to ``request``."""
        for index, rule in enumerate(self._rules):
            if not rule.fits(request):
                continue
            self._passed[index] += 1
            over = rule.times and self._done[index] >= rule.times
            if over or self._passed[index] <= rule.after or self._random.random() >= rule.share:
                continue
            self._done[index] += 1
            self.did[rule.does] += 1
            return rule
        return None

    def refused(self, request: Request) -> tuple[int, str, str] | None:
        """The answer of a server that will not have ``request``, as it is told to be."""
        if "refuse checksums" in self.modes and carries_checksum(request):
            return 501, "NotImplemented", "A header you provided implies functionality that is not implemented"
        dated = request.get("x-amz-date")
        if self.clock and dated:
            sent = datetime.strptime(dated, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
            if abs(sent - self.now()) > _SKEW:
                return 403, "RequestTimeTooSkewed", "The difference between the request time and the current time ..."
        return None

    def taken(self, request: Request) -> Request:
        """``request`` as the server takes it, with a good signature."""
        changed = request
        if "no conditions" in self.modes:
            changed = unconditional(changed)
        if "no checksums" in self.modes:
            changed = unchecked(changed)
        if "plus is space" in self.modes:
            changed = plus_read_as_space(changed)
        return request if changed == request and not self.clock else self._signer.sign(changed)

    def now(self) -> float:
        """The time as this server has it."""
        return time.time() + self.clock

    def date(self) -> str:
        """The same as headers write it."""
        return formatdate(self.now(), usegmt=True)

    async def hold(self, request: Request) -> None:
        """Wait until ``request`` is let go."""
        entry = (request, asyncio.Event())
        self._held.append(entry)
        try:
            await entry[1].wait()
        finally:
            self._held.remove(entry)

    async def thawed(self, request: Request) -> None:
        """Wait until the client is not frozen any more."""
        while request.client in self._frozen:
            await self.hold(request)


class _Connection:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(
        self, proxy: FaultProxy, client: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy, self._client = proxy, client
        self._reader, self._writer = reader, writer
        self._up: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        """Request after request, until one of both hangs up."""
        try:
            while await self._one():
                pass
        finally:
            self._hang_up()

    async def _one(self) -> bool:
        first, headers = await read_head(self._reader)
        method, target, _ = first.split(" ", 2)
        request = Request(client=self._client, method=method, target=target, headers=headers)
        self._proxy.count(request, requests=1)
        if request.get("expect"):
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await self._proxy.thawed(request)
        rule = self._proxy.drawn(request)
        refused = self._proxy.refused(request) or (ANSWERS.get(rule.does) if rule else None)
        if refused:
            await self._drain(request)
            return await self._answer(request, *refused)
        if rule is None:
            return await self._relay(request, self._body(request))
        return await self._misbehave(request, rule)

    async def _misbehave(self, request: Request, rule: Rule) -> bool:
        body = [piece async for piece in self._body(request)]
        if rule.does == "reset":
            return self._reset()
        if rule.does == "no answer":
            await self._gone(rule.seconds)
            return self._reset()
        if rule.does == "slow":
            await asyncio.sleep(rule.seconds)
        elif rule.does == "late":
            await self._gone(rule.seconds)
        elif rule.does == "hold":
            await self._proxy.hold(request)
        elif rule.does.startswith("done"):
            await self._relay(request, again(body), silent=True)
            rule.done(request)
            if rule.does == "done, error":
                return await self._answer(request, *ANSWERS["error"])
            if rule.does == "done, no answer":
                await self._gone(rule.seconds)
            return self._reset()
        return await self._relay(request, again(body), half=rule.does == "half")

    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        """The body as it is on the wire."""
        async for piece in read_body(self._reader, request.headers):
            self._proxy.count(request, up=len(piece))
            yield piece

    async def _drain(self, request: Request) -> None:
        async for _ in self._body(request):
            pass

    async def _relay(
        self, request: Request, body: AsyncIterator[bytes], *, silent: bool = False, half: bool = False
    ) -> bool:
        """Let the server do it. ``silent``: its answer is for nobody; ``half``: it breaks off."""
        taken = self._proxy.taken(request)
        if self._up is None:
            self._up = await self._proxy.connect()
        reader, writer = self._up
        writer.write(wire(f"{taken.method} {taken.target} HTTP/1.1", taken.without("expect")))
        async for piece in body:
            writer.write(piece)
            await writer.drain()
        first, headers = await read_head(reader)
        if self._proxy.clock:
            headers = [
                (k, formatdate(self._proxy.now(), usegmt=True) if k.lower() == "date" else v) for k, v in headers
            ]
        if not silent:
            self._writer.write(wire(first, headers))
        status = int(first.split(" ")[1])
        async for piece in read_body(
            reader, headers, answer=True, empty=request.method == "HEAD" or status in {204, 304}
        ):
            self._proxy.count(request, down=len(piece))
            if half:
                self._writer.write(piece[: len(piece) // 2])
                await self._writer.drain()
                self._writer.close()
                return False
            if not silent:
                self._writer.write(piece)
                await self._writer.drain()
        # An answer without a body cannot break off: hanging up after it would fail the next request, or not, by chance.
        return not closes(headers)

    async def _answer(self, request: Request, status: int, code: str, text: str) -> bool:
        """An error of S3."""
        xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>'
        body = b"" if request.method == "HEAD" else xml.encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        headers.append(("Date", self._proxy.date()))
        self._writer.write(wire(f"HTTP/1.1 {status} {code}", headers) + body)
        await self._writer.drain()
        return True

    async def _gone(self, seconds: float) -> None:
        """Wait until the client hangs up, so long at the most."""
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(self._reader.read(1), seconds)

    def _reset(self) -> bool:
        channel = self._writer.get_extra_info("socket")
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        return False

    def _hang_up(self) -> None:
        if self._up:
            self._up[1].close()
