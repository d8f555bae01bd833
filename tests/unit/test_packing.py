"""Packing is a setting: gz or zstd, in members or as one stream, changed at any time on a living repository."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import createrepo_c
import pytest

from repod.doors import Change, Extent, Piece
from repod.errors import Corrupt
from repod.generation import Generation
from repod.package import StorePath, digest, sha256
from repod.repodata import listing, text
from repod.repodata.codec import CODECS
from repod.repodata.segments import SPREAD
from repod.store.memory import MemoryStore
from tests.lab.documents import Documents
from tests.lab.entries import entries, made, many

PACKAGES = sorted(many(5 * SPREAD, seed=9), key=lambda one: one.nevra.order)
NEW = made("mmm-new-1.0-1.noarch")
PACKINGS = list(itertools.product(CODECS, (False, True)))
each_packing = pytest.mark.parametrize(
    ("compression", "single_stream"), PACKINGS, ids=[f"{name}{' stream' * one}" for name, one in PACKINGS]
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: 0.0)


class Folders:
    """A repository that is opened again and again, with the cache of before or with none."""

    def __init__(self, store: MemoryStore, folder: Path) -> None:
        self.store = store
        self._folder = folder
        self._numbers = itertools.count()

    def opened(self, compression: str, single_stream: bool, at: Generation | None = None, cache: str = "") -> Documents:
        folder = self._folder / (cache or f"new{next(self._numbers)}")
        documents = Documents(self.store, folder, compression=compression, single_stream=single_stream)
        return documents.load(at) if at else documents


@pytest.fixture
def folders(store: MemoryStore, tmp_path: Path) -> Iterator[Folders]:
    return Folders(store, tmp_path)


def count_of_members(documents: Documents) -> set[int]:
    """How many members the documents have."""
    assert documents.generation is not None
    return {len(list(listing.members(documents.store, d, d.href))) for d in documents.generation.documents}


@each_packing
def test_every_packing_has_the_same_text_and_createrepo_c_reads_it(
    compression: str, single_stream: bool, folders: Folders, tmp_path: Path
) -> None:
    with folders.opened("gz", False) as plain, folders.opened(compression, single_stream) as documents:
        for one in (plain, documents):
            one.commit(entries(PACKAGES[10:]))
            one.commit(entries(PACKAGES[:10]), [PACKAGES[50].nevra])
        assert documents.plain() == plain.plain()
        assert documents.generation is not None
        assert {d.href.rpartition(".")[2] for d in documents.generation.documents} == {CODECS[compression].suffix}
        paths = []
        for document in documents.generation.documents:
            paths.append(tmp_path / Path(document.href).name)
            paths[-1].write_bytes(documents.store.read(document.href).data)
        read = createrepo_c.PackageIterator(*map(str, paths))
        assert [package.pkgId for package in read] == [package.pkgid for package in documents.listed()]
        assert list(listing.packages(documents.store, documents.generation)) == documents.listed()
        assert (count_of_members(documents) == {1}) is single_stream


@each_packing
@pytest.mark.parametrize("count", [0, 1])
def test_hardly_anything_can_be_packed_too(compression: str, single_stream: bool, count: int, folders: Folders) -> None:
    with folders.opened(compression, single_stream) as documents:
        generation = documents.commit(entries(PACKAGES[:count]))
        assert (count_of_members(documents) == {1}) is single_stream
    with folders.opened(compression, single_stream, generation) as documents:
        assert documents.listed() == [one.package for one in PACKAGES[:count]]


@each_packing
def test_what_is_made_from_the_store_alone_is_what_the_cache_would_give(
    compression: str, single_stream: bool, folders: Folders
) -> None:
    with folders.opened(compression, single_stream, cache="kept") as documents:
        generation = documents.commit(entries(PACKAGES))
    with (
        folders.opened(compression, single_stream, generation, "kept") as warm,
        folders.opened(compression, single_stream, generation) as cold,
    ):
        assert cold.listed() == warm.listed() == [one.package for one in PACKAGES]
        assert cold.commit([NEW.entry]) == warm.commit([NEW.entry])


@pytest.mark.parametrize("cached", [True, False], ids=["with the cache", "from the store"])
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(PACKINGS, 2)))
def test_the_next_publish_after_a_change_of_the_setting_makes_all_documents_anew(
    before: tuple[str, bool], after: tuple[str, bool], cached: bool, folders: Folders
) -> None:
    with folders.opened(*before, cache="kept") as documents:
        old = documents.commit(entries(PACKAGES))
        plain = documents.plain()
    with folders.opened(*after, old, "kept" if cached else "") as documents:
        draft = documents.repodata.draft(Change(), 2, 7)
        assert not any(isinstance(part, Extent) for piece in draft.pieces for part in piece.parts)
        new = documents.commit()
        assert documents.plain() == plain
        assert {d.type: d.open_checksum for d in new.documents} == {d.type: d.open_checksum for d in old.documents}
        assert not {d.checksum for d in new.documents} & {d.checksum for d in old.documents}
        assert (count_of_members(documents) == {1}) is after[1]
        with folders.opened(*after) as once:
            once.commit()
            assert [d.checksum for d in once.commit(entries(PACKAGES)).documents] == [d.checksum for d in new.documents]


def test_the_setting_may_change_together_with_the_content(folders: Folders) -> None:
    rest = [one for one in PACKAGES if one not in PACKAGES[SPREAD : 2 * SPREAD]]
    with folders.opened("gz", False, cache="kept") as documents:
        old = documents.commit(entries(PACKAGES))
    with folders.opened("zstd", False, old, "kept") as documents, folders.opened("zstd", False) as once:
        documents.commit([NEW.entry], [one.nevra for one in PACKAGES[SPREAD : 2 * SPREAD]])
        once.commit([*entries(rest), NEW.entry])
        assert documents.packed() == once.packed()
        draft = documents.repodata.draft(Change(removed=[NEW.nevra]), 3, 7)
        assert all(any(isinstance(part, Extent) for part in piece.parts) for piece in draft.pieces if piece.parts)


@each_packing
def test_each_piece_is_ready_to_be_stored_once_and_a_copy_after_what_it_copies(
    compression: str, single_stream: bool, folders: Folders
) -> None:
    ready: list[Piece] = []
    with folders.opened(compression, single_stream) as documents:
        documents.commit(entries(PACKAGES))
        draft = documents.repodata.draft(Change(entries=[NEW.entry]), 2, 7, ready=ready.append)
    assert sorted(piece.path for piece in ready) == sorted(piece.path for piece in draft.pieces)
    assert all(piece in draft.pieces for piece in ready)
    paths = [piece.path for piece in ready]
    sources = [piece.source for piece in ready if piece.source]
    assert len(sources) == 2
    assert all(paths.index(piece.source) < paths.index(piece.path) for piece in ready if piece.source)


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-30],
        lambda data: data + data,
        lambda data: data.replace(b'packages="', b'packages="1'),
        lambda data: data.replace(b"<package ", b"<packag  ", 1),
        lambda data: data.replace(b"</metadata>", b"</metadatA>"),
        lambda _: b"",
    ],
    ids=["cut short", "twice", "count", "entry", "tail", "nothing"],
)
def test_a_stream_that_is_not_a_whole_document_is_corrupt_and_not_stood_on(
    compression: str, spoil: object, folders: Folders
) -> None:
    assert callable(spoil)
    with folders.opened(compression, True) as documents:
        generation = documents.commit(entries(PACKAGES))
        plain = documents.plain()["primary"]
        wrong = spoil(plain)
        packer = CODECS[compression].stream(len(wrong))
        data = packer.compress(wrong) + packer.flush()
    path, checksum = StorePath(f"repodata/wrong.{CODECS[compression].suffix}"), digest(data)
    folders.store.add(path, [data], checksum)
    first = replace(generation.documents[0], href=path, checksum=checksum, size=len(data))
    with folders.opened(compression, True) as documents, pytest.raises(Corrupt):
        documents.load(replace(generation, documents=(first, *generation.documents[1:])))


def test_a_stream_without_its_checksum_is_corrupt(folders: Folders) -> None:
    with folders.opened("gz", True) as documents:
        generation = documents.commit(entries(PACKAGES))
    other = replace(generation.documents[2], checksum=sha256("0" * 64))
    with folders.opened("gz", True) as documents, pytest.raises(Corrupt, match="does not have its checksum"):
        documents.load(replace(generation, documents=(*generation.documents[:2], other)))


def test_a_document_that_no_codec_of_repod_reads_is_named(folders: Folders) -> None:
    with folders.opened("gz", False) as documents:
        generation = documents.commit(entries(PACKAGES))
    first = replace(generation.documents[0], href=StorePath("repodata/primary.xml.bz2"))
    folders.store.add(first.href, [b"BZh9"], digest(b"BZh9"))
    with folders.opened("gz", False) as documents, pytest.raises(Corrupt, match=r"bz2: expected .* ends in gz or zst"):
        documents.load(replace(generation, documents=(first, *generation.documents[1:])))


@each_packing
def test_builds_that_take_others_places_leave_what_building_at_once_gives(
    compression: str, single_stream: bool, folders: Folders
) -> None:
    with folders.opened(compression, single_stream) as grown, folders.opened(compression, single_stream) as once:
        listed = {one.nevra: one for one in PACKAGES}
        grown.commit(entries(PACKAGES))
        for number, at in enumerate((200, 3, 120, 239, 0, 150)):
            listed[PACKAGES[at].nevra] = made(PACKAGES[at].nevra, f"build {number}")
            grown.commit([listed[PACKAGES[at].nevra].entry])
        once.commit(entries(list(listed.values())))
        assert grown.plain() == once.plain()
        assert [text.KINDS[0] in d.href for d in grown.generation.documents if grown.generation] == [True, False, False]
