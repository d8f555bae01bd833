"""Two OpenPGP keys with one short key id: what anybody with a minute to spare can make."""

import hashlib
import time
from collections.abc import Iterator, Sequence

import pysequoia
from pysequoia.packet import PacketPile

from tests.lab.keys import Forge, Key, make_key, packet, subpacket

# Two sets of so many meet in 32 bits about 20 times.
_TRIES = 300_000


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


def twins() -> tuple[Key, Key]:
    """Two pairs, of different keys, whose fingerprints end in the same eight digits."""
    one, other = (next(iter(PacketPile.from_bytes(make_key().secret))).body for _ in range(2))
    now = int(time.time())
    times = [(now - age).to_bytes(4) for age in range(1, _TRIES)]
    known = {short: created for created, short in zip(times, _short_ids(one, times), strict=True)}
    for created, short in zip(times, _short_ids(other, times), strict=True):
        if short in known:
            return _Dated(one, known[short]).key(), _Dated(other, created).key()
    msg = f"{_TRIES} times two keys gave no common short id; that happens once in a thousand million runs"
    raise AssertionError(msg)


def _short_ids(secret: bytes, times: Sequence[bytes]) -> Iterator[bytes]:
    """The last four bytes of the fingerprint that the key would have at each of ``times``."""
    public = _Dated(secret, times[0]).public
    before, after = b"\x99" + len(public).to_bytes(2) + public[:1], public[5:]
    for created in times:
        yield hashlib.sha1(before + created + after).digest()[-4:]
