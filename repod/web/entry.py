"""The entry of the listener: what every request must be like, and what every answer says besides.

A name in the ``Host`` header that is not known is refused for API and pages: a page of a stranger, whose name was
made to point at this machine, cannot read them. Hosts, Prometheus and load balancers call by any name.
"""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repod.web.api.problems import Tell, is_api, problem, respond

LONGEST = 8192
"""Bytes of a request's target."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of pages: no script and no style but in files of its own."""

_LENIENT = ("/repos/", "/healthz", "/readyz", "/metrics")
_EVERYWHERE = {"X-Content-Type-Options": "nosniff"}
_PRIVATE = {
    **_EVERYWHERE,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_API = {
    **_PRIVATE,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_PAGES = {**_PRIVATE, "Cache-Control": "no-store", "Content-Security-Policy": PAGE_POLICY}

_HOST = re.compile(
    r"(?:([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9.])?)|\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\])(?::([0-9]{0,5}))?"
)
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(/[^?#]*)?", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HIDDEN = re.compile(rb"%2f|%5c|\\", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_SLASHES = re.compile(rb"//+")
_ERROR = 400

Named = Callable[[], Collection[str]]
"""The names by which the daemon is called, in lower case; shell patterns may be among them."""


class Entry:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, hosts: Named, tell: Tell) -> None:
        """``hosts`` is asked for each request; any address, and this machine's own names, are known besides."""
        self._app = app
        self._hosts = hosts
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = dict(scope)
        fault = _straighten(scope) or await self._stray(scope)
        path = scope["path"]
        send = _with_headers(send, _headers_for(path))
        if fault:
            found = problem(*fault)
            page = None if is_api(path) else self._tell(found, Request(scope))
            await (page or respond(found))(scope, receive, send)
        else:
            await self._answered(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer of the application; who went away while a body was read hears none, and nobody is told."""
        with contextlib.suppress(ClientDisconnect):
            if scope["method"] == "HEAD" and not scope["path"].startswith("/repos/"):
                await _headed(self._app, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _stray(self, scope: Scope) -> tuple[str, str] | None:
        """What is wrong with the host that is asked for."""
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        lenient = scope["path"].startswith(_LENIENT)
        if not values and lenient and scope["http_version"] == "1.0":
            return None
        if len(values) != 1:
            return "malformed", f"expected one Host header, found {len(values)}"
        match = _HOST.fullmatch(values[0])
        if match is None or int(match[3] or 0) >= 1 << 16 or not (match[1] or _is_address(match[2])):
            return "malformed", f"Host: expected NAME or NAME:PORT, found {values[0]!r}"
        if lenient or match[2] or _is_address(match[1]):
            return None
        name = match[1].lower().rstrip(".")
        if _is_among(name, self._hosts()) or name in await run_in_threadpool(machine_names):
            return None
        return "misdirected", f"{name} is no name of this repod; further ones stand in its settings: [http] hosts"


def _straighten(scope: Scope) -> tuple[str, str] | None:
    """Take an absolute target apart; what is wrong with the path."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if len(raw) + len(scope["query_string"]) > LONGEST:
        return "too-long", f"expected at most {LONGEST} bytes of path and query"
    if absolute := _ABSOLUTE.match(raw):
        # RFC 9112, 3.2.2: the host of an absolute target counts, not that of the header.
        raw = absolute[2] or b"/"
        others = [pair for pair in scope["headers"] if pair[0] != b"host"]
        scope["headers"] = [*others, (b"host", absolute[1])]
        _aim(scope, raw)
    # A baseurl that was put together of parts has two of them somewhere, and some versions of zypper send them too;
    # web servers take them for one.
    if (merged := _SLASHES.sub(b"/", raw)) != raw and merged.startswith(b"/repos/"):
        raw = merged
        _aim(scope, raw)
    if not raw.startswith(b"/"):
        return "malformed", "expected a target that is a path"
    if scope["path"].startswith("/repos/"):
        return None  # there a path is proven by what it means in the store
    return _crooked(raw)


def _aim(scope: Scope, raw: bytes) -> None:
    scope["raw_path"], scope["path"] = raw, unquote_to_bytes(raw).decode(errors="replace")


def _crooked(raw: bytes) -> tuple[str, str] | None:
    """What is wrong with a path of API or pages."""
    plain = unquote_to_bytes(raw)
    try:
        plain.decode()
    except UnicodeDecodeError:
        return "malformed", "expected a path in UTF-8"
    if _BROKEN_ESCAPE.search(raw):
        return "malformed", "expected two hexadecimal digits after each % of the path"
    if _HIDDEN.search(raw) or _CONTROL.search(plain):
        return "malformed", "expected a path without encoded slashes, back-slashes and control characters"
    if {b".", b".."} & set(plain.split(b"/")):
        return "malformed", "expected a path without . and .. as parts"
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_among(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@cache
def machine_names() -> Collection[str]:
    """What this machine is called. It may ask DNS: not on a loop, and once only."""
    return {name.lower().rstrip(".") for name in (socket.gethostname(), socket.getfqdn())}


def _headers_for(path: str) -> Mapping[str, str]:
    if path.startswith(_LENIENT):
        return _EVERYWHERE
    return _API if is_api(path) else _PAGES


def _with_headers(send: Send, more: Mapping[str, str]) -> Send:
    """``send`` that adds the headers that an answer does not have yet; of an error, that no cache keeps it.

    Caches keep a 404 that says nothing of it, and hosts would not see the file that comes a moment later.
    """
    wanted: Sequence[tuple[bytes, bytes]] = [(k.lower().encode(), v.encode()) for k, v in more.items()]
    faulty = [*(pair for pair in wanted if pair[0] != b"cache-control"), (b"cache-control", b"no-store")]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", ())}
            added = [pair for pair in (faulty if message["status"] >= _ERROR else wanted) if pair[0] not in there]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending


async def _headed(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer HEAD as GET without the body."""
    answered = False

    async def hearing() -> Message:
        # An answer that never ends (events) does when it hears that nobody listens.
        return {"type": "http.disconnect"} if answered else await receive()

    async def sending(message: dict[str, Any] | Message) -> None:
        nonlocal answered
        if message["type"] == "http.response.start":
            await send(message)
        elif not answered:
            answered = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    await app({**scope, "method": "GET"}, hearing, sending)
