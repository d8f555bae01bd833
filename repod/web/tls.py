"""TLS of the listener, and the names in the certificates of those who connect."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from repod.errors import Misconfigured
from repod.listening import Http


def open_tls(http: Http) -> ssl.SSLContext | None:
    """What the settings say of TLS; None for plain HTTP. ``Misconfigured`` where a file cannot be used."""
    if not http.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    renew(context, http)
    if http.tls_client_ca:
        try:
            context.load_verify_locations(cafile=http.tls_client_ca)
        except OSError as error:
            msg = f"[http] tls_client_ca {http.tls_client_ca}: expected CA certificates in PEM form ({error})"
            raise Misconfigured(msg) from error
        # Not required: /healthz asks nobody, and a token or a password may do instead.
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def renew(context: ssl.SSLContext, http: Http) -> None:
    """Read certificate and key anew, for connections from now on; ``Misconfigured`` where that fails."""
    try:
        context.load_cert_chain(http.tls_certificate, http.tls_key)
    except OSError as error:
        files = f"tls_certificate {http.tls_certificate}, tls_key {http.tls_key}"
        msg = f"[http] {files}: expected a certificate and its own key without a passphrase, in PEM form ({error})"
        raise Misconfigured(msg) from error


class NamedConnection(H11Protocol):
    """A connection whose requests know who is at its other end.

    ``request.state.certificate`` are the names in the client's certificate, ``request.state.peer`` is the address
    that connected: of the proxy, where there is one.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        names = certificate_names(tls.getpeercert() if tls else None)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        self.app_state = self.app_state | {"certificate": names, "peer": address}


def certificate_names(certificate: Mapping[str, Any] | None) -> Sequence[str]:
    """The names that a certificate is for, as ``getpeercert`` shows it: DNS names first, then the common name."""
    return tuple(dict.fromkeys(_names(certificate or {})))


def _names(certificate: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for kind, name in certificate.get("subjectAltName", ()) if kind == "DNS")
    for part in certificate.get("subject", ()):
        yield from (value for key, value in part if key == "commonName")
