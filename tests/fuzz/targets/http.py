"""Raw HTTP to a running daemon: whatever comes in, it answers as it documents, and goes on."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from tests.fuzz import mutate
from tests.fuzz.core import Finding, Opened, Target
from tests.lab import rpms, uploads
from tests.lab.daemon import Repod
from tests.lab.keys import make_key
from tests.lab.wait import until

_WAIT = 20.0
_TOKEN = b"@token@"
_READ = (
    "/",
    "/healthz",
    "/metrics",
    "/repos/test/repodata/repomd.xml",
    "/repos/test/Packages/h/hello-1.0-1.noarch.rpm",
    "/repos/test/mirrorlist",
    "/api/v1/repositories/test/packages?limit=2&q=hel*&cursor=x",
    "/api/v1/repositories/test/packages/hello-1.0-1.noarch",
    "/api/v1/repositories/test/generations/1",
    "/api/v1/repositories/test/rejected?before=1-x",
    "/api/v1/repositories/test/diff?from=1&to=2",
    "/api/v1/audit/head",
)
_SENT = (
    ("PUT", "/api/v1/repositories/test/inbox/a.rpm", b"not a package", "application/octet-stream"),
    ("POST", "/api/v1/repositories/test/rollback", b'{"to": 1}', "application/json"),
    ("POST", "/api/v1/repositories/test/remove", b'{"nevras": ["hello-1.0-1.noarch"], "why": "x"}', "application/json"),
    ("PUT", "/api/v1/repositories/test/hosts/web1", b'{"packages": [{"nevra": "a-1-1.noarch"}]}', "application/json"),
    ("POST", "/api/v1/repositories/test/advisories", b'{"id": "A-1"}', "application/json"),
)
_PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.rpm"\r\n'
    b"Content-Type: application/x-rpm\r\n\r\nxyz\r\n--b--\r\n"
)


def _request(method: str, path: str, body: bytes = b"", media: str = "", *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: @host@", "Authorization: Bearer @token@", "Accept: */*", *more]
    if body:
        lines += [f"Content-Type: {media}", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _seeds() -> Iterator[bytes]:
    for path in _READ:
        yield _request("GET", path)
    yield _request("GET", _READ[4], b"", "", "Range: bytes=0-9,20-29")
    yield _request("HEAD", _READ[3], b"", "", 'If-None-Match: "x"', "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT")
    for method, path, body, media in _SENT:
        yield _request(method, path, body, media)
    yield _request("POST", "/api/v1/repositories/test/inbox", _PARTS, "multipart/form-data; boundary=b")
    yield _request("PUT", _SENT[0][1], b"xyz", "x/y", "Digest: sha-256=AAAA", "Content-Digest: sha-256=:AAAA:")
    chunks = _request("PUT", _SENT[0][1], b"", "", "Transfer-Encoding: chunked", "Expect: 100-continue")
    yield chunks + b"3\r\nxyz\r\n0\r\n\r\n"
    yield _request("GET", "/healthz") + _request("GET", "/readyz")


def mutated(draw: Random, data: bytes) -> bytes:
    """Another line, header or body; the length said is the true one, as a rule."""
    head, _, body = data.partition(b"\r\n\r\n")
    kind = draw.random()
    if kind < 0.25 and body:
        body = (mutate.as_json if body[:1] in b"{[" else mutate.text)(draw, body)
    elif kind < 0.5:
        first, end, rest = head.partition(b"\r\n")
        head = mutate.text(draw, first) + end + rest
    elif kind < 0.8:
        lines = head.split(b"\r\n")
        at = draw.randrange(len(lines))
        if draw.random() < 0.3:
            lines.insert(at, lines[at])
        lines[at] = mutate.text(draw, lines[at])
        head = b"\r\n".join(lines)
    else:
        return mutate.text(draw, data)
    lines = [
        f"Content-Length: {len(body)}".encode()
        if line.lower().startswith(b"content-length:") and draw.random() < 0.9
        else line
        for line in head.split(b"\r\n")
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Daemon:
    """A daemon that is asked."""

    def __init__(self, repod: Repod, token: str) -> None:
        place = urlsplit(repod.url)
        self._repod = repod
        self._place = (place.hostname or "", place.port or 0)
        self._host = f"{place.hostname}:{place.port}".encode()
        self._token = token.encode()
        self._noise = len(repod.noise())

    def run(self, data: bytes) -> str:
        """Send it, and hear the answer; then the sender says that no more comes."""
        sent = data.replace(_TOKEN, self._token).replace(b"@host@", self._host)
        answer = self._answer(sent)
        if not answer:
            return "closed"
        first, _, rest = answer.partition(b"\r\n")
        words = first.split(b" ", 2)
        if len(words) < 2 or not words[1].isdigit():
            raise Finding(f"no answer of HTTP: {first[:200]!r}")
        status = int(words[1])
        if status >= 500 and status not in {501, 503, 505, 507}:
            raise Finding(f"answers {status}: {rest[-500:]!r}")
        if b"Traceback" in rest:
            raise Finding(f"tells its inside: {rest[-500:]!r}")
        method = data.split(b" ", 1)[0][:7].decode(errors="replace")
        return f"{method} {status} {_type(rest)}"

    def _answer(self, sent: bytes) -> bytes:
        began, found = time.monotonic(), b""
        with socket.create_connection(self._place, timeout=_WAIT) as wire:
            with contextlib.suppress(OSError):
                wire.sendall(sent)
                wire.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):  # a time-out is none
                while (piece := wire.recv(1 << 16)) and len(found) < 1 << 20:
                    found += piece
        if time.monotonic() - began > _WAIT:
            raise Finding(f"no answer within {_WAIT:g} s")
        return found

    def settle(self) -> None:
        """It is well, and has said nothing that is no event."""
        status, _ = self._repod.get("/healthz")
        noise = self._repod.noise()[self._noise :]
        self._noise += len(noise)
        if status != 200 or noise:
            raise Finding(f"after all that it answers {status}, and said {noise[-20:]}")
        failed = [one for one in self._repod.log_events() if "exception" in one or one.get("level") == "critical"]
        if failed:
            raise Finding(f"its log: {json.dumps(failed[-1])[:1500]}")


def _type(rest: bytes) -> str:
    for line in rest.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line.lower().startswith(b"content-type:"):
            return line.split(b":", 1)[1].strip()[:30].decode(errors="replace")
    return ""


@contextlib.contextmanager
def _open(folder: Path) -> Iterator[Opened]:
    secret = folder / "key.asc"
    secret.touch(0o600)
    secret.write_bytes(make_key("rsa2048").secret)
    settings = {"http": {"tokens": "tokens.json"}}
    with Repod(folder, secret, {"test": {}}, settings=settings) as repod:
        rpms.quick(repod.inbox(), "hello")
        until(lambda: repod.find_events("published"), 60, "a package to be published")
        verbs = ("read", "upload", "promote", "rollback", "remove", "mark", "verify", "report")
        daemon = Daemon(repod, uploads.token(repod, *(word for verb in verbs for word in ("--may", verb))))
        yield Opened(run=daemon.run, settle=daemon.settle)


HTTP = Target(
    name="http",
    what="raw HTTP to a running daemon: lines, headers, ranges, bodies, several parts",
    seeds=_seeds,
    mutate=mutated,
    open=_open,
    seconds=10,
)
