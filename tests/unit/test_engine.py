"""The engine: what its documents say, against createrepo_c's own writer, and what it answers."""

import gzip
import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import createrepo_c
import pytest

from repod.doors import Change, Extent, Store
from repod.errors import Corrupt
from repod.package import Nevra, sha256
from repod.repodata import listing, text
from repod.repodata.coldstart import sources
from repod.repodata.segments import SPREAD
from repod.store.local import LocalStore
from repod.store.memory import MemoryStore
from tests.lab import oracle
from tests.lab.documents import Documents
from tests.lab.entries import Made, entries, made, many

PACKAGES = sorted(many(4 * SPREAD, seed=3), key=lambda one: one.nevra.order)
LISTED = PACKAGES[:-5]


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore(lambda: 0.0)
    (tmp_path / "store").mkdir()
    return LocalStore(tmp_path / "store")


@pytest.fixture
def documents(store: Store, tmp_path: Path) -> Iterator[Documents]:
    """All packages but five, in two generations, so that the second is made of old and fresh parts."""
    with Documents(store, tmp_path / "cache") as documents:
        documents.commit(entries(PACKAGES[:-10]))
        documents.commit(entries(PACKAGES[-10:-5]))
        yield documents


def fields(package: createrepo_c.Package) -> dict[str, object]:
    values = {name: getattr(package, name) for name in oracle.FIELDS}
    # An ordinary file's type is "" where it is set and None where it is read.
    return values | {"files": {(kind or "", folder, name) for kind, folder, name in package.files}}


def written(packages: list[Made], kind: str, folder: Path) -> bytes:
    """What createrepo_c's own writer makes of the same packages, in one stream."""
    writers = {
        "primary": createrepo_c.PrimaryXmlFile,
        "filelists": createrepo_c.FilelistsXmlFile,
        "other": createrepo_c.OtherXmlFile,
    }
    path = folder / f"written-{kind}.xml.gz"
    file = writers[kind](str(path), createrepo_c.GZ_COMPRESSION)
    file.set_num_of_pkgs(len(packages))
    for package in packages:
        file.add_pkg(package.described)
    file.close()
    return gzip.decompress(path.read_bytes())


@pytest.mark.parametrize("count", [0, 1, len(PACKAGES)])
def test_the_plain_text_is_that_of_a_single_stream_by_createrepo_c(count: int, store: Store, tmp_path: Path) -> None:
    with Documents(store, tmp_path / "cache") as documents:
        documents.commit(entries(PACKAGES[:count][::-1]))
        for kind in text.KINDS:
            assert documents.plain()[kind] == written(PACKAGES[:count], kind, tmp_path)


def test_createrepo_c_reads_every_package_back(documents: Documents, tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"{kind}.xml.gz" for kind in text.KINDS}
    for kind, data in documents.packed().items():
        paths[kind].write_bytes(data)
    read = createrepo_c.PackageIterator(*(str(path) for path in paths.values()))
    assert [fields(package) for package in read] == [fields(one.described) for one in LISTED]


def test_repomd_says_of_each_document_what_is_true_of_its_bytes(documents: Documents, tmp_path: Path) -> None:
    assert documents.generation is not None
    (tmp_path / "repomd.xml").write_text(documents.generation.repomd)
    index = createrepo_c.Repomd(str(tmp_path / "repomd.xml"))
    assert index.revision == "2"
    plain, packed = documents.plain(), documents.packed()
    records = {record.type: record for record in index.records}
    assert set(records) == set(text.KINDS)
    for document in documents.generation.documents:
        record = records[document.type]
        assert record.checksum == document.checksum == hashlib.sha256(packed[document.type]).hexdigest()
        assert record.checksum_open == document.open_checksum == hashlib.sha256(plain[document.type]).hexdigest()
        assert (record.checksum_type, record.checksum_open_type) == ("sha256", "sha256")
        assert record.size == document.size == len(packed[document.type])
        assert record.size_open == document.open_size == len(plain[document.type])
        assert record.location_href == document.href == f"repodata/{document.checksum}-{document.type}.xml.gz"
        assert record.timestamp == document.timestamp == documents.generation.time


def test_a_draft_tells_what_it_adds_and_what_the_parent_listed_of_what_it_takes_out(documents: Documents) -> None:
    gone, replaced, new = PACKAGES[0], PACKAGES[9], PACKAGES[-1]
    other = made(replaced.nevra, "another build")
    draft = documents.repodata.draft(
        Change(entries=[new.entry, other.entry], removed=[gone.nevra, PACKAGES[-2].nevra]), 3, 7
    )
    assert (draft.number, draft.packages) == (3, len(LISTED))
    assert set(draft.added) == {new.package, other.package}
    assert set(draft.removed) == {gone.package, replaced.package}
    assert len(draft.removed) == 2


def test_the_parts_of_a_draft_are_ranges_of_the_parent_and_fresh_bytes(documents: Documents) -> None:
    draft = documents.repodata.draft(Change(removed=[PACKAGES[3 * SPREAD].nevra]), 3, 7)
    for kind, piece in enumerate(draft.pieces[: len(text.COLUMNS)]):
        assert documents.generation is not None
        parent = sources(documents.generation)[kind][1]
        extents = [part for part in piece.parts if isinstance(part, Extent)]
        assert extents
        assert {extent.path for extent in extents} == {parent}


def _extents(documents: Documents) -> list[Extent]:
    """Those of a draft that changes a package in the middle."""
    draft = documents.repodata.draft(Change(removed=[PACKAGES[2 * SPREAD].nevra]), 3, 7)
    return [part for piece in draft.pieces for part in piece.parts if isinstance(part, Extent)]


