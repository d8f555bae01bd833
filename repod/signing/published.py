"""Public keys that hosts get: read from files, judged, described."""

import re
from collections.abc import Iterator, Mapping, Sequence

from repod.config import Signing
from repod.errors import Misconfigured
from repod.hostkeys import PUBLISHED, HostKey
from repod.signing.lint import KeyReport, lint
from repod.signing.openpgp import SECRET_KEY, Component, armor_certificate, certificates, minimal
from repod.signing.secret import read

_BLOCK = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_EXPORT = "gpg --armor --export FINGERPRINT"


def host_key(role: str, certificate: bytes, report: KeyReport, source: str) -> HostKey:
    """The key in a binary ``certificate`` that ``report`` judged."""
    (components,) = certificates(certificate)
    return HostKey(
        role=role,
        fingerprint=report.fingerprint,
        members=frozenset(component.fingerprint for component in components if component.fingerprint),
        algorithm=report.algorithm,
        created=components[0].created,
        expires=report.expires,
        source=source,
        certificate=armor_certificate(certificate),
        warnings=report.warnings,
    )


def split_keys(what: str, data: bytes) -> Sequence[bytes]:
    """The public certificates in a file, minimal and binary: armored blocks one after the other, or binary.

    ``what`` names the file in errors. Raises ``Misconfigured``.
    """
    found = [each for block in _BLOCK.findall(data) or [data] for each in _certificates(what, block)]
    if any(components[0].tag == SECRET_KEY for components in found):
        msg = f"{what} holds a secret key; expected public ones: {_EXPORT}"
        raise Misconfigured(msg)
    return [minimal(components) for components in found]


def judge(certificate: bytes, now: float) -> KeyReport:
    """``lint`` of a key that need not sign any more: that it expired is no fault, since hosts verify by it still."""
    report = lint(certificate, now)
    if report.expires is not None and report.expires <= now:
        return lint(certificate, report.expires - 1)
    return report


def read_published(settings: Signing, now: float, environ: Mapping[str, str]) -> Sequence[HostKey]:
    """The keys in the files ``published``. Raises ``Misconfigured`` with all faults."""
    keys: list[HostKey] = []
    faults: list[str] = []
    for place in settings.published:
        try:
            keys += _judged(place, now, environ)
        except Misconfigured as error:
            faults += error.faults
    if faults:
        raise Misconfigured(*faults)
    return keys


def _judged(place: str, now: float, environ: Mapping[str, str]) -> Iterator[HostKey]:
    what = f"[signing] published: {place}"
    for certificate in split_keys(what, read("published", place, environ)):
        report = judge(certificate, now)
        if report.faults:
            raise Misconfigured(*(f"{what}: {fault}" for fault in report.faults))
        yield host_key(PUBLISHED, certificate, report, place)


def _certificates(what: str, block: bytes) -> Sequence[Sequence[Component]]:
    try:
        return certificates(block)
    except ValueError as error:
        msg = f"{what} {error}; expected public keys: {_EXPORT}"
        raise Misconfigured(msg) from error
