"""What a generation's documents say, read from the store alone: for commands beside the daemon too."""

import hashlib
from collections.abc import Collection, Iterator, Mapping

from repod.builds import Built, Stream
from repod.doors import Store
from repod.errors import Corrupt
from repod.generation import Document, Generation
from repod.package import Entry, Nevra, Package, StorePath, digest, store_path
from repod.repodata import codec, kinds, text
from repod.repodata.codec import Codec, Member


def packages(store: Store, generation: Generation) -> Iterator[Package]:
    """All packages, in document order; ``Corrupt`` where primary is not what the record says."""
    for run in runs(store, generation, text.KINDS[0]):
        yield from text.packages(run)


def named(store: Store, generation: Generation, name: str) -> Iterator[Package]:
    """The packages called ``name``; ``Corrupt`` as in ``packages``."""
    for run in runs(store, generation, text.KINDS[0]):
        yield from text.named(run, name)


def entries(store: Store, generation: Generation, wanted: Collection[Package]) -> list[Entry]:
    """The entries of those of ``wanted`` that ``generation`` lists, as its live documents have them.

    ``NotFound`` or ``Corrupt`` where those are not there, or not what the record says.
    """
    orders = {package.nevra.order for package in wanted}
    columns = [_column(store, generation, kind) for kind in text.KINDS]
    found = []
    try:
        for texts in zip(*columns, strict=True):
            row = text.entry_row(texts)
            if row.order in orders:
                (package,) = text.prove([*texts, text.frozen(texts[0])])
                primary, filelists, other = texts
                found.append(Entry(package=package, primary=primary, filelists=filelists, other=other))
    except ValueError as error:
        msg = f"generation {generation.number}: its documents do not list the same packages; restore them from a copy"
        raise Corrupt(msg) from error
    return [entry for entry in found if entry.package in wanted]


class StoredListings:
    """``StoredBuilds`` of one store."""

    def __init__(self, store: Store) -> None:
        """``store``: the repository's; it is only read."""
        self._store = store

    def listed(self, generation: Generation) -> Iterator[Built]:
        """See ``StoredBuilds.listed``."""
        for run in runs(self._store, generation, text.KINDS[0]):
            yield from text.builds(run)

    def streams(self, generation: Generation) -> Mapping[Nevra, frozenset[Stream]]:
        """See ``StoredBuilds.streams``."""
        document = generation.document(kinds.MODULES)
        if document is None:
            return {}
        from repod.repodata import modules  # noqa: PLC0415 - few repositories have any, and it brings a YAML reader

        return modules.artifacts(plain(self._store, document))


def _column(store: Store, generation: Generation, kind: str) -> Iterator[bytes]:
    for run in runs(store, generation, kind):
        yield from text.split(run)


def runs(store: Store, generation: Generation, kind: str) -> Iterator[bytes]:
    """The entries of one of the live documents of a generation, in runs."""
    document = next(document for document in generation.documents if document.type == kind)
    yield from text.runs(kind, generation.packages, texts(store, document, document.href))


def plain(store: Store, document: Document, view: str = "") -> bytes:
    """The plain text of a document, as a view has it (empty: the live one).

    ``Corrupt`` where it is not what the record says.
    """
    path = store_path(view + document.href)
    data = b"".join(texts(store, document, path)) if codec.of(path) else store.read(path).data
    if digest(data) != document.open_checksum:
        raise _altered(path)
    return data


def members(store: Store, document: Document, path: StorePath) -> Iterator[Member]:
    """The members of a document stored at ``path``; ``Corrupt`` at its end where its checksum is wrong."""
    pieces = _Counted(store, document, path)
    yield from codec_of(document).members(pieces)
    pieces.prove()


def texts(store: Store, document: Document, path: StorePath) -> Iterator[bytes]:
    """The plain text of a packed document stored at ``path``, in pieces; ``Corrupt`` as in ``members``."""
    pieces = _Counted(store, document, path)
    yield from codec_of(document).texts(pieces)
    pieces.prove()


def codec_of(document: Document) -> Codec:
    """What a per-package document is packed with; ``Corrupt`` where repod cannot have made it."""
    found = codec.of(document.href)
    if found is None:
        suffixes = " or ".join(one.suffix for one in codec.CODECS.values())
        msg = f"{document.href}: expected a document that ends in {suffixes}"
        raise Corrupt(msg)
    return found


class _Counted:
    """The bytes of a stored document, hashed as they pass."""

    def __init__(self, store: Store, document: Document, path: StorePath) -> None:
        self._store, self._document, self._path = store, document, path
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._store.stream(self._path):
            self._digest.update(piece)
            yield piece

    def prove(self) -> None:
        if self._digest.hexdigest() != self._document.checksum:
            raise _altered(self._path)


def _altered(path: StorePath) -> Corrupt:
    return Corrupt(f"{path} does not have its checksum; restore it from a copy of the store")
