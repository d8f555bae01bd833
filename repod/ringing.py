"""Changes the rings of one repository, and keeps their file fresh: signed, with a serial that only rises.

Every change is a compare-and-swap of the one object. What lies there is changed, or signed anew, only where it is
signed by a key that hosts get.
"""

from collections.abc import Callable, Mapping

from repod.doors import Expect, Store, Version
from repod.doubt import Doubts
from repod.errors import Conflict, Corrupt, NotFound
from repod.history import History
from repod.rings import ROLLOUT, Ring, RolloutFile, envelope, read, write
from repod.sealing import Seal
from repod.signed import Kept

_ATTEMPTS = 20

Edit = Callable[[Mapping[str, Ring], int], Mapping[str, Ring]]
"""The rings after a change: made of those before, and the serial that the change gets. Called again after a race."""


class Rings:
    """Any number of writers, in any processes, may share them."""

    def __init__(self, seal: Seal, store: Store, pause: Callable[[int], None]) -> None:
        """``pause``: what is waited between two tries, by the number of the try."""
        self._seal = seal
        self._store = store
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
        if self._seal.fresh(before.term, before.keys):
            return Kept(expires=before.expires, anew=False)
        try:
            return Kept(expires=self._write(before, version, lambda rings, _serial: rings).expires, anew=True)
        except Conflict:  # somebody else has just done it
            return Kept(expires=before.expires, anew=False)

    def _write(self, before: RolloutFile | None, version: Version | Expect, edit: Edit) -> RolloutFile:
        term = self._seal.term()
        # By the clock, so that it rises also where the file was lost, or an old copy of the store was put back.
        serial = max(term.issued, before.serial + 1 if before else 1)
        after = RolloutFile(
            repository=self._seal.repository,
            serial=serial,
            generation=History(self._store).pointed() or 0,
            issued=term.issued,
            expires=term.expires,
            keys=tuple(self._seal.keys),
            rings=edit(before.rings if before else {}, serial),
        )
        self._store.write(ROLLOUT, self._seal.sign(write(after)), version)
        return after

    def _read(self) -> tuple[RolloutFile | None, Version | Expect]:
        try:
            blob = self._store.read(ROLLOUT)
        except NotFound:
            return None, Expect.ABSENT
        held = envelope(blob.data)
        if not self._seal.signed(held.document, held.signature):
            msg = (
                f"{ROLLOUT} of {self._seal.repository}: expected a signature by a key that hosts get, found none; "
                "see who wrote it, then remove it and set the rings anew"
            )
            raise Corrupt(msg)
        file = read(held.document)
        if file.repository != self._seal.repository:
            msg = f"{ROLLOUT}: expected that of {self._seal.repository}, found that of {file.repository}; remove it"
            raise Corrupt(msg)
        return file, blob.version
