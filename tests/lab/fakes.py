"""Small true twins of what use cases stand on: a signer, RPM files that are lines of text, a clock.

A "certificate" is the key itself, so a signature is a MAC: it proves as much, in a microsecond.
"""

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repod.doors import Unreadable
from repod.errors import Unavailable
from repod.package import Entry, Facts, Fault, Nevra, Package, Sha256, Signature, StorePath, sha256
from repod.signatures import Issuers
from tests.lab.entries import described

_MAGIC = b"FAKE RPM "


@dataclass(slots=True)
class Clock:
    """A clock that the test moves; it goes on by ``tick`` seconds with every look at it."""

    now: float = 1_000_000.0
    tick: float = 0.0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class MacSigner:
    """``Signer``. Like OpenPGP's, two signatures over the same bytes differ. ``broken``: it cannot sign.

    Hosts also get the keys of ``others``.
    """

    def __init__(self, name: str = "ours", *, others: Sequence["MacSigner"] = ()) -> None:
        secret = hashlib.sha256(name.encode()).hexdigest()
        self.fingerprint = secret[:40].upper()
        self.public_key = f"KEY {self.fingerprint} {secret}\n".encode()
        self.published = b"".join([self.public_key, *(other.public_key for other in others)])
        self.broken = ""
        self._numbers = itertools.count()

    def sign(self, data: bytes) -> bytes:
        if self.broken:
            raise Unavailable(self.broken)
        number = str(next(self._numbers)).encode()
        return number + b":" + _mac(self.public_key, number, data)

    def sign_index(self, data: bytes) -> bytes:
        return self.sign(data)


def _mac(key: bytes, number: bytes, data: bytes) -> bytes:
    return hmac.digest(key.split()[2], number + data, "sha256").hex().encode()


def verifies(key: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the holder of ``key`` (one line) signed ``data``."""
    number, _, mac = signature.partition(b":")
    return hmac.compare_digest(mac, _mac(key, number, data))


def armor(signature: bytes) -> bytes:
    """The text form of a signature."""
    return b"-----BEGIN " + signature + b" END-----\n"


def dearmor(text: bytes) -> bytes:
    """The signature in its text form."""
    return text.removeprefix(b"-----BEGIN ").removesuffix(b" END-----\n")


def rpm(nevra: str, content: str = "", signer: MacSigner | None = None) -> bytes:
    """A "package": another ``content`` is another build; ``signer`` signs it as a builder would."""
    header = {"nevra": nevra, "content": content}
    return _file(header, signer.sign(_signable(header)) if signer else b"", signer.fingerprint if signer else "")


def _signable(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True).encode()


def _file(header: dict[str, Any], signature: bytes, key: str) -> bytes:
    return _MAGIC + json.dumps({"header": header, "signature": signature.decode(), "key": key}).encode()


@dataclass(slots=True)
class FakeRpms:
    """``Rpms``. Faults of the file come from its content: ``fault=CODE``.

    ``hurt`` changes a sealed file; ``doubtful``: a signature that was there is not good enough.
    """

    hurt: Callable[[bytes], bytes] | None = None
    doubtful: bool = False
    seen: list[str] = field(default_factory=list)

    def examine(self, path: Path, trusted: bytes) -> Facts:
        data = path.read_bytes()
        if not data.startswith(_MAGIC):
            raise Unreadable(Fault(code="not-rpm", text=f"not an RPM: {data[:9]!r}"))
        try:
            fields = json.loads(data.removeprefix(_MAGIC))
        except ValueError as error:
            raise Unreadable(Fault(code="truncated", text=f"truncated: {error}")) from error
        header, signature = fields["header"], fields["signature"].encode()
        content = header["content"]
        self.seen.append(header["nevra"])
        keys = [line for line in trusted.splitlines() if line]
        return Facts(
            nevra=Nevra.parse(header["nevra"]),
            size=len(data),
            header_sha256=_sha256(_signable(header)),
            payload_sha256=_sha256(content.encode()),
            source_rpm="",
            payload_compressor="gzip",
            signatures=(Signature(key=fields["key"], hash_algorithm="SHA256"),) if signature else (),
            signers=tuple(
                key.split()[1].decode() for key in keys if signature and verifies(key, _signable(header), signature)
            ),
            file_digest="sha256",
            faults=tuple(
                Fault(code=word.removeprefix("fault="), text=f"something about {word}")
                for word in content.split()
                if word.startswith("fault=")
            ),
            signable=_signable(header),
        )

    def seal(self, path: Path, signature: bytes | None, published: bytes, href: StorePath, changelogs: int) -> Entry:
        del changelogs
        if signature is not None:
            header = json.loads(path.read_bytes().removeprefix(_MAGIC))["header"]
            data = _file(header, signature, published.split()[1].decode())
            path.write_bytes(self.hurt(data) if self.hurt else data)
        facts = self.examine(path, published)
        if not facts.signers or (self.doubtful and signature is None):
            raise Unreadable(Fault(code="signing", text="its signature does not verify with our public key"))
        return described(facts.nevra, path.read_bytes(), href).entry

    def describe(self, path: Path, known: Package | None, href: StorePath, changelogs: int) -> Entry:
        del known, changelogs  # such a "file" is no longer than its beginning
        facts = self.examine(path, b"")
        if facts.faults:
            raise Unreadable(*facts.faults)
        return described(facts.nevra, path.read_bytes(), href).entry

    def glance(self, path: Path, known: Package, trusted: bytes) -> Facts:
        del known  # as in describe
        return self.examine(path, trusted)


class Forgetful:
    """``Seen`` that remembers nothing."""

    def load(self) -> Mapping[Sha256, Issuers]:
        return {}

    def save(self, known: Mapping[Sha256, Issuers]) -> None:
        del known


def signers_of(heads: Sequence[bytes]) -> Sequence[Sequence[str]]:
    """Who signed these "packages": ``Read``."""
    return [[key] if (key := json.loads(head.removeprefix(_MAGIC))["key"]) else [] for head in heads]


def _sha256(data: bytes) -> Sha256:
    return sha256(hashlib.sha256(data).hexdigest())
