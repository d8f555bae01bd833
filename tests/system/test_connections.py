"""A listener that nobody can hold for nothing: heads, bodies and answers must move, and the idle go first."""

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from repod.listening import Http
from repod.web.connections import Limits
from repod.web.listener import limits_for, raise_files, serving
from repod.web.tls import open_tls
from tests.lab.certificates import Authority
from tests.lab.uploads import Wire
from tests.lab.wait import until

# Far from every wait below: each test makes the one limit short that it is about, so that no other ends a connection
# where the machine is busy. What must be over ends soon; what must not has some seconds.
ROOMY = Limits(most=100, head=300, body=300, answer=300, rest=300, handshake=300)
_BIG = 32 << 20


class App:
    """``/read`` reads the body, ``/big`` answers at length, ``/slow`` reads nothing for ``pause``, else a short answer.

    ``received``: the bytes of bodies that were read; ``gone``: how many broke off.
    """

    def __init__(self) -> None:
        self.received = 0
        self.gone = 0
        self.pause = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b"ok"
        if scope["path"] == "/slow":
            await asyncio.sleep(self.pause)
        if scope["path"] in {"/read", "/slow"} and not await self._read(receive):
            return
        if scope["path"] == "/big":
            body = b"x" * _BIG
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})

    async def _read(self, receive: Receive) -> bool:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return False
            self.received += len(message.get("body", b""))
            more = message.get("more_body", False)
        return True


