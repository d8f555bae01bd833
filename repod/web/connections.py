"""Connections that nobody can hold for nothing: each must get on, and when there are too many the idle go first.

uvicorn limits how long a connection may rest between two requests. Here is the rest of it: a request's head must
be whole in time, a body and an answer must move, and the number of connections is bounded.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11

from repod.web.tls import NamedConnection

_FULL = b"there are too many connections; try again later\n"
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_FULL), _FULL)
)
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``most`` connections at a time, and seconds for each step of one.

    ``head``: from the first byte, or from the connection, to the end of a request's head; ``body`` and ``answer``:
    without a byte; ``rest``: between two requests; ``handshake``: that of TLS.
    """

    most: int
    head: float = 10.0
    body: float = 30.0
    answer: float = 60.0
    rest: float = 10.0
    handshake: float = 10.0


class Crowd:
    """All connections there are. Only the event loop of the listener uses it."""

    def __init__(self, limits: Limits) -> None:
        """Nobody is there yet."""
        self.limits = limits
        self._all: set[Connection] = set()
        self._idle: dict[Connection, None] = {}

    def enter(self, one: "Connection") -> bool:
        """Let a connection in, if need be in place of the one that is idle longest; False where all are busy."""
        if len(self._all) >= self.limits.most:
            idle = next(iter(self._idle), None)
            if idle is None:
                return False
            self.leave(idle)
            idle.drop()
        self._all.add(one)
        return True

    def leave(self, one: "Connection") -> None:
        """It is gone."""
        self._all.discard(one)
        self._idle.pop(one, None)

    def idle(self, one: "Connection", *, is_idle: bool) -> None:
        """Whether nobody would miss it: no request is under way, or nobody reads the answer."""
        if not is_idle:
            self._idle.pop(one, None)
        elif one in self._all:
            self._idle.setdefault(one, None)


class Connection(NamedConnection):
    """One connection, with its clocks."""

    def __init__(self, *words: Any, crowd: Crowd, **settings: Any) -> None:
        """``crowd``: that of the listener; all else as uvicorn says it."""
        super().__init__(*words, **settings)
        self._crowd = crowd
        self._limits = crowd.limits
        self._reading = _Clock(self.loop)
        self._writing = _Clock(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        if not self._crowd.enter(self):
            transport.write(_REFUSAL)
            transport.close()
            return
        _notice_the_dead(transport, self._limits.answer)
        self._crowd.idle(self, is_idle=True)
        self._reading.start("head", self._limits.head, self.drop)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._reading.stop()
        self._writing.stop()
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._tend(moved=True)

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        self._tend(moved=False)

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``: more is to be sent than the other end takes."""
        super().pause_writing()
        self._crowd.idle(self, is_idle=True)
        self._writing.start("answer", self._limits.answer, self.drop)

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        super().resume_writing()
        self._crowd.idle(self, is_idle=self.conn.their_state is h11.IDLE)
        self._writing.stop()

    def drop(self) -> None:
        """End it now, whatever it is at; the kernel too keeps nothing of what was to be sent."""
        end = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _tend(self, *, moved: bool) -> None:
        """Set the clock by what is to come from the other end now; ``moved``: something has come."""
        state = self.conn.their_state
        if self.transport.is_closing():
            return
        self._crowd.idle(self, is_idle=state is h11.IDLE)
        if state is h11.IDLE:
            # A byte now and then does not put it off.
            begun = bool(self.conn.trailing_data[0])
            if begun and self._reading.of != "head":
                self._reading.start("head", self._limits.head, self.drop)
            elif not begun:
                self._reading.stop()  # uvicorn's own clock runs between two requests
        elif state is h11.SEND_BODY:
            if moved or self._reading.of != "body":
                self._reading.start("body", self._limits.body, self._stalled)
        else:
            self._reading.stop()

    def _stalled(self) -> None:
        if self.flow.read_paused:
            # It is repod that does not read on: the disk is slow.
            self._reading.start("body", self._limits.body, self._stalled)
        else:
            self.drop()


class _Clock:
    """One time limit; ``of``: what it limits, empty while it does not run."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self.of = ""

    def start(self, of: str, seconds: float, then: Callable[[], None]) -> None:
        self.stop()
        self.of = of
        self._handle = self._loop.call_later(seconds, self._over, then)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self.of = None, ""

    def _over(self, then: Callable[[], None]) -> None:
        self._handle, self.of = None, ""
        then()


def _notice_the_dead(transport: asyncio.Transport, seconds: float) -> None:
    """Have the kernel end a connection whose other end went away without a word."""
    end = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(seconds))
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * _MILLISECONDS))