def test_every_range_of_the_parent_can_be_had_from_the_cache_too_piece_by_piece(documents: Documents) -> None:
    draw = random.Random(5)
    extents = _extents(documents)
    assert len(extents) > len(text.COLUMNS)
    for extent in extents:
        assert extent.local
        stored = documents.store.read(extent.path).data[extent.offset : extent.offset + extent.length]
        assert extent.local(0, extent.length) == stored
        for _ in range(50):
            start = draw.randint(0, extent.length)
            length = draw.randint(0, extent.length - start)
            assert extent.local(start, length) == stored[start : start + length]


def test_a_range_of_a_cache_that_was_emptied_is_refused_and_not_read_from_another_file(documents: Documents) -> None:
    extent = _extents(documents)[0]
    documents.repodata.forget()
    assert extent.local
    with pytest.raises(Corrupt, match="was given up meanwhile"):
        extent.local(0, 1)


def test_a_range_beyond_what_the_cache_holds_of_an_extent_is_refused(documents: Documents) -> None:
    extent = _extents(documents)[0]
    assert extent.local
    for start in (extent.length - 1, extent.length):
        with pytest.raises(Corrupt, match="shorter than its index says"):
            extent.local(start, 2)


def test_a_package_is_found_by_its_nevra_and_one_that_is_not_listed_is_not(documents: Documents) -> None:
    found = documents.repodata.find(one.nevra for one in PACKAGES)
    assert found == {one.nevra: one.package for one in LISTED}
    strange = [Nevra.parse("0-0-0.x"), Nevra.parse("zzzz-1-1.noarch"), replace(PACKAGES[5].nevra, epoch=77)]
    assert documents.repodata.find(strange) == {}
    assert documents.repodata.find([]) == {}


def test_all_packages_are_listed_in_order_or_those_of_one_name(documents: Documents) -> None:
    assert documents.listed() == [one.package for one in LISTED]
    for name in {one.nevra.name for one in PACKAGES}:
        wanted = [one.package for one in LISTED if one.nevra.name == name]
        assert list(documents.repodata.packages(name)) == wanted
    assert list(documents.repodata.packages("no such name")) == []


def test_the_listing_beside_the_daemon_reads_the_same_from_the_store(documents: Documents) -> None:
    assert documents.generation is not None
    assert list(listing.packages(documents.store, documents.generation)) == documents.listed()


def test_the_listing_of_a_document_without_its_checksum_is_corrupt(documents: Documents) -> None:
    generation = documents.generation
    assert generation is not None
    wrong = replace(generation.documents[0], checksum=sha256("0" * 64))
    with pytest.raises(Corrupt, match="does not have its checksum"):
        list(listing.packages(documents.store, replace(generation, documents=[wrong])))


def test_before_anything_is_loaded_nothing_is_listed(tmp_path: Path) -> None:
    with Documents(MemoryStore(lambda: 0.0), tmp_path) as documents:
        documents.load(None)
        assert documents.listed() == []
        assert documents.repodata.find([PACKAGES[0].nevra]) == {}


def test_only_the_last_draft_can_be_adopted(documents: Documents) -> None:
    assert documents.generation is not None
    old = documents.repodata.draft(Change(entries=[PACKAGES[-1].entry]), 3, 7)
    new = documents.repodata.draft(Change(entries=[PACKAGES[-2].entry]), 3, 7)
    with pytest.raises(ValueError, match="not the last one made"):
        documents.repodata.adopt(old, documents.generation)
    documents.repodata.adopt(new, replace(documents.generation, number=3, documents=new.documents, frozen=new.frozen))
    assert PACKAGES[-2].package in documents.listed()


def test_a_draft_that_is_dropped_leaves_no_trace_in_the_next(documents: Documents) -> None:
    documents.repodata.draft(Change(entries=[PACKAGES[-1].entry], removed=[one.nevra for one in PACKAGES[:50]]), 3, 7)
    documents.commit([PACKAGES[-2].entry])
    assert documents.listed() == [one.package for one in [*LISTED, PACKAGES[-2]] if one is not PACKAGES[-1]]


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("primary", lambda xml: xml.replace(b"<name>", b"<name")),
        ("primary", lambda xml: xml.replace(b"<size ", b"<sice ")),
        ("primary", lambda xml: xml.replace(b'href="Packages/', b'href="../')),
        ("primary", lambda xml: xml.replace(b"<name>", b"<name>other-")),
        ("primary", lambda xml: xml.replace(b'pkgid="YES">', b'pkgid="YES">0')),
        ("primary", lambda xml: xml + xml),
        ("primary", lambda xml: xml[:-1]),
        ("primary", lambda xml: xml.replace(b"<summary>", b"<summary>\x1b")),
        ("filelists", lambda xml: xml.replace(b'pkgid="', b'pkgid="0')),
        ("filelists", lambda _: b""),
        ("other", lambda xml: xml.replace(b"</version>", b"").replace(b"/>", b">")),
        ("other", lambda xml: xml + xml),
        ("other", lambda xml: xml.replace(b"version", b"\xff")),
    ],
)
def test_an_entry_that_would_spoil_the_documents_gets_into_none(kind: str, spoil: object, tmp_path: Path) -> None:
    assert callable(spoil)
    entry = PACKAGES[1].entry
    bad = replace(entry, **{kind: spoil(getattr(entry, kind))})
    with Documents(MemoryStore(lambda: 0.0), tmp_path) as documents:
        documents.commit([PACKAGES[0].entry])
        for others in ([], [PACKAGES[2].entry]):
            with pytest.raises(Corrupt):
                documents.repodata.draft(Change(entries=[bad, *others]), 2, 7)
        documents.commit([entry])
        assert documents.listed() == [PACKAGES[0].package, PACKAGES[1].package]
