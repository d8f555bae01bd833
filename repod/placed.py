"""Documents where they lie in a store, and the door through which they are read strictly."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from repod.generation import Document
from repod.package import Nevra, Package, StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A document and where in the store it lies: in the live view, or in a frozen one."""

    document: Document
    path: StorePath


class StoredDocuments(Protocol):
    """Reads stored documents strictly, however they are packed, in bounded memory.

    Every method may raise ``NotFound`` where one is not there, and ``Corrupt``, that names it, where
    its bytes or its text are not what is said of it.
    """

    def index(self, data: bytes) -> tuple[str, Sequence[Document]]:
        """The revision that a ``repomd.xml`` states, and the documents it names, in its order."""

    def listing(self, primary: Placed) -> Iterator[Package]:
        """The packages of one primary, live or frozen; hrefs are as from the repository's root."""

    def compare(self, columns: Sequence[Placed]) -> Iterator[Package | str]:
        """The packages of primary, and in between a text where another column differs from it.

        ``columns``: live primary, filelists, other, frozen primary.
        """

    def carried(self, placed: Placed) -> None:
        """Prove a document beside the packages' own: checksums, and that hosts can read it."""

    def modular(self, placed: Placed) -> Collection[Nevra]:
        """The packages that a document of modules names."""
