"""Generations: a change applied is what was asked for, and records survive being stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.errors import Corrupt
from repod.generation import Change, Document, Generation, Head, apply, diff, record_path
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
CONTENTS = st.lists(PACKAGES, max_size=8).map(lambda packages: {p.nevra: p for p in packages})
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
    repomd=st.text(max_size=20),
    signature=st.text(max_size=20),
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
        "format": 1,
        "number": 2,
        "parent": 1,
        "time": 5,
        "actor": "x",
        "why": "y",
        "packages": 1,
        "added": [package],
        "removed": [],
        "documents": [document],
        "repomd": "<repomd/>",
        "signature": "sig",
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


@given(CONTENTS, CONTENTS)
def test_what_leads_from_one_content_to_another_gives_it_when_applied(old: Any, new: Any) -> None:
    assert apply(old, diff(old, new)) == new


@given(CONTENTS)
def test_nothing_leads_from_a_content_to_itself(content: Any) -> None:
    assert not diff(content, content)
    assert apply(content, Change()) == content


@given(CONTENTS, st.lists(PACKAGES, max_size=4), st.lists(BUILDS, max_size=4))
def test_a_change_adds_what_it_adds_takes_what_it_takes_and_leaves_the_rest(
    content: Any, added: list[Package], removed: list[Nevra]
) -> None:
    after = apply(content, Change(added=added, removed=removed))
    last = {package.nevra: package for package in added}
    touched = set(removed) | last.keys()
    assert {n: p for n, p in after.items() if n in touched} == last
    assert {n: p for n, p in after.items() if n not in touched} == {
        n: p for n, p in content.items() if n not in touched
    }


def test_a_change_is_true_where_anything_changes() -> None:
    nevra = Nevra.parse("a-1-1.noarch")
    package = Package(nevra=nevra, pkgid=sha256("0" * 64), size=1, href=nevra.location)
    assert not Change()
    assert Change(added=[package])
    assert Change(removed=[nevra])


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
        record(number="2"),
        record(parent=[]),
        record(repomd=3),
    ],
)
def test_a_damaged_record_is_corrupt_and_says_what_to_do(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"restore it from a copy"):
        Generation.from_json(data)


@pytest.mark.parametrize("format_", [0, 2, "1"])
def test_a_record_of_a_newer_repod_is_not_guessed_at(format_: object) -> None:
    with pytest.raises(Corrupt, match="newer repod"):
        Generation.from_json(record(format=format_))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"null", b"[1]", b'{"format": 1}', b'{"generation": "x"}', b'{"generation": null}', b"\xff"]
)
def test_a_damaged_pointer_is_corrupt_and_never_means_empty(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"head\.json is unreadable"):
        Head.from_json(data)


def test_a_pointer_of_a_newer_repod_is_not_guessed_at() -> None:
    with pytest.raises(Corrupt, match="newer repod"):
        Head.from_json(b'{"format": 2, "generation": 5}')
