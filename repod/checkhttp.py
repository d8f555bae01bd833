"""``repod check`` of the listener: who reaches it, by which certificate, and who is known to it."""

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from repod.access import METRICS, READ
from repod.auditing import Audit
from repod.auditlog.file import doubts
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
    yield from _known(http, audited=bool(settings.audit.file))
    yield from _audit(settings.audit)
    if http.access == "open":
        for one in settings.repository:
            if one.readers != ("*",) and list(one.readers) != ["*"]:
                text = 'readers has no effect: [http] access is "open"; set it to "readers"'
                yield fault(f"{one.name}: readers", text)


def _exposure(http: Http) -> Iterator[Problem]:
    if "*" in http.proxies:
        text = 'proxies has "*", so whoever connects may say that he is another address; name the proxies themselves'
        yield fault("http.proxies", text)
    if http.is_loopback or http.tls_certificate:
        return
    if any(proxy not in _LOOPBACK for proxy in http.proxies):
        return
    place = f"{http.listen} is not a loopback address and has no TLS"
    along = "who is between can read along" + (", tokens and passwords too" if http.tokens or http.passwords else "")
    remedy = "set tls_certificate and tls_key, or name in proxies the reverse proxy before it"
    yield fault("http.listen", f"{place}: {along}, and answer in its place; {remedy}")


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


def _known(http: Http, *, audited: bool) -> Iterator[Problem]:
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
        changing = [one.name for one in tokens if not set(one.verbs) <= {READ, METRICS}]
        if changing and not audited:
            text = f"tokens may change things ({', '.join(changing)}), and nothing writes down what they do"
            yield warning("audit.file", f"{text}; name a file in [audit] file")
        if not folder.is_dir():
            yield fault("http.tokens", f"{folder} is not a directory; create it for the user repod runs as, mode 0700")
        elif http.access == "readers" and not (tokens or http.passwords or http.tls_client_ca):
            yield warning("http.tokens", "there is no token yet, so nobody may read; make one: repod token add NAME")
        if Path(http.tokens).exists() and Path(http.tokens).stat().st_mode & 0o077:
            yield fault("http.tokens", f"{http.tokens} is open to others than its owner; chmod 600 it")


def _audit(audit: Audit) -> Iterator[Problem]:
    if not audit.file:
        return
    file = Path(audit.file)
    place = file if file.exists() else file.parent
    if not file.parent.is_dir():
        yield fault("audit.file", f"{file.parent} is not a directory; create it for the user repod runs as, mode 0750")
    elif not os.access(place, os.W_OK):
        yield fault("audit.file", f"{place} is not writable; give it to the user repod runs as")
    else:
        try:
            yield from (fault("audit.file", text) for text in doubts(file))
        except RepodError as error:
            yield fault("audit.file", str(error))
