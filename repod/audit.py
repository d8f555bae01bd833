"""Proves that what a repository shows is what it holds: rules 1 to 3, file by file."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.generation import Document, Generation
from repod.history import History
from repod.package import Package, StorePath
from repod.views import REPOMD, SIGNATURE

VerifySignature = Callable[[bytes, bytes], bool]
"""Whether an armored signature (second) over data (first) is by the published key."""


Listing = Callable[[Generation], Iterator[Package]]
"""All packages that a generation's own documents list; may raise ``Corrupt``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One breach: ``severity`` is ``fault`` (clients are or may be hurt) or ``note``."""

    severity: str
    path: str
    text: str


class Audit:
    """Reads a whole repository and compares."""

    def __init__(self, *, store: Store, listing: Listing, history: History, verify_signature: VerifySignature) -> None:
        """Nothing is written."""
        self._store = store
        self._listing = listing
        self._history = history
        self._verify_signature = verify_signature

    def verify(self) -> Iterator[Finding]:
        """Everything that is not as the current generation says; nothing where all is well."""
        generation = self._history.current()
        if generation is None:
            yield Finding(severity="fault", path=".repod/head.json", text="no generation; start repod to create one")
            return
        yield from self._index(generation)
        broken = [finding for document in generation.documents for finding in self._bytes(document)]
        yield from broken
        if broken:
            return
        try:
            listed = list(self._listing(generation))
        except Corrupt as error:
            yield Finding(severity="fault", path="repodata", text=str(error))
            return
        for package in listed:
            yield from self._bytes(package)
        yield from self._unlisted({package.href for package in listed})

    def _index(self, generation: Generation) -> Iterator[Finding]:
        for path, wanted in ((REPOMD, generation.repomd), (SIGNATURE, generation.signature)):
            try:
                same = self._store.read(path).data == wanted.encode()
            except NotFound:
                same = False
            if not same:
                text = f"not that of generation {generation.number}; restart repod, which mends it"
                yield Finding(severity="fault", path=path, text=text)
        if not self._verify_signature(generation.repomd.encode(), generation.signature.encode()):
            text = "the index's signature does not verify with the configured key; publish again with that key"
            yield Finding(severity="fault", path=SIGNATURE, text=text)

    def _bytes(self, thing: Document | Package) -> Iterator[Finding]:
        """Compare a stored object's size and SHA-256 with what is said of it."""
        wanted = thing.checksum if isinstance(thing, Document) else thing.pkgid
        digest, size = hashlib.sha256(), 0
        try:
            for piece in self._store.stream(thing.href):
                digest.update(piece)
                size += len(piece)
        except NotFound:
            yield Finding(severity="fault", path=thing.href, text="listed but missing; restore it from a copy")
            return
        if size != thing.size or digest.hexdigest() != wanted:
            text = f"altered: expected {thing.size} bytes, sha256 {wanted}; found {size}, {digest.hexdigest()}"
            yield Finding(severity="fault", path=thing.href, text=text)

    def _unlisted(self, listed: set[StorePath]) -> Iterator[Finding]:
        for stored in self._store.list("Packages/"):
            if stored.path not in listed:
                yield Finding(severity="note", path=stored.path, text="not listed by the current generation")
