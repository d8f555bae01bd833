"""Detached signatures, one or several together: whether they are by a certificate, and whom they name."""

from collections.abc import Iterator, Sequence

import pysequoia
from pysequoia.packet import PacketPile

from repod.signing.openpgp import ISSUER, ISSUER_ID, Signature


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
