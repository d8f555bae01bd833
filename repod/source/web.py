"""A repository behind an http or https URL."""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from repod import __version__
from repod.errors import Misconfigured, NotFound, Unavailable
from repod.numerals import number

_ATTEMPTS = 6
_REDIRECTS = 10
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)
# A server in trouble, or one that asks for patience: the same request may succeed later.
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
# An object store that may not be listed answers 403 for what is not there.
_ABSENT = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_NO_HEAD = {HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
_RANGE = re.compile(r"bytes ([0-9]+)-")


class _Again(Exception):
    """This try failed in a way that another may not."""


class Wire:
    """The connections to all servers of one source."""

    def __init__(self, pause: Callable[[int], None]) -> None:
        """``pause`` sleeps a little, longer for a higher number of the attempt."""
        self.pause = pause
        self._client: httpx.Client | None = None

    @property
    def client(self) -> httpx.Client:
        """Opened when first needed: reading the machine's certificates takes its time."""
        if self._client is None:
            self._client = httpx.Client(
                verify=ssl.create_default_context(),
                timeout=_TIMEOUT,
                follow_redirects=True,
                max_redirects=_REDIRECTS,
                # The bytes are wanted as they lie there: a .gz that comes "decoded" is not what repomd names.
                headers={"User-Agent": f"repod/{__version__}", "Accept-Encoding": "identity"},
            )
        return self._client

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()


@dataclass(slots=True)
class _Transfer:
    """How far one file has come. ``etag``: of the state that is being sent."""

    done: int = 0
    etag: str = ""


class Web:
    """Files below a base URL. Names are encoded here, exactly once."""

    def __init__(self, wire: Wire, url: str) -> None:
        """``url`` may hold a user and a password, which no message ever shows."""
        self._wire = wire
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Misconfigured(f"not a URL ({error}); expected https://HOST/PATH") from error
        if not parts.hostname or parts.query or parts.fragment:
            msg = "expected a URL like https://HOST/PATH, with a host and without ? and #"
            raise Misconfigured(msg)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = host if port is None else f"{host}:{port}"
        self.name = urlunsplit((parts.scheme, netloc, parts.path.rstrip("/") + "/", "", ""))
        self.origin = (parts.scheme, parts.hostname, port)
        self.auth: tuple[str, str] | None = None
        if parts.username is not None:
            self.auth = (unquote(parts.username), unquote(parts.password or ""))

    def size(self, href: str) -> int | None:
        """See ``Source.size``."""
        url = self.name + encoded(href)

        def ask() -> int | None:
            with self._answer("HEAD", url, {}) as response:
                if response.status_code not in _NO_HEAD:
                    return _length(self._good(response, url))
            with self._answer("GET", url, {}) as response:
                return _length(self._good(response, url))

        return self._tried(ask)

    def open(self, href: str) -> Iterator[bytes]:
        """See ``Source.open``. What breaks off is carried on where it stopped."""
        url = self.name + encoded(href)
        transfer = _Transfer()
        for attempt in range(_ATTEMPTS):
            try:
                yield from self._rest(url, transfer)
            except _Again as error:
                problem = error
                self._wire.pause(attempt)
            else:
                return
        raise Unavailable(f"{url}: {problem}, {_ATTEMPTS} times; try again later")

    def path(self, _href: str) -> None:
        """No local file."""

    def _tried(self, ask: Callable[[], int | None]) -> int | None:
        for attempt in range(_ATTEMPTS):
            try:
                return ask()
            except _Again as error:
                problem = error
                self._wire.pause(attempt)
        raise Unavailable(f"{self.name}: {problem}, {_ATTEMPTS} times; try again later")

    def _rest(self, url: str, transfer: _Transfer) -> Iterator[bytes]:
        """The bytes from where ``transfer`` stands."""
        headers = {"Range": f"bytes={transfer.done}-"} if transfer.done else {}
        if transfer.done and transfer.etag:
            headers["If-Range"] = transfer.etag
        with self._answer("GET", url, headers) as response:
            if transfer.done and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise Unavailable(f"{url} became shorter while it was read; try again")
            self._good(response, url)
            skip = transfer.done - _start(response)
            if skip < 0:
                raise Unavailable(f"{url}: asked for bytes from {transfer.done}, got later ones; try again")
            etag = response.headers.get("ETag", "")
            etag = "" if etag.startswith("W/") else etag
            if transfer.done and etag != transfer.etag:
                raise Unavailable(f"{url} changed while it was read; try again")
            transfer.etag = etag
            for piece in self._pieces(response):
                fresh = piece[skip:]
                skip = max(0, skip - len(piece))
                transfer.done += len(fresh)
                if fresh:
                    yield fresh

    @contextmanager
    def _answer(self, method: str, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The server's answer; nothing of its body is read yet."""
        # httpx gives the password to no other host than this one, wherever it is sent to.
        stream: Any = self._wire.client.stream(method, url, headers=headers, auth=self.auth)
        try:
            response = stream.__enter__()
        except httpx.TransportError as error:
            raise _Again(_words(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{url}: {_words(error)}") from error
        try:
            yield response
        finally:
            stream.__exit__(None, None, None)

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_raw()
        except httpx.TransportError as error:
            raise _Again(f"broke off ({_words(error)})") from error

    def _good(self, response: httpx.Response, url: str) -> httpx.Response:
        status = response.status_code
        said = f"{status} {response.reason_phrase}".strip()
        if status in _AGAIN:
            raise _Again(f"the server answers {said}")
        if status in _ABSENT:
            raise NotFound(f"{url}: the server answers {said}")
        if status == HTTPStatus.UNAUTHORIZED:
            raise Unavailable(f"{url}: the server answers {said}; give https://USER:PASSWORD@HOST/PATH")
        if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise Unavailable(f"{url}: expected 200, the server answers {said}")
        return response


def encoded(href: str) -> str:
    """A raw href as a part of a URL, encoded exactly once."""
    return quote(href.lstrip("/"), safe="/~")


def _length(response: httpx.Response) -> int | None:
    length = number(response.headers.get("Content-Length"))
    return None if "Content-Encoding" in response.headers else length


def _start(response: httpx.Response) -> int:
    """The offset of the answer's first byte in the file."""
    match = _RANGE.match(response.headers.get("Content-Range", ""))
    start = number(match[1]) if match and response.status_code == HTTPStatus.PARTIAL_CONTENT else 0
    return start or 0


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
