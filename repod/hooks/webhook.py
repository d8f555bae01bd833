"""Tells a web server, as Standard Webhooks say (https://www.standardwebhooks.com): signed, with an id and a time."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from repod import __version__
from repod.doors import Clock
from repod.errors import Misconfigured
from repod.happenings import Event
from repod.hooking import Hook, Undelivered
from repod.numerals import number

_PREFIX = "whsec_"
_SHORTEST = 16  # bytes of a secret
_ANSWER = 4096  # bytes of an answer that are read
_SHOWN = 200
_REDIRECT = range(300, 400)


class Webhook:
    """``Sink`` behind a URL. Each event has a connection of its own, and all of a try its time."""

    def __init__(self, hook: Hook, secrets: Sequence[bytes], clock: Clock) -> None:
        """``secrets``: keys; an event is signed with each, so that one can take the place of another."""
        self._hook = hook
        self._secrets = secrets
        self._clock = clock
        self._tls = ssl.create_default_context()

    def deliver(self, event: Event) -> str:
        """See ``Sink.deliver``."""
        body, stamp = event.to_json(), str(int(self._clock()))
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "User-Agent": f"repod/{__version__}",
            "Accept-Encoding": "identity",
            "webhook-id": event.id,
            "webhook-timestamp": stamp,
        }
        if self._secrets:
            headers["webhook-signature"] = " ".join(sign(key, event.id, stamp, body) for key in self._secrets)
        return asyncio.run(self._post(body, headers))

    async def _post(self, body: bytes, headers: dict[str, str]) -> str:
        target = self._hook.target
        try:
            # Over all of it: what httpx limits is each single step, of which a slow server may make any number.
            async with (
                asyncio.timeout(self._hook.timeout),
                httpx.AsyncClient(verify=self._tls, timeout=self._hook.timeout) as client,
            ):
                request = client.stream("POST", self._hook.url, content=body, headers=headers, follow_redirects=False)
                async with request as answer:
                    return _judged(target, answer, await _text(answer))
        except TimeoutError as error:
            raise Undelivered(f"{target} did not answer within {self._hook.timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
            raise Undelivered(f"{target} cannot be reached ({reason})") from error


async def _text(answer: httpx.Response) -> str:
    """The beginning of the body, in one line."""
    data = b""
    async for piece in answer.aiter_raw():
        data += piece
        if len(data) >= _ANSWER:
            break
    words = " ".join(data[:_ANSWER].decode(errors="replace").split())
    return "".join(char for char in words if char.isprintable())[:_SHOWN]


def _judged(target: str, answer: httpx.Response, text: str) -> str:
    """What a receiver said; ``Undelivered`` where it did not take the event."""
    status = answer.status_code
    if answer.is_success:
        return str(status)
    said = f"{target} answered {status}" + (f": {text}" if text else "")
    if status == HTTPStatus.GONE:
        msg = f"{said}; it wants no more events: correct the hook, or run repod hooks retry"
        raise Undelivered(msg, gone=True)
    if status in _REDIRECT:
        # Without its path, which may be the secret.
        place = answer.next_request.url.host if answer.next_request else "no place"
        msg = f"{said}; it is elsewhere ({place[:_SHOWN]}), and url must name that place"
        raise Undelivered(msg)
    raise Undelivered(said, after=_patience(answer.headers.get("retry-after", "")))


def _patience(value: str) -> float | None:
    """Seconds of a header Retry-After."""
    seconds = number(value.strip())
    if seconds is not None:
        return float(seconds)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def sign(key: bytes, name: str, stamp: str, body: bytes) -> str:
    """The signature of a message, by HMAC-SHA256 over its id, its time and its body."""
    mac = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


def read_secrets(what: str, data: bytes) -> Sequence[bytes]:
    """The keys in a file: a line each, ``whsec_`` and base64, or any text. ``Misconfigured`` names it as ``what``."""
    try:
        lines = [line.strip() for line in data.decode().splitlines() if line.strip()]
        keys = [_key(line) for line in lines]
    except (UnicodeDecodeError, binascii.Error):
        # The cause is left out: it would hold what the file holds.
        msg = f"{what}: expected a secret in each line, whsec_ and base64 or any text, found something else"
        raise Misconfigured(msg) from None
    if not keys or min(map(len, keys)) < _SHORTEST:
        msg = (
            f"{what}: expected a secret of at least {_SHORTEST} bytes in each line; make one with: openssl rand -hex 32"
        )
        raise Misconfigured(msg)
    return keys


def _key(line: str) -> bytes:
    if line.startswith(_PREFIX):
        return base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    return line.encode()