@contextlib.contextmanager
def listening(app: App, limits: Limits = ROOMY, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL at which ``app`` is served."""
    with socket.create_server(("127.0.0.1", 0)) as channel:
        url = f"http://127.0.0.1:{channel.getsockname()[1]}"
        with serving(app, channel, Http(), tls, limits):
            yield url


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def url(app: App) -> Iterator[str]:
    with listening(app) as found:
        yield found


def _ask(url: str, path: str = "/") -> bytes:
    with Wire(url) as wire:
        wire.head(f"GET {path}", "Connection: close")
        return wire.rest()


def test_a_connection_without_a_request_is_ended(app: App) -> None:
    with listening(app, replace(ROOMY, head=0.4)) as url, Wire(url) as wire:
        assert wire.rest() == b""


def test_a_head_that_comes_byte_by_byte_is_ended(app: App) -> None:
    with listening(app, replace(ROOMY, head=0.4)) as url, Wire(url) as wire:
        wire.socket.settimeout(0.05)

        def is_ended() -> bool:
            try:
                wire.send("X")
                return wire.socket.recv(100) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        with contextlib.suppress(ConnectionError):
            wire.send("GET / HTTP/1.1\r\n")
        until(is_ended, 60, "the connection to be ended")


def test_a_second_head_on_the_same_connection_has_its_time_too(app: App) -> None:
    with listening(app, replace(ROOMY, head=3)) as url, Wire(url) as wire:
        wire.head("GET /")
        assert wire.read_until(lambda found: found.endswith(b"ok")).endswith(b"ok")
        wire.send("GET /")
        assert wire.rest() == b""


def test_a_connection_rests_for_a_while_between_two_requests_and_not_for_ever(app: App) -> None:
    with listening(app, replace(ROOMY, head=2, rest=6)) as url, Wire(url) as wire:
        for pause in (2.5, 0):  # longer than a head may take, shorter than a connection may rest
            wire.head("GET /")
            assert wire.read_until(lambda found: found.endswith(b"ok")).endswith(b"ok")
            time.sleep(pause)
        assert wire.rest() == b""


def test_a_body_that_does_not_move_is_ended(app: App) -> None:
    with listening(app, replace(ROOMY, body=0.4)) as url, Wire(url) as wire:
        wire.head("PUT /read", "Content-Length: 1000")
        with contextlib.suppress(ConnectionError):
            wire.send("half")
        assert wire.rest() == b""
        until(lambda: app.gone == 1, 30, "the application to hear of it")


def test_a_slow_body_that_moves_is_taken_whole(app: App) -> None:
    with listening(app, replace(ROOMY, body=3)) as url, Wire(url) as wire:
        wire.head("PUT /read", "Content-Length: 5", "Connection: close")
        for _ in range(5):
            wire.send("x")
            time.sleep(0.8)
        assert wire.rest().endswith(b"ok")
    assert app.received == 5


def test_a_sender_is_not_blamed_where_the_application_reads_late(app: App) -> None:
    app.pause = 5
    with listening(app, replace(ROOMY, body=2)) as url, Wire(url) as wire:
        wire.head("PUT /slow", f"Content-Length: {1 << 20}", "Connection: close")
        wire.send(b"x" * (1 << 20))
        assert wire.rest().endswith(b"ok")
    assert app.received == 1 << 20


def test_an_answer_that_nobody_reads_is_ended(app: App) -> None:
    with listening(app, replace(ROOMY, answer=0.4)) as url, Wire(url) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.head("GET /big")
        until(lambda: _state(wire) != _ESTABLISHED, 60, "the connection to be ended")
        assert len(wire.rest()) < _BIG


_ESTABLISHED = 1  # in <netinet/tcp.h>


def _state(wire: Wire) -> int:
    """Of its connection, as the kernel has it."""
    return wire.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def test_an_answer_that_is_read_slowly_comes_whole(app: App) -> None:
    with listening(app, replace(ROOMY, answer=3)) as url, Wire(url) as wire:
        wire.head("GET /big", "Connection: close")
        size = 0
        while piece := wire.socket.recv(1 << 20):
            size += len(piece)
            time.sleep(0.005)
        assert size > _BIG


def test_where_there_are_too_many_the_one_that_is_idle_longest_goes(app: App) -> None:
    with listening(app, replace(ROOMY, most=8)) as url, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(Wire(url)) for _ in range(8)]
        for _ in range(20):
            assert _ask(url).endswith(b"ok")
        assert idle[0].rest() == b""


def test_where_all_are_busy_one_more_is_told_to_come_back(app: App) -> None:
    with listening(app, replace(ROOMY, most=4)) as url:
        with contextlib.ExitStack() as stack:
            for number in range(4):
                wire = stack.enter_context(Wire(url))
                wire.head("PUT /read", "Content-Length: 1000")
                wire.send("x")
                until(lambda number=number: app.received == number + 1, 30, "the body to begin")  # type: ignore[misc]
            refused = _ask(url)
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After" in refused
        until(lambda: _ask(url).endswith(b"ok"), 30, "room for another")


def test_a_handshake_that_is_not_finished_is_ended(app: App, tmp_path: Path) -> None:
    pair = Authority(tmp_path / "ca").issue("localhost")
    tls = open_tls(Http(tls_certificate=str(pair.certificate), tls_key=str(pair.key)))
    with listening(app, replace(ROOMY, handshake=0.4), tls) as url, Wire(url) as wire:
        with contextlib.suppress(ConnectionError):
            wire.send(b"\x16\x03\x01")
        assert wire.rest() == b""


@pytest.mark.parametrize("path", ["/", "/unread"])
def test_a_body_that_is_not_read_is_answered_and_the_connection_closed(url: str, path: str) -> None:
    with Wire(url) as wire:
        wire.head(f"PUT {path}", "Content-Length: 10000000000")
        wire.send(b"x" * 100_000)
        found = wire.read_until(lambda found: found.endswith(b"ok"))
        assert found.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in found.lower()
        with contextlib.suppress(OSError):  # it may be closed by now
            wire.send(b"x" * 100_000)
            wire.socket.shutdown(socket.SHUT_WR)
        assert wire.rest() == b""


def test_who_does_not_stop_sending_is_cut_off(url: str) -> None:
    with Wire(url) as wire:
        wire.head("PUT /", "Transfer-Encoding: chunked")

        def is_cut_off() -> bool:
            try:
                wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            except ConnectionError:
                return True
            return False

        until(is_cut_off, 60, "the sender to be cut off")


@pytest.mark.parametrize("length", [20_000, 100_000, 1_000_000])
def test_a_head_that_is_too_long_is_refused(url: str, length: int) -> None:
    with Wire(url) as wire, contextlib.suppress(ConnectionError):
        wire.head("GET /", "X-Long: " + "x" * length)
        assert wire.read_until(lambda found: b"\r\n" in found).startswith(b"HTTP/1.1 4")


def test_no_descriptor_is_left_open(url: str) -> None:
    assert _ask(url).endswith(b"ok")

    def opened() -> int:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))

    before = opened()
    for _ in range(50):
        with Wire(url) as wire:
            wire.head("PUT /read", "Content-Length: 1000")
    until(lambda: opened() <= before, 60, "the connections to be gone")


def test_a_process_opens_as_many_files_as_it_may() -> None:
    files = raise_files()
    assert files >= 1024
    assert limits_for(files).most >= 16
    assert limits_for(1024).most == 384
    assert limits_for(1 << 20).most == limits_for(65536).most == 2000
