"""Ed25519 keys in OpenSSH's form, for hosts and for who logs in."""

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


class SshKey(NamedTuple):
    """``secret``: the private key's file. ``public``: type and base64, as in known_hosts and authorized_keys."""

    secret: bytes
    public: str

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: ``SHA256:`` and base64 without padding."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def write(self, path: Path) -> Path:
        """The secret part in a file that only its owner reads, the public part beside it."""
        path.touch(0o600)
        path.chmod(0o600)
        path.write_bytes(self.secret)
        path.with_name(path.name + ".pub").write_text(self.public + "\n")
        return path


def ssh_key(passphrase: str = "") -> SshKey:
    """A new key; with a passphrase its secret part is encrypted."""
    key = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock)
    return SshKey(secret, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
