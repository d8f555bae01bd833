"""The proxy: HTTP/1.1 on loopback for this host's own package managers, S3 behind it."""

from __future__ import annotations

import base64
import contextlib
import hmac
import http.server
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from repod.hosts import peers
from repod.hosts.bucket import Answer, Buckets
from repod.hosts.faults import Fault, Malformed, Refused
from repod.hosts.place import Prefix, Target, rewritten, settle
from repod.hosts.settings import Listen

_CONNECTIONS = 1000
_STALLED = 60.0  # seconds without a byte either way
_SMALL = 1 << 20
_ASKED = ("Range", "If-None-Match", "If-Modified-Since", "If-Range")
_PARTIAL = {"Range", "If-Range"}


def say(line: str) -> None:
    """One line for the journal, or for who runs dnf."""
    print(f"repod-s3: {line}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Policy:
    """Who may read what. ``password``: also asked for, as a proxy's, where it is not empty."""

    allow: Sequence[Prefix]
    users: Sequence[int]
    password: str = ""
    verbose: bool = False


class Proxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread per connection; connections of others get 403 and are closed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, listener: socket.socket, policy: Policy, buckets: Buckets) -> None:
        """``listener``: bound to loopback and listening; it is the caller's to close."""
        self.address_family = listener.family
        super().__init__(listener.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        # What http.server's own binding would have set.
        host, port = listener.getsockname()[:2]
        self.own = str(Listen(host, port))
        self.server_name, self.server_port = host, port
        self.policy = policy
        self.buckets = buckets
        self.places = threading.BoundedSemaphore(_CONNECTIONS)
        self._lock = threading.Lock()
        self._busy = 0
        self._rested = time.monotonic()

    def process_request(self, request: Any, client_address: Any) -> None:
        """See socketserver; waits while there are too many."""
        self.places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """See socketserver."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """A client that went away is no news; anything else is one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            say(f"a request failed: {type(error).__name__}: {error}")

    @contextlib.contextmanager
    def working(self) -> Any:
        """Around a request: so long the proxy is not idle."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._rested = time.monotonic()

    def idle(self) -> float:
        """Seconds since the last request ended; 0 while there is one."""
        with self._lock:
            return 0.0 if self._busy else time.monotonic() - self._rested


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection, request after request."""

    server: Proxy
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    timeout = _STALLED
    disable_nagle_algorithm = True

    def version_string(self) -> str:
        """See http.server."""
        return "repod-s3"

    def handle(self) -> None:
        """See http.server; a stranger is shown the door whatever it asks for."""
        peer = peers.uid(self.connection)
        if peer in self.server.policy.users:
            super().handle()
            return
        who = "somebody who is gone" if peer is None else f"the user with uid {peer}"
        say(f"refused {who}: not in allow_users of repod-s3.conf")
        line = f"{who} may not use this proxy; root may allow it: allow_users in repod-s3.conf"
        self.request_version, self.command, self.close_connection = self.protocol_version, "GET", True
        self._answer(403, line)
        # Closing before the request is read would cost the client the answer.
        self.connection.settimeout(1.0)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + 1.0
            while self.connection.recv(65536) and time.monotonic() < deadline:
                pass

    def parse_request(self) -> bool:
        """See http.server; blanks inside a path, which clients should have encoded, are taken as they are."""
        words = self.raw_requestline.rstrip(b"\r\n").split(b" ")
        if len(words) > 3:  # noqa: PLR2004 - method, target, version
            self.raw_requestline = b" ".join([words[0], b"%20".join(words[1:-1]), words[-1]]) + b"\r\n"
        return super().parse_request()

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method but GET and HEAD: 405."""
        if name.startswith("do_"):
            return self._no_such_method
        raise AttributeError(name)

    def do_GET(self) -> None:
        """The object, or what of it was asked for."""
        with self.server.working():
            self._serve()

    def do_HEAD(self) -> None:
        """The same without the bytes."""
        with self.server.working():
            self._serve()

    def _no_such_method(self) -> None:
        self.close_connection = True
        self._answer(405, f"{self.command}: expected GET or HEAD", {"Allow": "GET, HEAD"})

    def _serve(self) -> None:
        policy = self.server.policy
        if policy.password and not self._knows(policy.password):
            self._answer(407, "expected the password of this run", {"Proxy-Authenticate": 'Basic realm="repod-s3"'})
            return
        try:
            if {"Content-Length", "Transfer-Encoding"} & {name.title() for name in self.headers}:
                self.close_connection = True
                _refuse_body(self.path)
            target = settle(self.path, self.headers.get("Host", ""), self.server.own, policy.allow)
            answer = self._asked(target)
        except Fault as fault:
            self._fail(fault)
            return
        if policy.verbose:
            say(f"{self.command} {target}: {answer.status}")
        self._send(target, answer)

    def _knows(self, password: str) -> bool:
        given = self.headers.get("Proxy-Authorization", "").encode("latin-1", "replace")
        wanted = b"Basic " + base64.b64encode(f"repod:{password}".encode())
        return hmac.compare_digest(given, wanted)

    def _asked(self, target: Target) -> Answer:
        asked = {name: self.headers[name] for name in _ASKED if name in self.headers}
        if not target.names_places:
            return self.server.buckets.get(target, asked, head=self.command == "HEAD")
        answer = self.server.buckets.get(target, {name: asked[name] for name in asked if name not in _PARTIAL})
        if answer.status != 200 or int(answer.headers["Content-Length"]) > _SMALL:  # noqa: PLR2004 - not modified
            return answer
        content = rewritten(b"".join(answer.body), target.base)
        headers = {name: value for name, value in answer.headers.items() if name != "Accept-Ranges"}
        return Answer(200, {**headers, "Content-Length": str(len(content))}, iter((content,)))

    def _send(self, target: Target, answer: Answer) -> None:
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers and answer.status != 304:  # noqa: PLR2004 - has no body
                self.send_header("Content-Length", "0")
            self.end_headers()
            if self.command == "HEAD":
                return
            for piece in answer.body:
                self.wfile.write(piece)
        except Fault as fault:  # too late for a status: a broken connection tells the client to ask for the rest
            say(f"{fault}; broke off")
            self.close_connection = True
        except OSError:
            self.close_connection = True
            if self.server.policy.verbose:
                say(f"{target}: the client went away")
        finally:
            getattr(answer.body, "close", bool)()

    def _fail(self, fault: Fault) -> None:
        if fault.status != 404:  # noqa: PLR2004 - clients probe for what is not there
            say(str(fault))
        self._answer(fault.status, str(fault))

    def _answer(self, status: int, line: str, headers: dict[str, str] | None = None) -> None:
        """One line as the whole answer."""
        body = f"repod-s3: {line}\n".encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, *_: Any) -> None:
        """Nothing: who wants to see every request says so (``verbose``)."""

    def log_message(self, *_: Any) -> None:
        """Nothing: faults are told where they happen."""


def _refuse_body(path: str) -> NoReturn:
    msg = f"{path}: expected a request without a body"
    raise Malformed(msg)


def listening(address: Listen) -> socket.socket:
    """A socket of its own; ``Refused`` where the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        msg = f"listen: {address} cannot be had ({error.strerror}); stop who holds it, or choose another port"
        raise Refused(msg) from error
    listener.listen(Proxy.request_queue_size)
    return listener
