"""Detached signatures, one or several together: whether they are by a certificate, and whom they name.

And whether certificates that others sign with may still be trusted.
"""

from collections.abc import Iterable, Iterator, Sequence

import pysequoia
from pysequoia.packet import PacketPile

from repod.signing.openpgp import ISSUER, ISSUER_ID, Signature, reason
from repod.times import stamp


def verify_detached(certificates: bytes, data: bytes, signature: bytes) -> bool:
    """Whether one in ``signature`` (armored or binary) over ``data`` verifies with one of the armored certificates."""
    known = pysequoia.Cert.split_bytes(certificates)
    try:
        packets = list(_packets(signature))
    except (RuntimeError, ValueError):
        return False
    return any(_verifies(known, data, packet) for packet in packets)


def signature_issuers(signature: bytes) -> Sequence[str]:
    """The issuers that the signatures in ``signature`` name, each a fingerprint or a key ID; none where it is none."""
    try:
        return [_issuer(Signature.read(packet)) for packet in _packets(signature)]
    except (RuntimeError, ValueError):
        return []


def untrusted(certificates: bytes, wanted: Iterable[str], now: float) -> Iterator[str]:
    """Of which keys, named by their full fingerprints, signatures do not count, or not any more, and why."""
    try:
        known = {one.fingerprint.upper(): one for one in pysequoia.Cert.split_bytes(certificates)}
    except RuntimeError as error:
        yield f"no OpenPGP keys can be read there ({reason(error)}): nothing counts as signed by them"
        return
    for fingerprint in wanted:
        one = known.get(fingerprint.upper())
        if one is None:
            yield f"{fingerprint} is not there, so nothing counts as signed by it; add what gpg --armor --export prints"
            continue
        revoked, ends = _state(one)
        if revoked:
            yield f"{fingerprint} is revoked, so nothing counts as signed by it; take it out of signed_by"
        elif ends is not None and ends <= now:
            yield f"{fingerprint} expired at {stamp(ends)}: nothing counts that it signed later; give it a later end"


def _state(certificate: pysequoia.Cert) -> tuple[bool, float | None]:
    """Whether it is revoked, and when it ends, in seconds since 1970; None: never."""
    try:
        ends = certificate.expiration
        return certificate.is_revoked, None if ends is None else ends.timestamp()
    except RuntimeError:  # it has no self-signature that counts, and so says neither
        return False, None


def _issuer(signature: Signature) -> str:
    full = signature.find(ISSUER)
    return (full[1:] if full else signature.find(ISSUER_ID) or b"").hex().upper()


def _packets(signature: bytes) -> Iterator[bytes]:
    for packet in PacketPile.from_bytes(signature):
        yield bytes(packet)


def _verifies(known: Sequence[pysequoia.Cert], data: bytes, packet: bytes) -> bool:
    try:
        pysequoia.verify(bytes=data, store=lambda _ids: list(known), signature=pysequoia.Sig.from_bytes(packet))
    except RuntimeError:
        return False
    return True
