"""Generations: records survive being stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.errors import Corrupt
from repod.generation import Document, Generation, Head, record_path
from repod.package import Nevra, Package, sha256, store_path

SHAS = st.sampled_from([sha256(digit * 64) for digit in "0123456789abcdef"])
BUILDS = st.builds(
    Nevra,
    name=st.sampled_from(["a", "b", "c"]),
    epoch=st.integers(0, 1),
    version=st.sampled_from(["1.0", "1+0", "2"]),
    release=st.just("1"),
    arch=st.just("noarch"),
)
PACKAGES = st.builds(
    Package, nevra=BUILDS, pkgid=SHAS, size=st.integers(0, 2**40), href=st.sampled_from([store_path("Packages/x.rpm")])
)
DOCUMENTS = st.builds(
    Document,
    type=st.sampled_from(["primary", "filelists", "other"]),
    href=st.just(store_path("repodata/x.xml.gz")),
    checksum=SHAS,
    size=st.integers(0, 2**40),
    open_checksum=SHAS,
    open_size=st.integers(0, 2**40),
    timestamp=st.integers(0, 2**33),
)
GENERATIONS = st.builds(
    Generation,
    number=st.integers(1, 10**6),
    parent=st.integers(0, 10**6),
    time=st.integers(0, 2**33),
    actor=st.text(max_size=8),
    why=st.text(max_size=8),
    packages=st.integers(0, 10**6),
    added=st.lists(PACKAGES, max_size=3).map(tuple),
    removed=st.lists(PACKAGES, max_size=3).map(tuple),
    documents=st.lists(DOCUMENTS, max_size=3).map(tuple),
    frozen=DOCUMENTS,
    repomd=st.text(max_size=20),
    signature=st.text(max_size=20),
    frozen_repomd=st.text(max_size=20),
    frozen_signature=st.text(max_size=20),
)


def record(**changes: Any) -> bytes:
    package = {
        "nevra": {"name": "a", "epoch": 0, "version": "1", "release": "1", "arch": "noarch"},
        "pkgid": "0" * 64,
        "size": 3,
        "href": "Packages/a/a-1-1.noarch.rpm",
    }
    document = {
        "type": "primary",
        "href": "repodata/p.xml.gz",
        "checksum": "1" * 64,
        "size": 1,
        "open_checksum": "2" * 64,
        "open_size": 2,
        "timestamp": 3,
    }
    fields = {
        "format": 2,
        "number": 2,
        "parent": 1,
        "time": 5,
        "actor": "x",
        "why": "y",
        "packages": 1,
        "added": [package],
        "removed": [],
        "documents": [document],
        "frozen": document,
        "repomd": "<repomd/>",
        "signature": "sig",
        "frozen_repomd": "<repomd/>",
        "frozen_signature": "sig",
    }
    for name, value in changes.items():
        outer, _, inner = name.partition("__")
        if inner:
            fields[outer][0][inner] = value
        elif value is None:
            del fields[outer]
        else:
            fields[outer] = value
    return json.dumps(fields).encode()


@given(GENERATIONS)
def test_a_record_read_back_is_the_same_generation(generation: Generation) -> None:
    assert Generation.from_json(generation.to_json()) == generation


@given(st.integers(0, 10**9))
def test_a_pointer_read_back_is_the_same_pointer(number: int) -> None:
    assert Head.from_json(Head(generation=number).to_json()) == Head(generation=number)


def test_a_record_lies_under_its_number() -> None:
    assert record_path(42) == ".repod/generations/42.json"


def test_the_sound_record_of_these_tests_is_read() -> None:
    assert Generation.from_json(record()).added[0].nevra == Nevra.parse("a-1-1.noarch")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b"\xff\xfe",
        record()[:-20],
        record(format=None),
        record(number=None),
        record(signature=None),
        record(unknown=1),
        record(added=3),
        record(added__pkgid="0"),
        record(added__href="../../etc/passwd"),
        record(added__nevra={"name": "a"}),
        record(added__nevra=None),
        record(added__size="many"),
        record(documents__checksum="0" * 63),
        record(documents__open_checksum=None),
        record(documents__href="/etc/passwd"),
        record(documents__unknown=1),
        record(frozen=None),
        record(frozen_repomd=None),
        record(number="2"),
        record(parent=[]),
        record(repomd=3),
    ],
)
def test_a_damaged_record_is_corrupt_and_says_what_to_do(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"restore it from a copy"):
        Generation.from_json(data)


@pytest.mark.parametrize("format_", [0, 1, 3, "2"])
def test_a_record_of_another_format_is_not_guessed_at(format_: object) -> None:
    with pytest.raises(Corrupt, match="expected format 2"):
        Generation.from_json(record(format=format_))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"null", b"[1]", b'{"format": 2}', b'{"generation": "x"}', b'{"generation": null}', b"\xff"]
)
def test_a_damaged_pointer_is_corrupt_and_never_means_empty(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"head\.json is unreadable"):
        Head.from_json(data)


def test_a_pointer_of_another_format_is_not_guessed_at() -> None:
    with pytest.raises(Corrupt, match="expected format 2"):
        Head.from_json(b'{"format": 1, "generation": 5}')
