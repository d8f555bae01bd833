"""HTTP to the daemon: one place for its URL, the certificates, the token, time, and what is tried again."""

import contextlib
import ipaddress
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from repod import __version__
from repod.client.problems import document, error_of, stranger
from repod.client.settings import Server
from repod.client.tokens import Token
from repod.errors import Misconfigured, OutcomeUnknown, RepodError, Unavailable, brief

PREFIX = "/api/v1"
_CONNECT_SECONDS = 10.0
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
# A server in trouble, or one that asks for patience: the same request may succeed later.
_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
_NOTHING_DONE = frozenset({425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for a daemon that does not answer, or asks for patience.

    ``attempts`` at the most, with ``first`` seconds after the first one, then twice as long each time; what the
    daemon asks for (``Retry-After``) is waited for where it is at most ``longest`` seconds.
    """

    attempts: int = 5
    first: float = 0.3
    longest: float = 30.0


PATIENT = Patience()

HURRIED = Patience(attempts=1)
"""Where somebody waits for an answer that is only nice to have."""


class _Again(Exception):
    """This try failed in a way that another may not. ``error`` is what is told where there is none."""

    def __init__(self, error: RepodError, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is no problem: ``body`` is JSON's value, ``links`` the URL of each ``rel``."""

    status: int
    body: Any
    links: Mapping[str, str]


class Wire:
    """The connection to one daemon. May be used by many threads."""

    def __init__(
        self,
        server: Server,
        token: Token | None,
        patience: Patience = PATIENT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """``Misconfigured`` where the token would be sent in clear, or the certificates cannot be read."""
        self.server = server
        self.base = server.url + PREFIX
        self._source = token.source if token else ""
        self._patience = patience
        self.sleep = sleep
        local = _is_local(server.url)
        secure = urlsplit(server.url).scheme == "https"
        if token and not secure and not local:
            remedy = "use https://, or a tunnel to 127.0.0.1"
            msg = f"{server.url}: the token would go there in clear, for anyone on the way to read; {remedy}"
            raise Misconfigured(msg)
        shown = {"Authorization": f"Bearer {token.text}"} if token else {}
        self._client = httpx.Client(
            # A TLS context that trusts nobody is made at once; that of the machine takes its time.
            verify=_trusted(server.ca) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            timeout=httpx.Timeout(server.timeout, connect=min(server.timeout, _CONNECT_SECONDS)),
            follow_redirects=False,
            # What is on this machine is never asked through a proxy.
            trust_env=not local,
            headers={"User-Agent": f"repoctl/{__version__}", "Accept": "application/json", **shown},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content: Callable[[], Any] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 0.0,
    ) -> Answer:
        """The answer to a request for ``path`` below the API, or the error that the daemon tells of.

        ``body`` is sent as JSON; ``content`` makes other content, anew for each try. ``seconds``: how long the
        daemon may wait before it answers, beyond the time-out. What may be done twice is tried again.
        """
        sent = None if content else json.dumps(body).encode() if body is not None else None
        more = {"Content-Type": "application/json"} if sent is not None else {}
        timeout = httpx.Timeout(
            self.server.timeout + seconds, connect=min(self.server.timeout, _CONNECT_SECONDS), write=self.server.timeout
        )

        def once() -> Answer:
            request = self._client.build_request(
                method,
                self.base + path,
                params={key: value for key, value in (params or {}).items() if value is not None},
                content=content() if content else sent,
                headers={**more, **(headers or {})},
                timeout=timeout,
            )
            with self._failures(method):
                answer = self._client.send(request)
            return self._told(method, answer)

        return self._patiently(once)

    @contextlib.contextmanager
    def stream(self, path: str, headers: Mapping[str, str], quiet: float) -> Iterator[Iterator[str]]:
        """The lines of an answer without end; ``Unavailable`` where nothing came for ``quiet`` seconds."""
        timeout = httpx.Timeout(quiet, connect=min(self.server.timeout, _CONNECT_SECONDS))
        try:
            with (
                self._failures("GET"),
                self._client.stream("GET", self.base + path, headers=dict(headers), timeout=timeout) as answer,
            ):
                if answer.status_code != httpx.codes.OK or _media(answer) != "text/event-stream":
                    answer.read()
                    self._told("GET", answer)
                    raise stranger(answer.status_code, _media(answer), answer.content, self.server.url)
                yield answer.iter_lines()
        except _Again as again:
            raise again.error from again

    def _patiently(self, once: Callable[[], Answer]) -> Answer:
        for attempt in range(self._patience.attempts):
            try:
                return once()
            except _Again as again:
                wait = max(again.after, self._patience.first * 2**attempt * random.uniform(0.8, 1.2))  # noqa: S311  # nosec B311
                if attempt + 1 == self._patience.attempts or again.after > self._patience.longest:
                    raise again.error from again
                self.sleep(wait)
        raise AssertionError  # the last attempt raises or returns

    @contextlib.contextmanager
    def _failures(self, method: str) -> Iterator[None]:
        """What of httpx becomes an error of ours, and what of it may be tried again."""
        url = self.server.url
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            if fault := _tls_fault(error):
                msg = f"{url}: TLS: {fault}"
                raise Misconfigured(msg) from error
            text = f"no connection to {url} ({brief(error)}); does repod run there, and is [server] url right?"
            raise _Again(Unavailable(text)) from error
        except httpx.TimeoutException as error:
            raise self._lost(method, f"{url} did not answer in time") from error
        except httpx.TransportError as error:
            text = f"the connection to {url} broke off ({brief(error)})"
            raise self._lost(method, text) from error
        except httpx.InvalidURL as error:
            msg = f"{url} is no URL that can be asked ({error})"
            raise Misconfigured(msg) from error

    def _lost(self, method: str, text: str) -> Exception:
        """What is raised where an answer did not come: a change may have been made all the same."""
        if method in _SAFE:
            return _Again(Unavailable(f"{text}; try again"))
        return OutcomeUnknown(f"{text}; the change may have been made: look with repoctl history before trying again")

    def _told(self, method: str, answer: httpx.Response) -> Answer:
        """What an answer says; errors where it tells of a problem."""
        status, media = answer.status_code, _media(answer)
        if status == httpx.codes.NO_CONTENT:
            return Answer(status=status, body={}, links={})
        if status < httpx.codes.MULTIPLE_CHOICES:
            if media != "application/json":
                raise stranger(status, media, answer.content, self.server.url)
            links = {str(rel): link["url"] for rel, link in answer.links.items()}
            return Answer(status=status, body=_json(answer, self.server.url), links=links)
        problem = document(status, media, answer.content)
        if problem is None:
            error = stranger(status, media, answer.content, self.server.url)
        elif "deed" in problem or "arrival" in problem:
            return Answer(status=status, body=dict(problem), links={})
        else:
            error = error_of(problem, self._source)
        if status in _NOTHING_DONE or (status in _AGAIN and method in _SAFE):
            raise _Again(error, _after(answer))
        raise error

    def problem(self, body: Mapping[str, Any]) -> RepodError:
        """The error that a problem document tells of."""
        return error_of(body, self._source)


def _is_local(url: str) -> bool:
    """Whether what is sent there does not leave this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _trusted(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        msg = f"[server] ca: {ca} cannot be used ({error}); expected a file with certificates, PEM"
        raise Misconfigured(msg) from error


def _media(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _json(answer: httpx.Response, url: str) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise stranger(answer.status_code, "what is no JSON", answer.content, url) from error


def _after(answer: httpx.Response) -> float:
    """Seconds that the daemon asks to wait; dates, which it never sends, count as none."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() and text.isascii() else 0.0


def _tls_fault(error: BaseException) -> str:
    """What is wrong with the other side's TLS, and what to do; empty where it is something else."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            remedy = "where its CA is your own, name the file of its certificate: [server] ca"
            return f"its certificate is not trusted ({found.verify_message}); {remedy}"
        if isinstance(found, ssl.SSLError):
            reason = (found.reason or "it failed").replace("_", " ").lower()
            return f"{reason}; does it speak TLS there, or is [server] url that of another port, or http://?"
        found = found.__cause__ or found.__context__
    return ""
