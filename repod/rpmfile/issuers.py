"""Who signed packages, as their signature headers say it: read by the thousand, so nothing is verified here."""

import base64
import struct
from collections.abc import Iterator, Sequence

import pysequoia

from repod.rpmhead import LEAD_SIZE

# Signatures of the header, then of header and payload, as binary; rpm 6 has any number of them as base64.
_BINARY = {267, 268, 1002, 1005}
_TEXTS = 278
_INTRO = 16


def issuers(heads: Sequence[bytes]) -> list[list[str]]:
    """The issuers that the signatures of each package name: fingerprints, or key IDs; upper case, sorted.

    ``heads`` are the packages' beginnings, up to the end of the signature header at least. What cannot
    be read names nobody.
    """
    return [sorted(set(_issuers(head))) for head in heads]


def _issuers(head: bytes) -> Iterator[str]:
    for raw in _signatures(head):
        try:
            made = pysequoia.Sig.from_bytes(raw)
        except Exception:  # noqa: BLE001, S112 - its kind says nothing  # nosec B112
            continue
        yield (made.issuer_fingerprint or made.issuer_key_id or "").upper()


def _signatures(head: bytes) -> Iterator[bytes]:
    try:
        entries, size = struct.unpack_from(">II", head, LEAD_SIZE + 8)
        data = LEAD_SIZE + _INTRO + 16 * entries
        for at in range(LEAD_SIZE + _INTRO, data, 16):
            tag, _, offset, count = struct.unpack_from(">IIII", head, at)
            if tag in _BINARY:
                yield head[data + offset : min(data + offset + count, data + size)]
            elif tag == _TEXTS:
                for text in head[data + offset : data + size].split(b"\0")[:count]:
                    yield base64.b64decode(text)
    except (struct.error, ValueError):
        return
