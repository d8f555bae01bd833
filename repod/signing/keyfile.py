"""A signing key in a file, armored or binary, with or without a passphrase."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pysequoia
from pydantic import SecretBytes, SecretStr

from repod.config import Signing
from repod.confinement.bounds import Mode
from repod.errors import Misconfigured, Unavailable
from repod.signing.openpgp import PUBLIC_KEY, Component, certificates, minimal, reason
from repod.signing.secret import read, read_passphrase
from repod.signing.workers import SigningProcesses

# How the secret part that follows the public part of a packet is protected (RFC 4880, 5.5.3).
_CLEAR = b"\0"
_WITH_S2K = (254, 255)
_ELSEWHERE = 101  # gpg's S2K type for a secret that is not in the packet
_EXPECTED = "expected one secret key: gpg --armor --export-secret-keys FINGERPRINT"


class KeyFileSource:
    """A ``checked.Source`` over a secret key in a file; ``processes`` of its own sign."""

    def __init__(self, settings: Signing, environ: Mapping[str, str], processes: int, mode: Mode = "auto") -> None:
        """Read key and passphrase; unlock nothing yet. Raises ``Misconfigured`` with all faults."""
        faults: list[str] = []
        self._timeout = settings.timeout
        self._processes = processes
        self._mode: Mode = mode
        self._workers: SigningProcesses | None = None
        self._passphrase: SecretStr | None = None
        try:
            self._passphrase = read_passphrase(settings.passphrase_file, environ)
        except Misconfigured as error:
            faults += error.faults
        try:
            self._key = _SecretKey.parse(read("key", settings.key, environ), f"[signing] key: {settings.key}")
        except Misconfigured as error:
            faults += error.faults
        if faults:
            raise Misconfigured(*faults)
        self.certificate = self._key.certificate
        self.held: frozenset[str] | None = self._key.held

    def select(self, key: str) -> None:
        """See ``Source.select``; tries the passphrase and starts the processes on first use."""
        protected = self._key.protected(key)
        if protected and self._passphrase is None:
            msg = (
                f"[signing] key: {self._key.name} is protected by a passphrase and passphrase_file is not set;"
                " set it to a file that holds the passphrase"
            )
            raise Misconfigured(msg)
        passphrase = self._passphrase if protected else None
        secret = SecretBytes(self._key.only(key))
        _try(secret, passphrase, self._key.name)
        self.close()
        self._workers = SigningProcesses(
            secret, passphrase, count=self._processes, timeout=self._timeout, mode=self._mode
        )

    def make(self, data: bytes) -> bytes:
        """See ``Source.make``."""
        if self._workers is None:
            msg = "no key was selected to sign with"
            raise Unavailable(msg)
        return self._workers.sign(data)

    def close(self) -> None:
        """See ``Source.close``."""
        if self._workers is not None:
            self._workers.close()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _SecretKey:
    """A transferable secret key (RFC 4880, 11.2). ``name`` is for errors; never printed itself."""

    name: str
    components: Sequence[Component]
    public: Mapping[str, Component]
    certificate: bytes

    @classmethod
    def parse(cls, data: bytes, name: str) -> "_SecretKey":
        try:
            found = certificates(data)
        except ValueError as error:
            msg = f"{name} {error}; {_EXPECTED}"
            raise Misconfigured(msg) from error
        if len(found) != 1:
            msg = f"{name} holds {len(found)} keys; {_EXPECTED}"
            raise Misconfigured(msg)
        if found[0][0].tag == PUBLIC_KEY:
            msg = f"{name} holds a public key; {_EXPECTED}"
            raise Misconfigured(msg)
        try:
            public = bytes(pysequoia.Tsk.from_bytes(data).extract_certificate())
        except RuntimeError as error:
            msg = f"{name} cannot be used ({reason(error)}); {_EXPECTED} of version 4"
            raise Misconfigured(msg) from error
        (components,) = certificates(public)
        return cls(
            name=name,
            components=found[0],
            public={c.fingerprint: c for c in components if c.fingerprint},
            certificate=minimal(components),
        )

    @property
    def held(self) -> frozenset[str]:
        """The keys whose secret part is in the file."""
        secrets = {fingerprint: self._secret(fingerprint) for fingerprint in self.public}
        return frozenset(f for f, secret in secrets.items() if secret and not _is_elsewhere(secret))

    def protected(self, key: str) -> bool:
        """Whether the secret part of ``key`` needs a passphrase."""
        return self._secret(key)[:1] != _CLEAR

    def only(self, key: str) -> bytes:
        """The key with the secret part of ``key`` alone, so that nothing else can sign."""
        kept = []
        for component in self.components:
            other = component.fingerprint in self.public and component.fingerprint != key
            kept.append(self.public[component.fingerprint].packet if other else component.packet)
            kept += [signature.packet for signature in component.signatures]
        return b"".join(kept)

    def _secret(self, key: str) -> bytes:
        """The secret part of a key's packet: protection, cipher, S2K type … (empty: a public packet)."""
        (component,) = [c for c in self.components if c.fingerprint == key]
        return component.body[len(self.public[key].body) :]


def _is_elsewhere(secret: bytes) -> bool:
    return secret[0] in _WITH_S2K and secret[2] == _ELSEWHERE


def _try(secret: SecretBytes, passphrase: SecretStr | None, name: str) -> None:
    """Unlock the key once here: a process that cannot would only be seen to die."""
    try:
        key = pysequoia.Tsk.from_bytes(secret.get_secret_value())
        key.signer(None if passphrase is None else passphrase.get_secret_value())
    except RuntimeError as error:
        if passphrase is None:
            msg = f"{name} cannot be used ({reason(error)}); {_EXPECTED}"
        else:
            # What a wrong passphrase makes of the secret is noise, and so is the cause.
            msg = f"{name} cannot be unlocked with the passphrase in passphrase_file; give the one of this key"
        raise Misconfigured(msg) from None
