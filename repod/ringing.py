"""Changes the rings of one repository, and keeps their file fresh: signed, with a serial that only rises.

Every change is a compare-and-swap of the one object. What lies there is changed, or signed anew, only where it is
signed by a key that hosts get: whoever can write to the store alone gets no signature for what he put there.
"""

from collections.abc import Callable, Mapping, Sequence

from repod.doors import Clock, Expect, Signer, Store, Version
from repod.doubt import Doubts
from repod.errors import Conflict, Corrupt, NotFound
from repod.history import History
from repod.rings import ROLLOUT, Ring, RolloutFile, envelope, read, write
from repod.signed import Envelope, Kept
from repod.stating import Proves

_ATTEMPTS = 20

Edit = Callable[[Mapping[str, Ring], int], Mapping[str, Ring]]
"""The rings after a change: made of those before, and the serial that the change gets. Called again after a race."""


class Rings:
    """Any number of writers, in any processes, may share them."""

    def __init__(
        self,
        *,
        repository: str,
        store: Store,
        signer: Signer,
        keys: Sequence[str],
        armor: Callable[[bytes], bytes],
        proves: Proves,
        valid: float,
        clock: Clock,
        pause: Callable[[int], None],
    ) -> None:
        """``keys``: fingerprints of those that ``signer`` signs an index with; ``valid``: seconds until it expires."""
        self._repository = repository
        self._store = store
        self._signer = signer
        self._keys = tuple(keys)
        self._armor = armor
        self._proves = proves
        self._valid = valid
        self._clock = clock
        self._pause = pause

    def change(self, edit: Edit) -> RolloutFile:
        """Make a change; the file as it lies there then."""
        doubts = Doubts()
        for attempt in range(_ATTEMPTS):
            before, version = self._read()
            with doubts:
                return self._write(before, version, edit)
            self._pause(attempt)
        msg = f"{ROLLOUT}: other writers changed it {_ATTEMPTS} times meanwhile; try again later"
        raise Conflict(msg)

    def renew(self) -> Kept | None:
        """Sign the file anew where a third of its time is over, or other keys sign now; None where there is none."""
        before, version = self._read()
        if before is None:
            return None
        if before.term.fresh(self._clock(), self._valid) and before.keys == self._keys:
            return Kept(expires=before.expires, anew=False)
        try:
            return Kept(expires=self._write(before, version, lambda rings, _serial: rings).expires, anew=True)
        except Conflict:  # somebody else has just done it
            return Kept(expires=before.expires, anew=False)

    def _write(self, before: RolloutFile | None, version: Version | Expect, edit: Edit) -> RolloutFile:
        now = int(self._clock())
        # By the clock, so that it rises also where the file was lost, or an old copy of the store was put back.
        serial = max(now, before.serial + 1 if before else 1)
        after = RolloutFile(
            repository=self._repository,
            serial=serial,
            generation=History(self._store).pointed() or 0,
            issued=now,
            expires=now + int(self._valid),
            keys=self._keys,
            rings=edit(before.rings if before else {}, serial),
        )
        text = write(after)
        signature = self._armor(self._signer.sign_index(text.encode())).decode()
        self._store.write(ROLLOUT, Envelope(document=text, signature=signature).to_json(), version)
        return after

    def _read(self) -> tuple[RolloutFile | None, Version | Expect]:
        try:
            blob = self._store.read(ROLLOUT)
        except NotFound:
            return None, Expect.ABSENT
        held = envelope(blob.data)
        if not self._proves(self._signer.published, held.document.encode(), held.signature.encode()):
            msg = (
                f"{ROLLOUT} of {self._repository}: expected a signature by a key that hosts get, found none; "
                "see who wrote it, then remove it and set the rings anew"
            )
            raise Corrupt(msg)
        file = read(held.document)
        if file.repository != self._repository:
            msg = f"{ROLLOUT}: expected that of {self._repository}, found that of {file.repository}; remove it"
            raise Corrupt(msg)
        return file, blob.version
