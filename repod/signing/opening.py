"""``open_signer``: from settings to a signer that was proven."""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TypeVar

from repod.config import Signing
from repod.confinement.bounds import Mode
from repod.errors import Misconfigured
from repod.hostkeys import COSIGNS, SIGNS
from repod.signing.checked import CheckedSigner, OpenSigner, Source
from repod.signing.command import CommandSource
from repod.signing.gpg import GpgSource
from repod.signing.joined import JoinedSigner
from repod.signing.keyfile import KeyFileSource
from repod.signing.lint import KeyReport, lint
from repod.signing.openpgp import certificates, read_certificate
from repod.signing.published import host_key, read_published
from repod.signing.secret import read

__all__ = ["OpenSigner", "open_signer"]

_Made = TypeVar("_Made")


def open_signer(
    settings: Signing, now: float, environ: Mapping[str, str], *, processes: int = 2, confine: Mode = "auto"
) -> OpenSigner:
    """The signer that ``settings`` describe, proven by a first signature; close it after use.

    ``now`` is seconds since 1970; ``environ`` names systemd's credentials and is what gpg and
    commands get. A key file is used by ``processes`` processes, kept to what they need as
    ``confine`` says (see ``[workers]``). Raises ``Misconfigured`` with all
    faults of settings and keys.
    """
    faults: list[str] = []
    with ExitStack() as stack:
        published = _or_faults(lambda: read_published(settings, now, environ), faults) or ()
        own = _or_faults(lambda: _checked(settings, now, environ, processes, confine), faults)
        stack.callback(own.close if own else bool)
        second: list[str] = []
        cosigner = (
            _or_faults(lambda: _checked(settings.cosigning, now, environ, 1, confine), second)
            if settings.cosign
            else None
        )
        stack.callback(cosigner.close if cosigner else bool)
        faults += map(_of_cosigning, second)
        if own and cosigner and own.fingerprint == cosigner.fingerprint:
            faults.append(f"[signing] cosign: is the key {own.fingerprint}, which signs already; take it out")
        if faults or own is None:
            raise Misconfigured(*faults)
        keys = [host_key(SIGNS, own.certificate, own.report, settings.key)]
        if cosigner:
            keys.append(host_key(COSIGNS, cosigner.certificate, cosigner.report, settings.cosign))
        stack.pop_all()
    return JoinedSigner(own, cosigner, [*keys, *published])


def _or_faults(make: Callable[[], _Made], faults: list[str]) -> _Made | None:
    """What ``make`` makes; None where it cannot be made, and ``faults`` says why."""
    try:
        return make()
    except Misconfigured as error:
        faults += error.faults
        return None


def _of_cosigning(fault: str) -> str:
    """What was found with the settings of the cosigning key, by the names that these have."""
    fault = re.sub(r"\b(passphrase_file|public_key)\b", r"cosign_\1", fault)
    return fault.replace("[signing] key", "[signing] cosign")


def _checked(settings: Signing, now: float, environ: Mapping[str, str], processes: int, confine: Mode) -> CheckedSigner:
    """The signer of the one key that signs."""
    source = _source(settings, environ, processes, confine)
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


def _source(settings: Signing, environ: Mapping[str, str], processes: int, confine: Mode) -> Source:
    if not settings.key:
        msg = "[signing] key: expected a key file, credential:NAME, gpg:FINGERPRINT or command:PROGRAM, found nothing"
        raise Misconfigured(msg)
    if settings.key.startswith("gpg:"):
        return GpgSource(settings, environ)
    if settings.key.startswith("command:"):
        return CommandSource(settings, environ)
    return KeyFileSource(settings, environ, processes, confine)


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
