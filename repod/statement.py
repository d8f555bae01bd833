"""What the current generation of a repository is, and until when that is to be believed: a signed statement.

A signature over ``repomd.xml`` says who made it and never when it was replaced: whoever stands between repository and
hosts can show an old one for ever, with all updates since left out. The statement lies beside the live index and
ends soon, so that a copy of long ago is known by its end; and it names the record of its generation, which names the
record before it, so that history cannot be written anew without being seen.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from repod import jsontext
from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.generation import Generation
from repod.package import Sha256, StorePath, digest, sha256
from repod.signed import FORMAT, Envelope, Term, known, unreadable
from repod.times import seconds, stamp

STATEMENT = StorePath("repodata/statement.json")
_KIND = "repod statement"
_LINKS = 50
_REMEDY = "repod writes it anew at the next publish, or: repod verify REPO --repair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The document. ``published``, ``issued`` and ``expires`` are seconds since 1970.

    ``record``: SHA-256 of the record of ``generation`` as it is stored. ``repomd`` and ``frozen_repomd``: of the
    indexes of its two views. ``keys``: fingerprints of the keys that signed it. ``before``: the generations before
    it and the digests of their records, newest first, as far as they hang together: for who knows one of them and
    cannot read the records.
    """

    repository: str
    generation: int
    record: Sha256
    repomd: Sha256
    frozen_repomd: Sha256
    published: int
    issued: int
    expires: int
    keys: Sequence[str] = ()
    before: Sequence[tuple[int, Sha256]] = ()

    @property
    def term(self) -> Term:
        """From when until when it is good."""
        return Term(issued=self.issued, expires=self.expires)

    def says(self, generation: Generation, record: Sha256) -> bool:
        """Whether it is about that generation, whose record has that digest."""
        indexes = (digest(generation.repomd.encode()), digest(generation.frozen_repomd.encode()))
        found = (self.generation, self.record, self.repomd, self.frozen_repomd)
        return found == (generation.number, record, *indexes)


def before(generation: Generation, last: Statement | None) -> Sequence[tuple[int, Sha256]]:
    """What a statement says of the generations before; ``last``: one of ours, which the chain may go on from."""
    if generation.parent_sha256 is None:
        return ()
    if last and last.record == generation.parent_sha256:
        return [(last.generation, last.record), *last.before][:_LINKS]
    return [(generation.parent, generation.parent_sha256)]


def write(statement: Statement) -> str:
    """The text that is signed as it is. ``kind`` keeps a signature over any other document from passing for one."""
    times = {name: stamp(getattr(statement, name)) for name in ("published", "issued", "expires")}
    return json.dumps({"format": FORMAT, "kind": _KIND, **asdict(statement), **times}, indent=1)


def read(text: str) -> Statement:
    """The statement that ``write`` wrote; ``Corrupt`` where it is none."""
    try:
        tree = jsontext.loads(text)
        known(tree["format"])
        known(tree["kind"], _KIND)
        return Statement(
            repository=str(tree["repository"]),
            generation=int(tree["generation"]),
            record=sha256(tree["record"]),
            repomd=sha256(tree["repomd"]),
            frozen_repomd=sha256(tree["frozen_repomd"]),
            published=seconds(tree["published"]),
            issued=seconds(tree["issued"]),
            expires=seconds(tree["expires"]),
            keys=tuple(map(str, tree["keys"])),
            before=tuple((int(number), sha256(record)) for number, record in tree["before"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise unreadable(STATEMENT, error, _REMEDY) from error


def envelope(data: bytes) -> Envelope:
    """What lies at ``STATEMENT``; ``Corrupt`` where that is no envelope."""
    return Envelope.from_json(data, STATEMENT, _REMEDY)


def read_end(store: Store) -> int | None:
    """Until when the statement of a repository is good, seconds since 1970, unproven; None where there is none."""
    with suppress(NotFound, Corrupt):
        return read(envelope(store.read(STATEMENT).data).document).expires
    return None
