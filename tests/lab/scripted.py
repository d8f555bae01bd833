"""A real HTTP server that answers as it is told, request by request, and remembers what it was asked."""

import contextlib
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer. ``breaks``: the connection is closed in place of it. ``after``: seconds before it."""

    status: int = 200
    body: bytes = b"{}"
    media: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks: bool = False
    after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def answer(value: Any, status: int = 200, **headers: str) -> Said:
    """JSON."""
    return Said(status=status, body=json.dumps(value).encode(), headers=headers)


def problem(kind: str, status: int, detail: str, **more: Any) -> Said:
    """A problem document, as the API has it."""
    headers = more.pop("headers", {})
    body = {"type": f"/api/v1/problems/{kind}", "title": "", "status": status, "detail": detail, **more}
    return Said(status=status, body=json.dumps(body).encode(), media="application/problem+json", headers=headers)


class Scripted:
    """The server: ``script`` is what is answered next, the last of it again and again; ``asked`` what came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.script: list[Said] = []
        self.asked: list[Asked] = []
        self._lock = threading.Lock()

    def play(self, *script: Said) -> None:
        """Answer these, one after the other."""
        self.script = list(script)
        self.asked = []

    def next(self, asked: Asked) -> Said:
        """The answer to a request."""
        with self._lock:
            self.asked.append(asked)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def _handler(scripted: Callable[[], Scripted]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = scripted().next(Asked(method=self.command, path=self.path, headers=headers, body=body))
            time.sleep(said.after)
            if said.breaks:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            with contextlib.suppress(OSError):  # who asked may have gone
                self.send_response(said.status)
                for name, value in {"Content-Type": said.media, **said.headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

        do_GET = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - as http.server names them

        def log_message(self, *_: object) -> None:
            """Nothing: the test reports."""

    return Handler


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Nothing: a client that hangs up is no news."""


@contextlib.contextmanager
def scripted(tls: Sequence[str] = ()) -> Iterator[Scripted]:
    """The server on loopback; ``tls``: the files of its certificate and key."""
    made: list[Scripted] = []
    with _Server(("127.0.0.1", 0), _handler(lambda: made[0])) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        made.append(Scripted(f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made[0]
        finally:
            server.shutdown()
            thread.join()
