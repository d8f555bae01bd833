"""The signer of a daemon: the key that signs, one that signs the indexes too, and all that hosts get."""

from collections.abc import Sequence

from repod.hostkeys import HostKey, distinct
from repod.signing.checked import CheckedSigner


class JoinedSigner:
    """An ``OpenSigner`` over one key or two."""

    def __init__(self, own: CheckedSigner, cosigner: CheckedSigner | None, keys: Sequence[HostKey]) -> None:
        """``keys`` are all that hosts get, that of ``own`` first. Both signers are closed with it."""
        self._own = own
        self._cosigner = cosigner
        self.report = own.report
        self.fingerprint = own.fingerprint
        self.signing_key = own.signing_key
        self.expires = own.expires
        self.public_key = own.public_key
        self.keys: Sequence[HostKey] = distinct(keys)
        self.published = b"".join(key.certificate for key in self.keys)

    def sign(self, data: bytes) -> bytes:
        """See ``doors.Signer.sign``."""
        return self._own.sign(data)

    def sign_index(self, data: bytes) -> bytes:
        """See ``doors.Signer.sign_index``.

        The cosigning key's signature comes first: libzypp 17.25 looks for the key of the first one
        only, and the hosts that know one of the two keys are those that know the cosigning one.
        librepo 1.14 takes an index if any signature is by a key that it knows.
        """
        own = self._own.sign(data)
        return self._cosigner.sign(data) + own if self._cosigner else own

    def refuse_expired(self, now: float) -> None:
        """See ``OpenSigner``."""
        self._own.refuse_expired(now)
        if self._cosigner:
            self._cosigner.refuse_expired(now)

    def close(self) -> None:
        """See ``OpenSigner``."""
        self._own.close()
        if self._cosigner:
            self._cosigner.close()
