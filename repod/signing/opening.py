"""``open_signer``: from settings to a signer that was proven."""

from collections.abc import Mapping

from repod.config import Signing
from repod.errors import Misconfigured
from repod.signing.checked import CheckedSigner, OpenSigner, Source
from repod.signing.command import CommandSource
from repod.signing.gpg import GpgSource
from repod.signing.keyfile import KeyFileSource
from repod.signing.lint import KeyReport, lint
from repod.signing.openpgp import certificates, read_certificate
from repod.signing.secret import read

__all__ = ["OpenSigner", "open_signer"]


def open_signer(settings: Signing, now: float, environ: Mapping[str, str], *, processes: int = 2) -> OpenSigner:
    """The signer that ``settings`` describe, proven by a first signature; close it after use.

    ``now`` is seconds since 1970; ``environ`` names systemd's credentials and is what gpg and
    commands get. A key file is used by ``processes`` processes. Raises ``Misconfigured`` with all
    faults of settings and key.
    """
    source = _source(settings, environ, processes)
    try:
        if settings.public_key:
            source.certificate = _published(source.certificate, settings, environ)
        report = _judged(source, now)
        source.select(report.signing_key)
        signer = CheckedSigner(source, report)
        signer.prove()
    except BaseException:
        source.close()
        raise
    return signer


def _source(settings: Signing, environ: Mapping[str, str], processes: int) -> Source:
    if not settings.key:
        msg = "[signing] key: expected a key file, credential:NAME, gpg:FINGERPRINT or command:PROGRAM, found nothing"
        raise Misconfigured(msg)
    if settings.key.startswith("gpg:"):
        return GpgSource(settings, environ)
    if settings.key.startswith("command:"):
        return CommandSource(settings, environ)
    return KeyFileSource(settings, environ, processes)


def _judged(source: Source, now: float) -> KeyReport:
    report = lint(source.certificate, now, source.held)
    if report.faults:
        # Such a key must be replaced, so whether its passphrase is right does not matter.
        raise Misconfigured(*(f"[signing] key: {fault}" for fault in report.faults))
    return report


def _published(own: bytes, settings: Signing, environ: Mapping[str, str]) -> bytes:
    """The certificate in ``public_key``, which must be that of the key: it may know a later expiry."""
    name = f"[signing] public_key: {settings.public_key}"
    given = read_certificate(name, read("public_key", settings.public_key, environ))
    expected, found = (certificates(key)[0][0].fingerprint for key in (own, given))
    if expected != found:
        msg = f"{name} is the key {found}; expected {expected}, which [signing] key holds"
        raise Misconfigured(msg)
    return given
