"""OpenPGP keys of many kinds: made by gpg in short-lived home directories, or forged packet by packet.

RSA-4096 takes a second or more to make; ``rsa2048`` and ``ed25519`` are quick.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pysequoia
from pysequoia.packet import PacketPile

UID = "Repod Test <repod@example.com>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key pair, both parts armored; the fingerprint is the primary key's, upper case."""

    secret: bytes
    public: bytes
    fingerprint: str


@contextmanager
def gnupghome() -> Iterator[Path]:
    """A GnuPG home directory with a short path; its agent is ended and all is removed."""
    home = Path(tempfile.mkdtemp(prefix="gh", dir="/tmp"))
    try:
        yield home
    finally:
        end_agent(home)
        # Where there is a /run/user, gpg makes a directory for the sockets of each home there.
        subprocess.run(["gpgconf", "--homedir", home, "--remove-socketdir"], check=False, timeout=30, env=_environ())
        shutil.rmtree(home, ignore_errors=True)


def end_agent(home: Path) -> None:
    """End the agent of a home directory."""
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, timeout=30, env=_environ())


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "GNUPGHOME"} | {"LC_ALL": "C"}


def gpg(home: Path, *words: str, data: bytes = b"", passphrase: str = "") -> bytes:
    """What gpg writes; ``CalledProcessError`` with its complaint in ``stderr`` where it fails."""
    base = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback"]
    command = [*base, "--passphrase", passphrase, *words]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=120, env=_environ()).stdout


def generate(
    home: Path,
    algorithm: str = "rsa2048",
    usage: str = "sign",
    lifetime: str = "2y",
    *,
    uid: str = UID,
    passphrase: str = "",
    options: tuple[str, ...] = (),
) -> str:
    """Make a key; its fingerprint. ``options``: of gpg, such as ``--faked-system-time``."""
    known = set(fingerprints(home))
    gpg(home, *options, "--quick-gen-key", uid, algorithm, usage, lifetime, passphrase=passphrase)
    return next(found for found in fingerprints(home) if found not in known)


def add_subkey(home: Path, primary: str, algorithm: str = "rsa2048", usage: str = "sign", lifetime: str = "2y") -> str:
    """Add a subkey; its fingerprint."""
    known = set(fingerprints(home))
    gpg(home, "--quick-add-key", primary, algorithm, usage, lifetime)
    (new,) = [found for found in fingerprints(home) if found not in known]
    return new


