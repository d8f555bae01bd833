"""The documents that a repository carries beside its packages' own: kept, edited, packed.

There is one record per type and one form of it. A document that nothing changes keeps its
record and its bytes; one whose packages came or went follows them.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from repod.doors import Change, Edit, Find, Piece, Store
from repod.errors import Corrupt, NotFound, Unfit
from repod.generation import Document, Generation
from repod.memo import recall, remember
from repod.package import Nevra, Package, Sha256, StorePath, digest
from repod.repodata import codec
from repod.repodata.listing import plain

Form = Callable[[str], str]
"""How a type of document is packed: the suffix of its name, that of a codec or nothing."""

_NAMES: Mapping[str, str] = {
    "group": "comps.xml",
    "modules": "modules.yaml",
    "updateinfo": "updateinfo.xml",
    "productid": "productid",
    "appstream-icons": "appstream-icons.tar",
}


class After:
    """A repository's content after a change that is being made."""

    def __init__(
        self,
        change: Change,
        gone: Sequence[Package],
        find: Find,
        packages: Callable[[str], Iterable[Package]],
    ) -> None:
        """``find`` and ``packages`` look into the content before; ``gone`` is what the change takes out of it."""
        self.change = change
        self.gone = gone
        self.added = {entry.package.nevra: entry.package for entry in change.entries}
        self._find = find
        self._packages = packages

    def find(self, nevras: Iterable[Nevra]) -> dict[Nevra, Package]:
        """Those of ``nevras`` that are listed."""
        wanted = set(nevras)
        old = wanted - self.added.keys() - {package.nevra for package in self.gone}
        return dict(self._find(old)) | {nevra: self.added[nevra] for nevra in wanted & self.added.keys()}

    def named(self, name: str) -> Iterator[Package]:
        """The packages of that name that are listed."""
        gone = {package.nevra for package in self.gone}
        yield from (package for package in self._packages(name) if package.nevra not in gone)
        yield from (package for nevra, package in self.added.items() if nevra.name == name)

    @property
    def names(self) -> set[str]:
        """The names of all packages that came or went."""
        return {nevra.name for nevra in self.added} | {package.nevra.name for package in self.gone}


class Carrier:
    """Makes the carried documents of a generation from those of the one before."""

    def __init__(self, store: Store, form: Form, folder: Path) -> None:
        """``store``: the repository's; ``folder``: for what is remembered of documents, may be lost."""
        self._store = store
        self._form = form
        self._names = _Names(folder)

    def draft(self, generation: Generation | None, after: After, time: int) -> tuple[list[Document], list[Piece]]:
        """The documents after a change, in the order of their types, and those that are to be stored."""
        before = generation.carried if generation else {}
        documents = dict(before)
        pieces: list[Piece] = []
        for kind in sorted({*before, *(edit.type for edit in after.change.edits)}):
            present = before.get(kind)
            data = self._next(kind, present, after, generation.view if generation else "")
            if data is None:
                documents.pop(kind, None)
            elif not isinstance(data, Document) and (present is None or present.open_checksum != digest(data)):
                documents[kind], packed = self._packed(kind, data, time)
                href, checksum = documents[kind].href, documents[kind].checksum
                pieces.append(Piece(path=href, checksum=checksum, parts=[packed]))
        self._names.keep({document.open_checksum for document in documents.values()})
        return [documents[kind] for kind in sorted(documents)], pieces

    def _next(self, kind: str, present: Document | None, after: After, view: str) -> bytes | Document | None:
        """The plain document after the change; ``present`` itself where the change does not touch it."""
        edits = [edit for edit in after.change.edits if edit.type == kind]
        if present and not edits and not after.names & self._named(kind, present, view):
            return present
        from repod.repodata import carried  # noqa: PLC0415 - most publishes touch no document

        data = self._plain(present, view) if present else None
        # One that was taken over as it was and is not sound stays so: that is not this change's fault.
        with contextlib.suppress(Corrupt):
            if data is not None:
                added = list(after.added.values())
                data = carried.follow(kind, data, added=added, removed=after.gone, find=after.find, named=after.named)
        # After that: an edit knows the packages itself, and one that sets a document sets its very bytes.
        for edit in edits:
            data = _applied(edit, data, after.find)
        return data

    def _named(self, kind: str, document: Document, view: str) -> frozenset[str]:
        """The names of the packages that a document speaks of."""
        known = self._names.of(document.open_checksum)
        if known is None:
            from repod.repodata import carried  # noqa: PLC0415 - remembered of most documents

            try:
                known = carried.names(kind, self._plain(document, view))
            except Corrupt:
                known = frozenset()
            self._names.add(document.open_checksum, known)
        return known

    def _plain(self, document: Document, view: str) -> bytes:
        """The plain text; where the live view has lost the document, from the frozen one."""
        try:
            return plain(self._store, document)
        except NotFound:
            return plain(self._store, document, view)

    def _packed(self, kind: str, data: bytes, time: int) -> tuple[Document, bytes]:
        suffix = self._form(kind)
        name = _NAMES.get(kind, f"{kind}.xml") + (f".{suffix}" if suffix else "")
        packer = codec.of(name)
        packed = packer.pack(data) if packer else data
        checksum = digest(packed)
        document = Document(
            type=kind,
            href=StorePath(f"repodata/{checksum}-{name}"),
            checksum=checksum,
            size=len(packed),
            open_checksum=digest(data),
            open_size=len(data),
            timestamp=time,
        )
        return document, packed


def _applied(edit: Edit, present: bytes | None, find: Find) -> bytes | None:
    """The document after an edit; what does not fit is no sign of a damaged store."""
    try:
        return edit.apply(present, find)
    except (Corrupt, NotFound) as error:
        msg = f"{edit.what}: {error}"
        raise Unfit(msg) from error


class _Names:
    """Which packages each document speaks of, remembered in a folder so that a start need not parse them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Sha256, frozenset[str]] = {}

    def of(self, checksum: Sha256) -> frozenset[str] | None:
        """The names in the plain document of that checksum; None where they are not remembered."""
        if checksum not in self._known:
            with contextlib.suppress(ValueError, TypeError):
                names, seal = recall(self._folder / checksum)
                if seal == _seal(names):
                    self._known[checksum] = frozenset(names)
        return self._known.get(checksum)

    def add(self, checksum: Sha256, names: frozenset[str]) -> None:
        """Remember them."""
        self._known[checksum] = names
        remember(self._folder / checksum, [sorted(names), _seal(sorted(names))])

    def keep(self, checksums: set[Sha256]) -> None:
        """Forget all others."""
        for checksum in self._known.keys() - checksums:
            del self._known[checksum]
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in checksums:
                    path.unlink()


def _seal(names: Sequence[str]) -> str:
    return digest("\0".join(names).encode())
