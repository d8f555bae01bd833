"""Drives ``SegmentedRepodata`` the way a publisher does, without records, pointer or signature."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import zstandard

from repod.doors import Change, Draft, Store
from repod.generation import Generation
from repod.package import Entry, Nevra, Package
from repod.repodata.cache import GARBAGE
from repod.repodata.engine import SegmentedRepodata


class Documents:
    """The documents of one repository, generation after generation. Close it, or use it as a context."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        garbage: int = GARBAGE,
        compression: str = "gz",
        *,
        single_stream: bool = False,
    ) -> None:
        """``folder``: the cache's."""
        self.store = store
        self.generation: Generation | None = None
        self.repodata = SegmentedRepodata(
            store, folder, compression=compression, single_stream=single_stream, garbage=garbage
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.repodata.close()

    def load(self, generation: Generation | None) -> Self:
        """Stand on ``generation``."""
        self.repodata.load(generation)
        self.generation = generation
        return self

    def commit(self, entries: Sequence[Entry] = (), removed: Sequence[Nevra] = ()) -> Generation:
        """Store the next documents and stand on them."""
        number = self.generation.number + 1 if self.generation else 1
        change = Change(entries=entries, removed=removed)
        draft = self.repodata.draft(change, number, 1000 + number)
        put(self.store, draft)
        self.generation = Generation(
            number=number,
            parent=number - 1,
            time=1000 + number,
            actor="test",
            why="",
            packages=draft.packages,
            added=tuple(draft.added),
            removed=tuple(draft.removed),
            documents=draft.documents,
            frozen=draft.frozen,
            repomd=draft.repomd.decode(),
            signature="",
            frozen_repomd=draft.frozen_repomd.decode(),
            frozen_signature="",
            patch=draft.patch,
        )
        self.repodata.adopt(draft, self.generation)
        self.repodata.load(self.generation)  # waits for the cache
        return self.generation

    def plain(self) -> dict[str, bytes]:
        """The plain text of each document, from the store."""
        assert self.generation is not None
        readers = {".gz": gzip.decompress, ".zst": unzstd}
        packed = self.packed()
        return {d.type: readers[Path(d.href).suffix](packed[d.type]) for d in self.generation.documents}

    def packed(self) -> dict[str, bytes]:
        """Each document as it is stored."""
        assert self.generation is not None
        return {document.type: self.store.read(document.href).data for document in self.generation.documents}

    def listed(self) -> list[Package]:
        """All packages in their order."""
        return list(self.repodata.packages())


def put(store: Store, draft: Draft) -> None:
    """Store the pieces of a draft."""
    for piece in sorted(draft.pieces, key=lambda piece: piece.source is not None):
        if piece.source:
            store.copy(piece.source, piece.path, piece.checksum)
        else:
            store.add(piece.path, piece.parts, piece.checksum)


def unzstd(data: bytes) -> bytes:
    """The text of all frames of a zstd file."""
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()


def members(data: bytes) -> Iterator[bytes]:
    """The texts of the members of a gzip file, by the standard library alone."""
    while data:
        one = zlib.decompressobj(31)
        yield one.decompress(data)
        assert one.eof
        data = one.unused_data
