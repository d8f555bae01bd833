"""Serves an application on a socket, from a thread of its own, within limits that no client can get around."""

import asyncio
import contextlib
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from repod.listening import Http
from repod.web.connections import Connection, Crowd, Limits
from repod.web.unread import HEAD_BYTES, Unread

_MOST_FILES = 65_536  # programs that close every number there could be are slow beyond
_KEPT_FILES = 256  # for all else that repod has open
_MOST = 2000
_GRACE = 1  # seconds that requests get to end
_JOIN = 2.0
_SHUTDOWN = 2.0  # seconds that the other end gets to say goodbye, by TLS


def raise_files() -> int:
    """Let this process open as many files as it may, within reason; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return soft if soft != resource.RLIM_INFINITY else _MOST_FILES
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return soft


def limits_for(files: int) -> Limits:
    """Limits for a process that may open so many files; each connection may have a second one open."""
    return Limits(most=max(16, min(_MOST, (files - _KEPT_FILES) // 2)))


class _Server(uvicorn.Server):
    """uvicorn's server with connections that have limits."""

    def __init__(self, config: uvicorn.Config, crowd: Crowd) -> None:
        super().__init__(config)
        self._crowd = crowd

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, for sockets that are bound already."""
        config = self.config
        await self.lifespan.startup()
        make = partial(
            Connection, config=config, server_state=self.server_state, app_state=self.lifespan.state, crowd=self._crowd
        )
        tls: dict[str, Any] = {}
        if config.ssl:
            tls = {"ssl_handshake_timeout": self._crowd.limits.handshake, "ssl_shutdown_timeout": _SHUTDOWN}
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(make, sock=one, ssl=config.ssl, backlog=config.backlog, **tls)
            for one in sockets or ()
        ]
        self.started = True


@contextlib.contextmanager
def serving(
    app: ASGIApp, channel: socket.socket, http: Http, tls: ssl.SSLContext | None, limits: Limits
) -> Iterator[None]:
    """Serve ``app`` on ``channel`` while inside."""
    config = uvicorn.Config(
        Unread(app),
        log_config=None,
        log_level="error",  # below that it tells of every request that is no HTTP, as anybody may send them
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=int(limits.rest),
        h11_max_incomplete_event_size=HEAD_BYTES,
        lifespan="off",
        ws="none",
        forwarded_allow_ips=list(http.proxies),
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )
    server = _Server(config, Crowd(limits))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [channel]}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_JOIN)
