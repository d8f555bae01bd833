"""Uploads as CI jobs send them: with curl and a token; and requests that no decent client would send."""

import json
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.lab.daemon import Repod
from tests.lab.rpms import tool

_MARK = "\n--status "
TOKENS = {"http": {"tokens": "tokens.json"}}
"""Settings with which a daemon takes uploads."""


class Curled(NamedTuple):
    """What curl got: status (0 where there was none), headers and body as text, and its own exit status.

    ``sent``: how many bytes of a body it sent.
    """

    status: int
    text: str
    rc: int
    sent: int = 0

    @property
    def body(self) -> Any:
        """The JSON that was answered."""
        return json.loads(self.text[self.text.index("{") :])


def token(repod: Repod, *words: str, name: str = "ci") -> str:
    """A new token; ``words`` are those of ``repod token add``, by default it may upload."""
    made = repod.cli("token add", name, *(words or ("--may", "upload")))
    assert made.rc == 0, made.err
    return made.out.strip()


class Curl:
    """curl with a token, at the inbox of a repository."""

    def __init__(self, repod: Repod, secret: str, repository: str = "test") -> None:
        self.api = f"{repod.url}/api/v1/repositories/{repository}"
        self.inbox = f"{self.api}/inbox/"
        self._secret = secret

    def put(self, file: Path | str, *words: str, url: str = "") -> Curled:
        """``curl -T FILE WORDS URL``; the URL is that of the inbox where none is given."""
        return self.run("-T", str(file), *words, url or self.inbox)

    def run(self, *words: str) -> Curled:
        """``curl WORDS`` with the token."""
        bearer = ["-H", f"Authorization: Bearer {self._secret}"] if self._secret else []
        done = subprocess.run(
            [tool("curl"), "-sS", "-w", _MARK + "%{http_code} %{size_upload}", *bearer, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        text, _, numbers = done.stdout.rpartition(_MARK)
        status, sent = map(int, (numbers or "0 0").split())
        return Curled(status, text, done.returncode, sent)


class Wire:
    """A connection to the daemon on which anything may be written."""

    def __init__(self, repod: Repod | str, *, source: str = "") -> None:
        """``source``: the address it comes from, one of this machine."""
        place = urllib.parse.urlsplit(repod if isinstance(repod, str) else repod.url)
        self.host = f"{place.hostname}:{place.port}"
        there = (place.hostname or "", place.port or 0)
        self.socket = socket.create_connection(there, timeout=30, source_address=(source, 0))

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def head(self, line: str, *headers: str) -> None:
        """The head of a request."""
        self.send("\r\n".join([f"{line} HTTP/1.1", f"Host: {self.host}", *headers, "", ""]))

    def read_until(self, enough: Callable[[bytes], bool], seconds: float = 60.0) -> bytes:
        """What comes, until it is enough or the connection ends; ``AssertionError`` where neither is so in time."""
        found, end = b"", time.monotonic() + seconds
        while not enough(found):
            assert time.monotonic() < end, f"not enough within {seconds:g} s: {found[-500:]!r}"
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                break
            except TimeoutError:
                continue
            if not piece:
                break
            found += piece
        return found

    def rest(self) -> bytes:
        """All that comes until the connection ends."""
        return self.read_until(lambda _: False)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
