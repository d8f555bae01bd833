"""Makes the statement of one repository: signed only where the index that it names is signed by a key of hosts."""

from collections.abc import Sequence

from repod.doors import Store
from repod.errors import Corrupt
from repod.generation import Generation, record_path
from repod.package import Sha256, digest
from repod.sealing import Seal
from repod.signed import Kept
from repod.statement import STATEMENT, Statement, before, envelope, read, write
from repod.times import stamp


class Statements:
    """What is said of the generations of one repository. It writes nothing: ``Views`` does."""

    def __init__(self, seal: Seal, store: Store) -> None:
        """``store``: where the records lie, whose digests it states."""
        self._seal = seal
        self._store = store
        self._last: Statement | None = None

    def make(self, generation: Generation, record: Sha256) -> bytes:
        """The statement of a generation that this process has just made; ``record``: the digest of its record."""
        term = self._seal.term()
        statement = Statement(
            repository=self._seal.repository,
            generation=generation.number,
            record=record,
            repomd=digest(generation.repomd.encode()),
            frozen_repomd=digest(generation.frozen_repomd.encode()),
            published=generation.time,
            issued=term.issued,
            expires=term.expires,
            keys=tuple(self._seal.keys),
            before=self._before(generation, record),
        )
        self._last = statement
        return self._seal.sign(write(statement))

    def kept(self, generation: Generation, present: bytes | None) -> tuple[bytes, Kept]:
        """The statement of the current generation: what is ``present`` where that is still good, else a new one.

        ``Corrupt`` where none is made: the store contradicts what was stated before, or no key that hosts get
        has signed the generation's index.
        """
        record = self._record(generation)
        found = self._own(present)
        if found:
            _refuse_contradiction(found, generation, record)
            self._last = found
        same = found and found.says(generation, record)
        if present and found and same and self._seal.fresh(found.term, found.keys):
            return present, Kept(expires=found.expires, anew=False)
        self.refuse_foreign(generation)
        made = self.make(generation, record)
        return made, Kept(expires=read(envelope(made).document).expires, anew=True)

    def fault(self, generation: Generation, present: bytes | None) -> str:
        """Why what is ``present`` is no statement that clients can believe of the current generation; empty: it is."""
        if present is None:
            return "missing, so that clients cannot tell this repository from a copy of long ago"
        try:
            found = self._proven(present)
        except Corrupt as error:
            return str(error)
        if not found.says(generation, self._record(generation)):
            return f"not about generation {generation.number} as its record says"
        if self._seal.clock() >= found.expires:
            return f"expired at {stamp(found.expires)}"
        return ""

    def _before(self, generation: Generation, record: Sha256) -> Sequence[tuple[int, Sha256]]:
        last = self._last
        return last.before if last and last.record == record else before(generation, last)

    def refuse_foreign(self, generation: Generation) -> None:
        """``Corrupt`` where a record is not one that a key of hosts stands behind, so that nothing is built on it.

        Both indexes must be signed, be of its number, and name the documents that it names: whoever can write to
        the store alone has nothing signed by repod that lists his packages, or that lists old ones again.
        """
        views = (
            (generation.repomd, generation.signature, generation.documents),
            (generation.frozen_repomd, generation.frozen_signature, (generation.frozen, *generation.documents[1:])),
        )
        for repomd, signature, documents in views:
            named = all(document.checksum in repomd for document in documents)
            numbered = f"<revision>{generation.number}</revision>" in repomd
            if not (named and numbered and self._seal.signed(repomd, signature)):
                name = self._seal.repository
                msg = (
                    f"{record_path(generation.number)} of {name}: expected indexes of its own that are "
                    "signed by a key that hosts get, found others; see who wrote it and restore the store from a copy, "
                    "or, where another key of yours made them, name it in [signing] published, or sign them anew: "
                    f"repod resign {name}"
                )
                raise Corrupt(msg)

    def _record(self, generation: Generation) -> Sha256:
        return digest(self._store.read(record_path(generation.number)).data)

    def _own(self, present: bytes | None) -> Statement | None:
        """What ``present`` says, where it is ours."""
        try:
            return self._proven(present) if present else None
        except Corrupt:
            return None

    def _proven(self, present: bytes) -> Statement:
        held = envelope(present)
        if not self._seal.signed(held.document, held.signature):
            msg = "its signature is by no key that hosts get"
            raise Corrupt(msg)
        found = read(held.document)
        if found.repository != self._seal.repository:
            msg = f"it is that of the repository {found.repository}"
            raise Corrupt(msg)
        return found


def _refuse_contradiction(found: Statement, generation: Generation, record: Sha256) -> None:
    """Clients remember what was stated: of one number nothing else is, and no lower number after a higher one."""
    if found.generation > generation.number:
        text = f"generation {found.generation} was stated, and the store is back at {generation.number}"
    elif found.generation == generation.number and found.record != record:
        text = f"the record of generation {generation.number} is not the one that was stated"
    else:
        return
    msg = f"{STATEMENT}: {text}: restore the store from a copy; if that was done already, remove {STATEMENT}"
    raise Corrupt(msg)
