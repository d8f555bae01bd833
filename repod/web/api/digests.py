"""Checksums that a request gives of its body, and whether the bytes that came have them.

``Content-Digest`` and ``Repr-Digest`` are those of RFC 9530; ``X-Checksum-Sha256`` is what other repositories take.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

from repod.web.api.problems import Declined

# The two that RFC 9530 does not call broken.
_ALGORITHMS: Mapping[str, str] = {"sha-256": "sha256", "sha-512": "sha512"}
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_PLAIN = "x-checksum-sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Promise:
    header: str
    algorithm: str
    value: bytes


class Digests:
    """Made of a request's headers, fed with its body. One thread at a time feeds it."""

    def __init__(self, headers: Headers) -> None:
        """``Declined`` where a header cannot be read."""
        self._promises = [*_structured(headers), *_plain(headers)]
        self._hashers = {name: hashlib.new(name) for name in {"sha256", *(one.algorithm for one in self._promises)}}

    def update(self, data: bytes) -> None:
        """The next bytes."""
        for hasher in self._hashers.values():
            hasher.update(data)

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._hashers["sha256"].hexdigest()

    def faults(self) -> Sequence[str]:
        """Each checksum that was given and that the bytes do not have."""
        found = {name: hasher.digest() for name, hasher in self._hashers.items()}
        return [
            f"{one.header}: expected {one.algorithm} {one.value.hex()}, found {found[one.algorithm].hex()}"
            for one in self._promises
            if found[one.algorithm] != one.value
        ]


def _structured(headers: Headers) -> Sequence[_Promise]:
    """Those of RFC 9530; algorithms that are not known are passed over, as it says."""
    found = []
    for header in ("content-digest", "repr-digest"):
        for member in ",".join(headers.getlist(header)).split(","):
            if not member.strip():
                continue
            match = _MEMBER.fullmatch(member)
            if match is None:
                raise _unread(header, "sha-256=:BASE64:", member.strip())
            if algorithm := _ALGORITHMS.get(match[1]):
                found.append(_Promise(header=header, algorithm=algorithm, value=_decoded(header, algorithm, match[2])))
    return found


def _decoded(header: str, algorithm: str, text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        value = b""
    length = hashlib.new(algorithm).digest_size
    if len(value) != length:
        raise _unread(header, f"a {algorithm} in base64", text)
    return value


def _plain(headers: Headers) -> Sequence[_Promise]:
    values = headers.getlist(_PLAIN)
    for value in values:
        if not _HEX.fullmatch(value.strip()):
            raise _unread(_PLAIN, "64 hexadecimal digits", value)
    return [_Promise(header=_PLAIN, algorithm="sha256", value=bytes.fromhex(value.strip())) for value in values]


def _unread(header: str, expected: str, found: str) -> Declined:
    return Declined("malformed", f"{header}: expected {expected}, found {found[:100]!r}")
