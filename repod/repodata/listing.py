"""The packages of a generation, read from the store alone: for commands beside the daemon."""

import hashlib
from collections.abc import Iterator

from repod.doors import Store
from repod.errors import Corrupt
from repod.generation import Document, Generation
from repod.package import Package, StorePath
from repod.repodata import codec, text


def packages(store: Store, generation: Generation) -> Iterator[Package]:
    """All packages, in document order; ``Corrupt`` where primary is not what the record says."""
    primary = next(document for document in generation.documents if document.type == text.KINDS[0])
    for member in members(store, primary):
        if member.text.startswith(b"<package"):
            yield from text.packages(member.text)


def plain(store: Store, document: Document) -> bytes:
    """The plain text of a stored document; ``Corrupt`` where it is not what the record says."""
    if document.href.endswith(f".{codec.SUFFIX}"):
        data = b"".join(member.text for member in members(store, document))
    else:
        data = store.read(document.href).data
    if codec.checksum(data) != document.open_checksum:
        msg = f"{document.href} does not have its checksum; restore it from a copy of the store"
        raise Corrupt(msg)
    return data


def members(store: Store, document: Document, path: StorePath | None = None) -> Iterator[codec.Member]:
    """The members of a document stored at ``path`` (None: in the live view).

    ``Corrupt`` at its end where its checksum is wrong.
    """
    path = path or document.href
    digest = hashlib.sha256()

    def counted() -> Iterator[bytes]:
        for piece in store.stream(path):
            digest.update(piece)
            yield piece

    yield from codec.members(counted())
    if digest.hexdigest() != document.checksum:
        msg = f"{path} does not have its checksum; restore it from a copy of the store"
        raise Corrupt(msg)
