"""Walks the records of a repository back from the current generation to one that was seen before."""

from repod import jsontext
from repod.client.fetching import Fetcher, joined, read
from repod.client.verdict import Chain, Mark, linked, met
from repod.errors import NotFound
from repod.generation import record_path
from repod.package import Sha256, digest
from repod.statement import Statement

_LONGEST = 64 << 20
_STEPS = 1000


def walk(fetcher: Fetcher, base: str, statement: Statement, mark: Mark) -> Chain:
    """Whether the generation of ``mark`` is one before that of ``statement``, by that itself or by the records.

    Each record is proven by the digest that the one after it has; the first by the statement. ``Unavailable``
    where a record cannot be read now.
    """
    said = linked(statement, mark)
    if said is not None:
        return said
    number, expected = statement.before[-1] if statement.before else (statement.generation, statement.record)
    for _step in range(_STEPS):
        below = _below(fetcher, base, number, expected)
        if isinstance(below, Chain):
            return below
        number, expected = below
        if number <= mark.generation:
            return met(number, expected, mark)
    return Chain(unknown=f"it is more than {_STEPS} generations back")


def _below(fetcher: Fetcher, base: str, number: int, expected: Sha256) -> tuple[int, Sha256] | Chain:
    """The parent of a generation and the digest of its record, or how the walk ends here."""
    try:
        data = read(fetcher, joined(base, record_path(number)), limit=_LONGEST)
    except NotFound:
        return Chain(unknown=f"the record of generation {number} is not served here, or pruned")
    if digest(data) != expected:
        return Chain(broken=f"the record of generation {number} is not the one that was signed: it was altered")
    tree = jsontext.loads(data)
    parent, before = int(tree["parent"]), tree.get("parent_sha256")
    if parent == 0:
        return Chain(broken=f"history was begun anew with generation {number}")
    if before is None:
        return Chain(unknown=f"the record of generation {number} is by a repod that did not link them yet")
    return parent, Sha256(before)
