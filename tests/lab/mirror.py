"""A real HTTP server over a directory, which can be told to fail in the ways that servers do."""

import base64
import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass(slots=True)
class Mirror:
    """``asked`` are the requests as they came: method, path, Range. ``troubles`` are used up one per request.

    A trouble is a status to answer with, ``"cut"`` (the connection ends in the middle of the body) or
    a URL to redirect to. ``shifted`` moves the start of ranges. ``needs`` is ``USER:PASSWORD``.
    ``etag`` goes with every answer.
    """

    root: Path
    port: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    troubles: dict[str, list[int | str]] = field(default_factory=dict)
    refused_methods: tuple[str, ...] = ()
    ranges: bool = True
    shifted: int = 0
    needs: str = ""
    etag: str = '"one"'
    encoding: str = ""
    before: Callable[[str], None] = lambda _path: None

    @property
    def url(self) -> str:
        """Of the root, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mirror: Mirror

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        mirror = self.mirror
        path = unquote(self.path)
        wanted = self.headers.get("Range", "")
        mirror.asked.append((self.command, self.path, wanted))
        mirror.authorizations.append(self.headers.get("Authorization", ""))
        mirror.before(path)
        troubles = mirror.troubles.get(path, [])
        trouble = troubles.pop(0) if troubles and body else ""
        file = mirror.root / path.lstrip("/")
        expected = "Basic " + base64.b64encode(mirror.needs.encode()).decode()
        if self.command in mirror.refused_methods:
            self._head(405)
        elif mirror.needs and self.headers.get("Authorization") != expected:
            self._head(401, {"WWW-Authenticate": 'Basic realm="lab"'})
        elif isinstance(trouble, int):
            self._head(trouble)
        elif trouble not in {"", "cut"}:
            self._head(302, {"Location": str(trouble)})
        elif not file.is_file():
            self._head(404)
        else:
            self._send(file.read_bytes(), wanted, body=body, cut=trouble == "cut")

    def _send(self, data: bytes, wanted: str, *, body: bool, cut: bool) -> None:
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        start = int(match[1]) if match and self.mirror.ranges else 0
        headers = {"ETag": self.mirror.etag} if self.mirror.etag else {}
        if self.mirror.encoding:
            headers["Content-Encoding"] = self.mirror.encoding
        if start >= len(data):
            self._head(416)
            return
        start += self.mirror.shifted if start else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._head(206 if start else 200, headers | {"Content-Length": str(len(data) - start)}, empty=False)
        if body:
            rest = data[start:]
            self.wfile.write(rest[: len(rest) // 2] if cut else rest)
        if cut:
            self.close_connection = True

    def _head(self, status: int, headers: dict[str, str] | None = None, *, empty: bool = True) -> None:
        self.send_response(status)
        for name, value in ((headers or {}) | ({"Content-Length": "0"} if empty else {})).items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silence: a client that had enough, or does not want what comes, hangs up."""


@contextlib.contextmanager
def mirror(root: Path) -> Iterator[Mirror]:
    """A server over ``root``, on a port of its own."""
    one = Mirror(root)
    handler = type("Handler", (_Handler,), {"mirror": one})
    with _Server(("127.0.0.1", 0), handler) as server:
        one.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield one
        finally:
            server.shutdown()
            thread.join()
