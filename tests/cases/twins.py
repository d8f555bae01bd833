"""Two OpenPGP keys with one short key id: what anybody with a minute to spare can make."""

import hashlib
import itertools
import time

import pysequoia
from pysequoia.packet import PacketPile

from tests.lab.keys import UID, Forge, Key, make_key, packet, subpacket

_SHORT = 4
_TRIES = 200_000


class _Dated(Forge):
    """An RSA key as if it was made at another time, which is part of what its fingerprint is over."""

    def __init__(self, secret: bytes, created: bytes) -> None:
        self._modulus, at = self._read(secret, 6)
        _, end = self._read(secret, at)
        self._private, _ = self._read(secret, end + 1)
        self.secret = secret[:1] + created + secret[5:]
        self.public = self.secret[:end]
        self.fingerprint = hashlib.sha1(self._hashed(self.public)).digest()
        self.created = subpacket(2, created)
        self.issuer = subpacket(16, self.fingerprint[-8:])
        self.flags = subpacket(27, b"\3")

    def key(self) -> Key:
        """The pair, armored."""
        certificate = self.certificate()
        user_and_signature = certificate[len(packet(6, self.public)) :]
        secret = packet(5, self.secret) + user_and_signature
        return Key(
            secret=pysequoia.armor(secret, pysequoia.ArmorKind.SecretKey).encode(),
            public=pysequoia.armor(certificate, pysequoia.ArmorKind.PublicKey).encode(),
            fingerprint=self.fingerprint.hex().upper(),
        )
