"""What became of uploaded bytes, by what records, ledger and reason files keep of their SHA-256."""

import threading
import time
from collections.abc import Mapping

from repod.actions.refusals import Refusals
from repod.doors import Store
from repod.errors import Misconfigured
from repod.generation import Generation
from repod.history import History
from repod.ledger import Ledger
from repod.office import Arrival
from repod.package import Origin, Sha256, sha256
from repod.wiring import pause

_LEDGER_SECONDS = 300.0  # what it has of arrivals is older than any kept record

_Found = tuple[int, str, str]
"""The generation that brought some bytes, as which package, and the name of the file that was uploaded, if any."""


class Arrivals:
    """What became of the arrivals of one repository. Threads may share it; records are read once."""

    def __init__(self, store: Store, refusals: Refusals) -> None:
        """Nothing is read yet."""
        self._history = History(store)
        self._ledger = Ledger(store, pause)
        self._refusals = refusals
        self._lock = threading.Lock()
        self._known: dict[str, _Found] = {}
        self._newest = 0
        self._oldest = 0
        self._older: Mapping[str, _Found] = {}
        self._older_until = 0.0

    def of(self, checksum: str) -> Arrival:
        """See ``Looks.arrival``."""
        wanted = _proven(checksum)
        published = self._published(wanted)
        if published:
            number, package, file = published
            return Arrival(sha256=wanted, state="published", file=file, generation=number, packages=[package])
        refusal = self._refusals.of(wanted)
        if refusal:
            return Arrival(sha256=wanted, state="rejected", file=refusal.inbox_path, faults=refusal.faults)
        return Arrival(sha256=wanted, state="unknown")

    def _published(self, wanted: Sha256) -> _Found | None:
        with self._lock:
            current = self._history.current()
            number = current.number if current else 0
            if number < self._newest or not self._newest:  # or the store was brought back to what it was
                self._known, self._newest, self._oldest = {}, number, number + 1
            for generation in self._history.back():
                if generation.number <= self._newest:
                    break
                self._note(generation)
            self._newest = number
            return self._known.get(wanted) or self._further_back(wanted) or self._beyond().get(wanted)

    def _further_back(self, wanted: Sha256) -> _Found | None:
        """Read on where the last look ended, until it is found or no record is left."""
        for generation in self._history.back(self._oldest) if self._oldest > 1 else ():
            self._note(generation)
            self._oldest = generation.number
            if wanted in self._known:
                return self._known[wanted]
        self._oldest = 0
        return None

    def _beyond(self) -> Mapping[str, _Found]:
        """What the ledger keeps of what came before the oldest record."""
        if time.monotonic() >= self._older_until:
            came = ((one, one.came) for one in self._ledger.all().values())
            self._older = {
                coming.origin.checksum: (coming.generation, str(one.nevra), _file(coming.origin))
                for one, coming in came
                if coming and coming.origin.checksum
            }
            self._older_until = time.monotonic() + _LEDGER_SECONDS
        return self._older

    def _note(self, generation: Generation) -> None:
        for package, origin in generation.came:
            found = (generation.number, str(package.nevra), _file(origin))
            # What was signed already by the key that signs stays as it was uploaded.
            for checksum in {origin.checksum, package.pkgid} - {""}:
                # A rollback brings the same bytes again: the first time counts, as far as it is read.
                self._known[checksum] = min(found, self._known.get(checksum, found))


def _file(origin: Origin) -> str:
    return origin.of if origin.how == "arrival" else ""


def _proven(checksum: str) -> Sha256:
    try:
        return sha256(checksum)
    except ValueError as error:
        msg = f"sha256: expected 64 lower-case hexadecimal digits, found {checksum[:100]!r}"
        raise Misconfigured(msg) from error