def fingerprints(home: Path) -> list[str]:
    """Those of all keys and subkeys of a home directory."""
    listing = gpg(home, "--with-colons", "--list-keys").decode()
    return [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")]


def export(home: Path, fingerprint: str, *, passphrase: str = "", secret: str = "--export-secret-keys") -> Key:
    """Both parts of a key; ``secret`` may be ``--export-secret-subkeys``."""
    return Key(
        secret=gpg(home, "--armor", secret, fingerprint, passphrase=passphrase),
        public=gpg(home, "--armor", "--export", fingerprint),
        fingerprint=fingerprint,
    )


def make_key(
    algorithm: str = "rsa2048",
    usage: str = "sign",
    lifetime: str = "2y",
    *,
    uid: str = UID,
    passphrase: str = "",
    options: tuple[str, ...] = (),
) -> Key:
    """A key pair, without leaving a home directory or an agent."""
    with gnupghome() as home:
        found = generate(home, algorithm, usage, lifetime, uid=uid, passphrase=passphrase, options=options)
        return export(home, found, passphrase=passphrase)


def rpm_imports(public: bytes) -> bool:
    """Whether rpm on this machine takes an armored certificate; its own database is not touched."""
    with tempfile.TemporaryDirectory(prefix="rpmdb") as database:
        key = Path(database, "key.asc")
        key.write_bytes(public)
        command = ["rpmkeys", "--dbpath", database, "--import", str(key)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def rpm_verifies(package: Path, public: bytes) -> bool:
    """Whether rpm with this certificate alone finds a good signature on a package."""
    with tempfile.TemporaryDirectory(prefix="rpmdb") as database:
        key = Path(database, "key.asc")
        key.write_bytes(public)
        rpmkeys = ["rpmkeys", "--dbpath", database, "--define", "_pkgverify_level all"]
        subprocess.run([*rpmkeys, "--import", str(key)], capture_output=True, timeout=60, check=True)
        checked = subprocess.run([*rpmkeys, "--checksig", str(package)], capture_output=True, timeout=60, check=False)
        return checked.returncode == 0


def armored(certificate: bytes) -> bytes:
    """A binary certificate in armor."""
    return pysequoia.armor(certificate, pysequoia.ArmorKind.PublicKey).encode()


def packet(tag: int, body: bytes) -> bytes:
    """A packet in the new format with a length of five octets."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4) + body


def subpacket(kind: int, data: bytes, *, critical: bool = False) -> bytes:
    """A subpacket of a signature."""
    length = len(data) + 1
    head = bytes([length]) if length < 192 else bytes([((length - 192) >> 8) + 192, (length - 192) & 0xFF])
    return head + bytes([kind | (0x80 if critical else 0)]) + data


def _integer(value: int) -> bytes:
    return value.bit_length().to_bytes(2) + value.to_bytes((value.bit_length() + 7) // 8)


# Number of a hash algorithm, and the DER prefix of its value in an RSA signature (RFC 8017, 9.2).
_HASHES = {
    "sha1": (2, "3021300906052b0e03021a05000414"),
    "sha256": (8, "3031300d060960864801650304020105000420"),
}


class Forge:
    """An RSA key that signs whatever it is told to: certificates that no decent tool would make."""

    def __init__(self) -> None:
        body = next(iter(PacketPile.from_bytes(make_key().secret))).body
        self._modulus, at = self._read(body, 6)
        _exponent, at = self._read(body, at)
        self.public = body[:at]
        self._private, _ = self._read(body, at + 1)
        self.fingerprint = hashlib.sha1(self._hashed(self.public)).digest()
        self.created = subpacket(2, body[1:5])
        self.issuer = subpacket(16, self.fingerprint[-8:])
        self.flags = subpacket(27, b"\3")

    @staticmethod
    def _read(body: bytes, at: int) -> tuple[int, int]:
        end = at + 2 + (int.from_bytes(body[at : at + 2]) + 7) // 8
        return int.from_bytes(body[at + 2 : end]), end

    @staticmethod
    def _hashed(key: bytes) -> bytes:
        return b"\x99" + len(key).to_bytes(2) + key

    def signature(
        self, kind: int, over: bytes, hashed: bytes, unhashed: bytes | None = None, *, digest: str = "sha256"
    ) -> bytes:
        """A signature packet of version 4 with these subpackets, correct in its arithmetic."""
        number, prefix = _HASHES[digest]
        unhashed = self.issuer if unhashed is None else unhashed
        head = bytes([4, kind, 1, number]) + len(hashed).to_bytes(2) + hashed
        value = hashlib.new(digest, over + head + b"\x04\xff" + len(head).to_bytes(4)).digest()
        size = (self._modulus.bit_length() + 7) // 8
        info = bytes.fromhex(prefix) + value
        padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
        signed = _integer(pow(int.from_bytes(padded), self._private, self._modulus))
        return packet(2, head + len(unhashed).to_bytes(2) + unhashed + value[:2] + signed)

    def certificate(
        self,
        hashed: bytes | None = None,
        unhashed: bytes | None = None,
        *,
        digest: str = "sha256",
        more: bytes = b"",
    ) -> bytes:
        """A binary certificate with one user ID; ``hashed`` are the subpackets of its self-signature."""
        user = UID.encode()
        over = self._hashed(self.public) + b"\xb4" + len(user).to_bytes(4) + user
        hashed = self.created + self.flags if hashed is None else hashed
        signed = self.signature(0x13, over, hashed, unhashed, digest=digest)
        return packet(6, self.public) + packet(13, user) + signed + more

    def subkey(self, key: "Forge", hashed: bytes, *, back: bool = True, digest: str = "sha256") -> tuple[bytes, bytes]:
        """``key`` as a subkey: its packet and its binding signature. ``back``: it agrees to be one."""
        over = self._hashed(self.public) + self._hashed(key.public)
        agreed = b""
        if back:
            made = key.signature(0x19, over, key.created, digest=digest)
            agreed = subpacket(32, next(iter(PacketPile.from_bytes(made))).body)
        return packet(14, key.public), self.signature(0x18, over, hashed, self.issuer + agreed)

    def revocation(self, key: "Forge | None" = None) -> bytes:
        """The revocation of this key, or of its subkey ``key``."""
        over = self._hashed(self.public) + (b"" if key is None else self._hashed(key.public))
        return self.signature(0x20 if key is None else 0x28, over, self.created)
