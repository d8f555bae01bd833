"""``repod check`` of the listener: who reaches it, by which certificate, and who is known to it."""

import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from repod.callers.passwords import PasswordFile
from repod.callers.tokens import TokenFile
from repod.config import Settings
from repod.errors import Misconfigured, RepodError
from repod.listening import Http
from repod.problems import Problem, fault, warning
from repod.web.tls import open_tls

_SOON = 14 * 86400.0
_LOOPBACK = {"127.0.0.1", "::1"}


def check_listener(settings: Settings, now: float) -> Iterator[Problem]:
    """All problems with ``[http]``."""
    http = settings.http
    yield from _exposure(http)
    yield from _certificate(http, now)
    yield from _known(http)
    if http.access == "open":
        for one in settings.repository:
            if one.readers != ("*",) and list(one.readers) != ["*"]:
                text = 'readers has no effect: [http] access is "open"; set it to "readers"'
                yield fault(f"{one.name}: readers", text)


def _exposure(http: Http) -> Iterator[Problem]:
    if http.is_loopback or http.tls_certificate:
        return
    place = f"{http.listen} is not a loopback address and has no TLS"
    behind = [proxy for proxy in http.proxies if proxy not in _LOOPBACK]
    if http.access == "readers" and not behind:
        text = f"{place}: tokens and passwords would cross the network in the clear; set tls_certificate and tls_key,"
        yield fault("http.listen", f"{text} or name the reverse proxy before it in proxies")
    elif http.access == "open" and not behind:
        text = f"{place}: anyone who reaches it reads every repository; packages are signed, but not secret."
        yield warning("http.listen", f'{text} Set access = "readers", TLS, or proxies')


def _certificate(http: Http, now: float) -> Iterator[Problem]:
    try:
        context = open_tls(http)
    except Misconfigured as error:
        yield fault("http.tls", str(error))
        return
    if context is None:
        return
    ends = _end(context, http)
    if ends is None or ends <= now:
        yield fault("http.tls", f"tls_certificate {http.tls_certificate}: it has expired, or does not hold; renew it")
    elif ends <= now + _SOON:
        on = time.strftime("%Y-%m-%d", time.gmtime(ends))
        yield warning("http.tls", f"tls_certificate {http.tls_certificate}: it ends on {on}; renew it, then SIGHUP")


def _end(server: ssl.SSLContext, http: Http) -> float | None:
    """When the certificate ends, by a handshake in memory that trusts it as it is; None where it does not hold."""
    client = ssl.create_default_context(cafile=http.tls_certificate)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    for _ in range(4):
        for one in ends:
            try:
                with suppress(ssl.SSLWantReadError):
                    one.do_handshake()
            except ssl.SSLError:
                return None
    seen = ends[0].getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(seen["notAfter"]))) if "notAfter" in seen else None


def _known(http: Http) -> Iterator[Problem]:
    if http.passwords:
        try:
            PasswordFile(Path(http.passwords)).names()
        except RepodError as error:
            yield fault("http.passwords", str(error))
    if http.tokens:
        folder = Path(http.tokens).parent
        try:
            tokens = TokenFile(Path(http.tokens), time.time).list()
        except RepodError as error:
            yield fault("http.tokens", str(error))
            return
        if not folder.is_dir():
            yield fault("http.tokens", f"{folder} is not a directory; create it for the user repod runs as, mode 0700")
        elif not tokens and not http.passwords and not http.tls_client_ca:
            yield warning("http.tokens", "there is no token yet, so nobody may read; make one: repod token add NAME")
        if Path(http.tokens).exists() and Path(http.tokens).stat().st_mode & 0o077:
            yield warning("http.tokens", f"{http.tokens} is readable by others; chmod 600 it")
