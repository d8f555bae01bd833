"""A web server that webhooks are posted to: real HTTP, which fails, hangs and dies as it is told."""

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tests.lab.certificates import Pair
from tests.lab.hooked import check_event


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One request: its path, its headers with lower-case names, its body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent; proven by the schema."""
        found: dict[str, Any] = json.loads(self.body)
        check_event(found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``hang``: seconds before each byte of the body, and before the head where ``late``."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: float = 0.0
    late: bool = False


class WebReceiver:
    """Serves while inside; ``act`` says what each request is answered, and ``port`` may be one of before."""

    def __init__(self, tls: Pair | None = None, port: int = 0) -> None:
        self.posted: list[Posted] = []
        self.act: Callable[[Posted], Answer] = lambda _: Answer()
        self._closing = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                posted = Posted(path=self.path, headers=headers, body=body)
                receiver.posted.append(posted)
                receiver._answer(self, receiver.act(posted))

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # who asks may be killed, or not wait
                    super().handle()

            def log_message(self, *args: object) -> None:
                """Nothing: the test reports."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/in"

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was posted, each event proven by the schema; one that was told again is there again."""
        return [posted.event for posted in list(self.posted)]

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.late and self._sleep(answer.hang):
            return
        try:
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(answer.body)))
            handler.end_headers()
            for number in range(len(answer.body)):
                if answer.hang and self._sleep(answer.hang):
                    return
                handler.wfile.write(answer.body[number : number + 1])
        except OSError:
            handler.close_connection = True

    def _sleep(self, seconds: float) -> bool:
        """True where the server ends meanwhile."""
        return self._closing.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
