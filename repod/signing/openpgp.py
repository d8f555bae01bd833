"""OpenPGP keys as packets: what must be looked at byte by byte (RFC 4880, sections 4, 5.2 and 12).

pysequoia takes armor and packets apart and does the cryptography. It does not show which
subpackets are critical, and it refuses to describe keys that it holds to be bad; both decide
whether rpm on a host takes a certificate.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pysequoia
from pysequoia.packet import PacketPile

from repod.errors import Misconfigured

SIGNATURE, SECRET_KEY, PUBLIC_KEY, SECRET_SUBKEY, USER_ID, PUBLIC_SUBKEY = 2, 5, 6, 7, 13, 14
PRIMARY = (PUBLIC_KEY, SECRET_KEY)
SUBKEY = (PUBLIC_SUBKEY, SECRET_SUBKEY)

CERTIFICATIONS = (0x10, 0x11, 0x12, 0x13)
BINDING, BACK_SIGNATURE, DIRECT = 0x18, 0x19, 0x1F
REVOCATIONS = (0x20, 0x28, 0x30)

CREATED, LIFETIME, KEY_LIFETIME, ISSUER_ID, KEY_FLAGS, EMBEDDED, ISSUER = 2, 3, 9, 16, 27, 32, 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Subpacket:
    """One subpacket of a signature."""

    kind: int
    critical: bool
    hashed: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature packet, taken apart but not verified. ``packet`` holds its bytes with the header."""

    packet: bytes
    version: int
    kind: int
    key_algorithm: int
    hash_algorithm: int
    subpackets: Sequence[Subpacket]

    @classmethod
    def parse(cls, body: bytes, packet: bytes = b"") -> "Signature":
        """The signature in a packet's body; ``ValueError`` where it is cut short."""
        try:
            if body[0] == 3:  # noqa: PLR2004 - the version number
                # Creation time and issuer have fixed places in version 3.
                fixed = ((CREATED, body[3:7]), (ISSUER_ID, body[7:15]))
                found = [Subpacket(kind=k, critical=False, hashed=True, data=d) for k, d in fixed]
                kind, key_algorithm, hash_algorithm = body[2], body[15], body[16]
            else:
                kind, key_algorithm, hash_algorithm = body[1:4]
                found = list(_areas(body)) if body[0] == 4 else []  # noqa: PLR2004
        except IndexError as error:
            msg = "a signature packet is cut short"
            raise ValueError(msg) from error
        return cls(
            packet=packet,
            version=body[0],
            kind=kind,
            key_algorithm=key_algorithm,
            hash_algorithm=hash_algorithm,
            subpackets=found,
        )

    @classmethod
    def read(cls, packet: bytes) -> "Signature":
        """The signature in a whole packet, as pysequoia writes it."""
        (only,) = PacketPile.from_bytes(packet)
        return cls.parse(only.body, packet)

    def find(self, kind: int) -> bytes | None:
        """The first subpacket of that kind; one in the hashed area wins."""
        found = sorted((s for s in self.subpackets if s.kind == kind), key=lambda s: not s.hashed)
        return found[0].data if found else None

    @property
    def created(self) -> int:
        """Seconds since 1970; 0 where the signature does not say."""
        return int.from_bytes(self.find(CREATED) or b"")

    @property
    def flags(self) -> int:
        """The key flags, 0 where there are none: 1 certifies, 2 signs."""
        return (self.find(KEY_FLAGS) or b"\0")[0]

    @property
    def lifetime(self) -> int:
        """Seconds that the key lives after its creation; 0 for ever."""
        return int.from_bytes(self.find(KEY_LIFETIME) or b"")

    @property
    def embedded(self) -> "Signature | None":
        """The signature by a subkey inside its binding, where there is a whole one."""
        body = self.find(EMBEDDED)
        try:
            return None if body is None else Signature.parse(body)
        except ValueError:  # cut short it proves as little as none
            return None

    def claims(self, fingerprint: str) -> bool:
        """Whether the signature says that it was made by this key."""
        issuer, key_id = self.find(ISSUER), self.find(ISSUER_ID)
        if issuer is not None:
            return issuer[1:].hex().upper() == fingerprint
        return key_id is not None and fingerprint.endswith(key_id.hex().upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A key, user ID or attribute of a certificate with the signatures that follow it.

    ``fingerprint`` is upper case, and empty for what is not a key or not understood.
    """

    tag: int
    body: bytes
    packet: bytes
    fingerprint: str
    signatures: Sequence[Signature]

    def newest(self, kinds: Iterable[int], issuer: str) -> Signature | None:
        """The newest signature of these kinds that claims to be by ``issuer``."""
        found = [s for s in self.signatures if s.kind in kinds and s.claims(issuer)]
        return max(found, key=lambda s: s.created, default=None)

    def revoked(self, issuer: str) -> bool:
        """Whether a revocation that claims to be by ``issuer`` stands with it."""
        return self.newest(REVOCATIONS, issuer) is not None

    @property
    def created(self) -> int:
        """A key's creation, seconds since 1970."""
        return int.from_bytes(self.body[1:5])


def certificates(data: bytes) -> Sequence[Sequence[Component]]:
    """The certificates in armored or binary ``data``, each as components, the primary key first.

    Raises ``ValueError`` where it is no OpenPGP key material.
    """
    if data.count(b"-----BEGIN PGP ") > 1:
        msg = "holds several armored blocks; expected one"
        raise ValueError(msg)
    found: list[list[Component]] = []
    try:
        for packet in PacketPile.from_bytes(data):
            tag, fingerprint = int(packet.tag), (packet.fingerprint or "").upper()
            if tag in PRIMARY:
                found.append([])
            if not found:
                break
            _attach(found[-1], tag, packet.body, bytes(packet), fingerprint)
    except (RuntimeError, ValueError) as error:
        msg = f"is no OpenPGP key ({reason(error)})"
        raise ValueError(msg) from error
    if not found:
        msg = "is no OpenPGP key: it does not start with one"
        raise ValueError(msg)
    return found


def _attach(components: list[Component], tag: int, body: bytes, packet: bytes, fingerprint: str) -> None:
    if tag != SIGNATURE:
        components.append(Component(tag=tag, body=body, packet=packet, fingerprint=fingerprint, signatures=[]))
        return
    last = components[-1]
    components[-1] = Component(
        tag=last.tag,
        body=last.body,
        packet=last.packet,
        fingerprint=last.fingerprint,
        signatures=[*last.signatures, Signature.parse(body, packet)],
    )


def read_certificate(what: str, data: bytes) -> bytes:
    """The one public certificate in ``data``, minimal and binary; ``what`` names it in errors.

    Raises ``Misconfigured``.
    """
    try:
        found = certificates(data)
    except ValueError as error:
        msg = f"{what} {error}; expected one public key: gpg --armor --export FINGERPRINT"
        raise Misconfigured(msg) from error
    if len(found) != 1:
        msg = f"{what} holds {len(found)} keys; expected one: gpg --armor --export FINGERPRINT"
        raise Misconfigured(msg)
    if found[0][0].tag == SECRET_KEY:
        msg = f"{what} holds a secret key; expected the public one: gpg --armor --export FINGERPRINT"
        raise Misconfigured(msg)
    return minimal(found[0])


def minimal(components: Sequence[Component]) -> bytes:
    """The public certificate with what a host needs, binary.

    Of each part, the newest signature by the primary key and its revocations. Signatures by
    others are left out: one by an ECDSA key makes rpm 4.18 refuse the whole certificate. The
    binding of a subkey comes before its revocation, where gpg puts it after; rpm 4.18 refuses
    the other order.
    """
    primary = components[0].fingerprint
    kept: list[bytes] = []
    for component in components:
        kinds = {PUBLIC_KEY: (DIRECT,), USER_ID: CERTIFICATIONS, PUBLIC_SUBKEY: (BINDING,)}.get(component.tag)
        if kinds is None:
            continue
        signature = component.newest(kinds, primary)
        if signature is None and component.tag != PUBLIC_KEY:
            continue
        kept += [component.packet, *([signature.packet] if signature else [])]
        kept += [s.packet for s in component.signatures if s.kind in REVOCATIONS and s.claims(primary)]
    return b"".join(kept)


def armor(signature: bytes) -> bytes:
    """A binary signature in armor, as ``repomd.xml.asc`` holds it."""
    return pysequoia.armor(signature, pysequoia.ArmorKind.Signature).encode()


def armor_certificate(certificate: bytes) -> bytes:
    """A binary certificate in armor with a checksum line, which rpm up to 4.18 insists on."""
    return pysequoia.armor(certificate, pysequoia.ArmorKind.PublicKey).encode()


def reason(error: Exception) -> str:
    """What pysequoia has to say, without the stack of its inside, and of what it shows of a packet the beginning."""
    return str(error).partition("\n")[0][:300].rstrip(".")


def _areas(body: bytes) -> Iterator[Subpacket]:
    hashed = int.from_bytes(body[4:6])
    yield from _subpackets(body[6 : 6 + hashed], hashed=True)
    unhashed = int.from_bytes(body[6 + hashed : 8 + hashed])
    yield from _subpackets(body[8 + hashed : 8 + hashed + unhashed], hashed=False)


def _subpackets(area: bytes, *, hashed: bool) -> Iterator[Subpacket]:
    at = 0
    while at < len(area):
        length = area[at]
        if length == 255:  # noqa: PLR2004 - four octets of length follow
            length, at = int.from_bytes(area[at + 1 : at + 5]), at + 5
        elif length >= 192:  # noqa: PLR2004 - one more octet of length
            length, at = ((length - 192) << 8) + area[at + 1] + 192, at + 2
        else:
            at += 1
        yield Subpacket(
            kind=area[at] & 0x7F, critical=bool(area[at] & 0x80), hashed=hashed, data=area[at + 1 : at + length]
        )
        at += length
