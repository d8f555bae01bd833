"""The Signer that daemons hold: it lets no signature out that the public key does not verify."""

from collections.abc import Sequence
from typing import Protocol

import pysequoia

from repod import doors
from repod.errors import Misconfigured, Unavailable
from repod.hostkeys import HostKey
from repod.signing import lint
from repod.signing.openpgp import ISSUER_ID, LIFETIME, Signature, armor_certificate, reason
from repod.times import stamp

_PROOF = b"repod signs this to see that it can.\n"
_BINARY_DOCUMENT = 0x00


class Source(Protocol):
    """What makes signatures with a key, unchecked. Thread-safe.

    ``certificate`` is the public certificate, binary. ``held`` are the fingerprints of the keys
    whose secret parts are there, None where that cannot be known.
    """

    certificate: bytes
    held: frozenset[str] | None

    def select(self, key: str) -> None:
        """Sign with the key of this fingerprint from now on. Raises ``Misconfigured``."""

    def make(self, data: bytes) -> bytes:
        """A detached signature over ``data``, armored or binary; ``Unavailable`` where it fails."""

    def close(self) -> None:
        """Let go of processes and secrets."""


class OpenSigner(doors.Signer, Protocol):
    """A Signer that is open: it must be closed, and it knows when it ends.

    ``signing_key`` is the fingerprint of the key or subkey that signs, ``expires`` when that
    ends in seconds since 1970 (None: never), ``report`` what was found when it was opened. ``keys``
    are those that hosts get, that which signs first.
    """

    keys: Sequence[HostKey]
    signing_key: str
    expires: float | None
    report: lint.KeyReport

    def refuse_expired(self, now: float) -> None:
        """Raise ``Misconfigured`` where a key that signs has expired at ``now``."""

    def close(self) -> None:
        """Let go of processes and secrets; ``sign`` raises ``Unavailable`` afterwards."""


class CheckedSigner:
    """A signer over a source: every signature is verified before it is returned.

    The signature is parsed, verified with the public certificate alone, and written anew, so
    what a faulty or foreign program adds to it or breaks in it never leaves.
    """

    def __init__(self, source: Source, report: lint.KeyReport) -> None:
        """``source`` is owned: it is closed with the signer. Nothing is signed yet."""
        self._source = source
        self._certificate = pysequoia.Cert.from_bytes(source.certificate)
        self.report = report
        self.fingerprint = report.fingerprint
        self.signing_key = report.signing_key
        self.expires = report.expires
        self.certificate = source.certificate
        self.public_key = armor_certificate(source.certificate)

    def prove(self) -> None:
        """Sign something; learn which key signs. ``Misconfigured`` where that fails."""
        try:
            made = self._checked(_PROOF)
        except Unavailable as error:
            msg = f"[signing] key: a first signature failed: {error}"
            raise Misconfigured(msg) from error
        self.signing_key = (made.issuer_fingerprint or self.signing_key).upper()

    def sign(self, data: bytes) -> bytes:
        """See ``doors.Signer.sign``. Blocks; may be called from several threads."""
        return bytes(self._checked(data))

    def refuse_expired(self, now: float) -> None:
        """See ``OpenSigner``."""
        if self.expires is not None and self.expires <= now:
            msg = (
                f"signing key {self.fingerprint} expired at {stamp(self.expires)}; nothing is published;"
                f" extend it (gpg --quick-set-expire {self.fingerprint} 2y) and start repod again"
            )
            raise Misconfigured(msg)

    def close(self) -> None:
        """See ``OpenSigner``."""
        self._source.close()

    def _checked(self, data: bytes) -> pysequoia.Sig:
        made = self._source.make(data)
        try:
            signature = pysequoia.Sig.from_bytes(made)
        except RuntimeError as error:
            msg = (
                f"the signer gave {len(made)} bytes that are no OpenPGP signature ({reason(error)}); see what it writes"
            )
            raise Unavailable(msg) from error
        _require_readable(bytes(signature))
        try:
            pysequoia.verify(bytes=data, store=lambda _ids: [self._certificate], signature=signature)
        except RuntimeError as error:
            until = "" if self.expires is None else f", which expires at {stamp(self.expires)}"
            msg = (
                f"the signature by {signature.issuer_fingerprint or signature.issuer_key_id} does not verify with"
                f" the public key {self.fingerprint}{until}; see that the signer holds this key and works"
            )
            raise Unavailable(msg) from error
        return signature


def _require_readable(packet: bytes) -> None:
    """Raise ``Unavailable`` where rpm on some host would not take the signature, sound or not.

    Before it is verified: a signature over SHA-1 does not verify here either, and that is no fault of its key.
    """
    try:
        signature = Signature.read(packet)
    except ValueError as error:
        msg = f"the signer's signature {error}; see what it writes"
        raise Unavailable(msg) from error
    faults = list(lint.signature_faults(signature))
    if signature.kind != _BINARY_DOCUMENT:
        faults.append(f"is of type 0x{signature.kind:02x}; expected 0x00, over a binary document")
    if signature.find(ISSUER_ID) is None:
        faults.append("has no issuer key ID, by which rpm finds the key")
    if signature.find(LIFETIME) is not None:
        faults.append("expires, and what it signs would with it")
    if faults:
        msg = f"the signer's signature {'; it '.join(faults)}; change how the signer makes signatures"
        raise Unavailable(msg)
