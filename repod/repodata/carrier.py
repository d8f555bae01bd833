"""The documents that a repository carries beside its packages' own: kept, edited, packed.

There is one record per type and one form of it. A document that nothing changes keeps its
record and its bytes.
"""

from collections.abc import Callable, Iterator, Mapping

from repod.doors import Change, Find, Piece, Store
from repod.generation import Document, Generation
from repod.package import StorePath
from repod.repodata import codec, text
from repod.repodata.listing import plain

Form = Callable[[str], str]
"""How a type of document is packed: the suffix of its name, ``gz`` or nothing."""

_NAMES: Mapping[str, str] = {
    "group": "comps.xml",
    "modules": "modules.yaml",
    "updateinfo": "updateinfo.xml",
    "productid": "productid",
    "appstream-icons": "appstream-icons.tar",
}


class Carrier:
    """Makes the carried documents of a generation from those of the one before."""

    def __init__(self, store: Store, form: Form) -> None:
        """``store``: the repository's."""
        self._store = store
        self._form = form

    def draft(
        self, generation: Generation | None, change: Change, find: Find, time: int
    ) -> tuple[list[Document], list[Piece]]:
        """The documents after ``change``, by type, and those that are to be stored.

        ``find`` looks packages up in the content after the change.
        """
        before = {d.type: d for d in generation.documents[len(text.KINDS) :]} if generation else {}
        documents = dict(before)
        pieces: list[Piece] = []
        for kind, data in self._edited(before, change, find):
            present = before.get(kind)
            if data is None:
                documents.pop(kind, None)
            elif present is None or present.open_checksum != codec.checksum(data):
                document, packed = self._packed(kind, data, time)
                documents[kind] = document
                pieces.append(Piece(path=document.href, checksum=document.checksum, parts=[packed]))
        return [documents[kind] for kind in sorted(documents)], pieces

    def _edited(self, before: Mapping[str, Document], change: Change, find: Find) -> Iterator[tuple[str, bytes | None]]:
        for kind in sorted({edit.type for edit in change.edits}):
            data = plain(self._store, before[kind]) if kind in before else None
            for edit in change.edits:
                if edit.type == kind:
                    data = edit.apply(data, find)
            yield kind, data

    def _packed(self, kind: str, data: bytes, time: int) -> tuple[Document, bytes]:
        suffix = self._form(kind)
        packed = codec.pack(data) if suffix else data
        checksum = codec.checksum(packed)
        name = _NAMES.get(kind, f"{kind}.xml") + (f".{suffix}" if suffix else "")
        document = Document(
            type=kind,
            href=StorePath(f"repodata/{checksum}-{name}"),
            checksum=checksum,
            size=len(packed),
            open_checksum=codec.checksum(data),
            open_size=len(data),
            timestamp=time,
        )
        return document, packed
