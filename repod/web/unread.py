"""Requests that are too long: heads, and bodies of which the answer is known before they were read.

Who sends such a body is told to stop, and can read the answer.

Without this the server would read ten gigabytes to answer 401; and one that just closes its end has the client's
kernel throw the answer away.
"""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD_BYTES = 16 << 10
"""How long the head of a request may be."""

_CLOSE = (b"connection", b"close")
_SECONDS = 2.0  # for which what still comes is thrown away, so that the answer can be read
_BYTES = 8 << 20


class Unread:
    """ASGI middleware around everything: an answer to an unread body closes the connection, a moment later."""

    def __init__(self, app: ASGIApp) -> None:
        """``app``: what answers."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        app = _refuse if scope["type"] == "http" and _length(scope) > HEAD_BYTES else self._app
        if scope["type"] != "http" or not _has_body(scope):
            await app(scope, receive, send)
            return
        whole = False

        async def hearing() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            if whole:
                await send(message)
            elif message["type"] == "http.response.start":
                others = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                await send({**message, "headers": [*others, _CLOSE]})
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                await self._drain(hearing, lambda: whole)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await app(scope, hearing, sending)

    async def _drain(self, receive: Receive, is_over: Callable[[], bool]) -> None:
        """Throw away what still comes, for a while."""
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                while size < _BYTES and not is_over():
                    size += len((await receive()).get("body", b""))


async def _refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    text = b"the head of the request is longer than %d bytes\n" % HEAD_BYTES
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode()), _CLOSE]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _length(scope: Scope) -> int:
    """Of the head: the server itself limits only what has not come whole at once."""
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in scope["headers"]
    )
