"""The packages of a generation, read from the store alone: for commands beside the daemon."""

import hashlib
from collections.abc import Iterator

from repod.doors import Store
from repod.errors import Corrupt
from repod.generation import Document, Generation
from repod.package import Package
from repod.repodata import codec, text


def packages(store: Store, generation: Generation) -> Iterator[Package]:
    """All packages, in document order; ``Corrupt`` where primary is not what the record says."""
    primary = next(document for document in generation.documents if document.type == text.KINDS[0])
    for member in members(store, primary):
        if member.text.startswith(b"<package"):
            yield from text.packages(member.text)


def members(store: Store, document: Document) -> Iterator[codec.Member]:
    """The members of a stored document; ``Corrupt`` at its end where its checksum is wrong."""
    digest = hashlib.sha256()

    def counted() -> Iterator[bytes]:
        for piece in store.stream(document.href):
            digest.update(piece)
            yield piece

    yield from codec.members(counted())
    if digest.hexdigest() != document.checksum:
        msg = f"{document.href} does not have its checksum; restore it from a copy of the store"
        raise Corrupt(msg)
