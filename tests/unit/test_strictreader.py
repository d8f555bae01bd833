"""Stored documents are read strictly, in each form in which they are packed."""

import bz2
import gzip
import hashlib
from collections.abc import Callable

import pytest
import zstandard

from repod.errors import Corrupt, NotFound
from repod.generation import Document
from repod.package import Sha256, StorePath, sha256
from repod.placed import Placed
from repod.repodata import text
from repod.repodata.repomd import repomd
from repod.repodata.strictreader import StrictDocuments
from repod.store.memory import MemoryStore
from tests.lab.entries import made

A, B = made("a-1.0-1.noarch"), made("b-2:1.0-1.noarch")
PLAIN = text.head("primary", 2) + A.entry.primary + B.entry.primary + text.tail("primary")


def checksum(data: bytes) -> Sha256:
    return sha256(hashlib.sha256(data).hexdigest())


def placed(store: MemoryStore, packed: bytes, suffix: str, plain: bytes = PLAIN, place: str = "") -> Placed:
    document = Document(
        type="primary",
        href=StorePath(f"repodata/{checksum(packed)}-primary.xml{suffix}"),
        checksum=checksum(packed),
        size=len(packed),
        open_checksum=checksum(plain),
        open_size=len(plain),
        timestamp=0,
    )
    path = StorePath(place + document.href)
    store.add(path, [packed], document.checksum)
    return Placed(document=document, path=path)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: 0.0)


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".gz", lambda data: gzip.compress(data[:40]) + gzip.compress(data[40:])),
        (".zst", zst),
        (".zst", lambda data: zst(data[:40]) + zst(data[40:])),
        ("", bytes),
    ],
)
def test_every_form_lists_the_same_packages(suffix: str, pack: Callable[[bytes], bytes], store: MemoryStore) -> None:
    found = StrictDocuments(store).listing(placed(store, pack(PLAIN), suffix))
    assert list(found) == [A.package, B.package]


def test_the_hrefs_of_a_frozen_view_are_told_as_from_the_root(store: MemoryStore) -> None:
    frozen = text.frozen(PLAIN)
    one = placed(store, gzip.compress(frozen), ".gz", frozen, "generations/7/")
    assert list(StrictDocuments(store).listing(one)) == [A.package, B.package]


@pytest.mark.parametrize(
    ("suffix", "packed", "says"),
    [
        (".gz", gzip.compress(PLAIN)[:-9], "is cut short"),
        (".gz", gzip.compress(PLAIN) + b"tail", "cannot be unpacked"),
        (".gz", b"junk", "cannot be unpacked"),
        (".zst", zst(PLAIN)[:-5], "is cut short"),
        (".zst", zst(PLAIN) + b"tail", "cannot be unpacked"),
        (".bz2", bz2.compress(PLAIN), "is not sound XML"),
        (".gz", gzip.compress(PLAIN.replace(b"<name>a", b"<name>x")), r"expected \d+ unpacked bytes"),
    ],
)
def test_what_is_not_whole_or_not_what_is_said_of_it_is_corrupt(
    suffix: str, packed: bytes, says: str, store: MemoryStore
) -> None:
    with pytest.raises(Corrupt, match=says):
        list(StrictDocuments(store).listing(placed(store, packed, suffix)))


def test_what_is_not_there_is_not_found(store: MemoryStore) -> None:
    one = placed(store, gzip.compress(PLAIN), ".gz")
    store.remove(one.path)
    with pytest.raises(NotFound):
        list(StrictDocuments(store).listing(one))


def test_an_index_gives_back_the_documents_that_it_was_made_of(store: MemoryStore) -> None:
    document = placed(store, gzip.compress(PLAIN), ".gz").document
    assert StrictDocuments(store).index(repomd([document], 42)) == ("42", [document])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'type="sha256"', b'type="sha1"', "no sha256"),
        (b'<location href="', b'<location href="../', "not a path inside a store"),
        (b"<repomd", b"<other", "not sound XML"),
        (b"<size>", b"<size>x", "invalid literal"),
        (b"location", b"place", "it has no location"),
    ],
)
def test_an_index_that_cannot_be_understood_is_corrupt(old: bytes, new: bytes, says: str, store: MemoryStore) -> None:
    document = placed(store, gzip.compress(PLAIN), ".gz").document
    with pytest.raises(Corrupt, match=says):
        StrictDocuments(store).index(repomd([document], 42).replace(old, new))
