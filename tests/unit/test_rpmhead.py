"""The promise of a package's first bytes, read from packages of every builder, and from garbage."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import rpm_rs
from hypothesis import given
from hypothesis import strategies as st

from repod.rpmhead import (
    HEADER_MAGIC,
    LEAD_MAGIC,
    LEAD_SIZE,
    LONGSIGSIZE,
    PAYLOADSIZE,
    SIGSIZE,
    head_size,
    payload_start,
    promised_size,
)
from tests.lab.rpmbuild import ZSTD, rpmbuild
from tests.lab.rpms import nfpm, quick

INT32, INT64, BINARY = 4, 5, 7
LEAD = LEAD_MAGIC + bytes(LEAD_SIZE - len(LEAD_MAGIC))
BIG = {f"/usr/share/big/{number:05}": b"" for number in range(3000)}

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "rpm-rs, format 4": quick,
    "rpm-rs, format 4, no room for a signature": lambda folder: quick(folder, reserved=0),
    "rpm-rs, format 6": lambda folder: quick(folder, fmt=6),
    "rpm-rs, format 6, no room for a signature": lambda folder: quick(folder, fmt=6, reserved=0),
    "rpm-rs, format 6, a header of 300 KiB": lambda folder: quick(folder, fmt=6, files=BIG),
    "rpm-rs, an empty payload": lambda folder: quick(folder, files={}),
    "nfpm": nfpm,
    "rpmbuild, gzip": lambda folder: rpmbuild(folder)[0],
    "rpmbuild, zstd": lambda folder: rpmbuild(folder, payload=ZSTD)[0],
    "rpmbuild, source": lambda folder: rpmbuild(folder, source=True)[1],
}


@pytest.fixture(scope="module", params=BUILDERS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return BUILDERS[request.param](tmp_path_factory.mktemp("built")).read_bytes()


def header(*entries: tuple[int, int, bytes], magic: bytes = HEADER_MAGIC) -> bytes:
    index, data = b"", b""
    for tag, kind, value in entries:
        index += struct.pack(">IIII", tag, kind, len(data), 1)
        data += value
    return magic + bytes(4) + struct.pack(">II", len(entries), len(data)) + index + data


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def test_the_promise_is_the_size_of_the_file(built: bytes) -> None:
    assert promised_size(built) == len(built)


def test_the_head_that_is_asked_for_is_enough(built: bytes) -> None:
    needed = head_size(built)
    assert needed is not None
    assert promised_size(built[:needed]) == len(built)
    assert promised_size(built[: needed - 1]) is None


def test_whoever_reads_as_much_as_is_asked_for_again_and_again_comes_to_an_end(built: bytes) -> None:
    head, rounds = b"", 0
    while (needed := head_size(head)) is not None and needed > len(head):
        head = built[:needed]
        rounds += 1
    assert promised_size(head) == len(built)
    assert rounds <= 4


def test_the_payload_begins_where_another_reader_finds_it(built: bytes, tmp_path: Path) -> None:
    path = tmp_path / "built.rpm"
    path.write_bytes(built)
    wanted = rpm_rs.PackageMetadata.open(str(path)).package_segment_offsets().payload
    head = built[:1]
    while (needed := payload_start(head) or 0) > len(head):
        head = built[:needed]
    assert len(head) == wanted
    assert payload_start(built) == wanted


def test_what_is_no_package_has_no_payload() -> None:
    assert payload_start(b"junk" * 100) is None
    assert payload_start(LEAD + b"junk" * 100) is None


def test_every_beginning_of_a_package_may_become_one(built: bytes) -> None:
    needed = head_size(built)
    assert needed is not None
    for length in [*range(200), *range(200, needed, 97)]:
        asked = head_size(built[:length])
        assert asked is not None
        assert length < asked <= needed or promised_size(built[:length]) == len(built)


@pytest.mark.parametrize(
    "head",
    [b"PK", b"\xed\xab\xee\xdc", b"\0", b"<!DOCTYPE html>", LEAD + b"x", LEAD + b"\x8e\xad\xe8\x02", b"\xed\xab\xeePK"],
)
def test_what_begins_otherwise_is_no_package(head: bytes) -> None:
    assert head_size(head) is None
    assert promised_size(head) is None


def test_a_package_of_more_than_4_gib_says_so_in_64_bits() -> None:
    head = LEAD + header((LONGSIGSIZE, INT64, struct.pack(">Q", 5 << 30)), (SIGSIZE, INT32, struct.pack(">I", 7)))
    assert promised_size(head) == len(padded(head)) + (5 << 30)


def test_format_6_promises_the_payload_alone_in_the_main_header() -> None:
    head = padded(LEAD + header((62, BINARY, b"x" * 3)))
    head += header((PAYLOADSIZE, INT64, struct.pack(">Q", 1000)))
    assert promised_size(head) == len(head) + 1000


def test_a_package_without_any_promise_is_one_all_the_same() -> None:
    head = padded(LEAD + header()) + header((1000, 6, b"name\0"))
    assert head_size(head) == len(head)
    assert promised_size(head) is None


@pytest.mark.parametrize(
    "entry",
    [
        (SIGSIZE, BINARY, struct.pack(">I", 7)),
        (SIGSIZE, INT32, b"\0\0"),
        (LONGSIGSIZE, INT64, b"\0\0\0\0"),
        (SIGSIZE + 1, INT32, struct.pack(">I", 7)),
    ],
)
def test_a_promise_of_another_type_or_cut_short_is_none(entry: tuple[int, int, bytes]) -> None:
    assert promised_size(padded(LEAD + header(entry)) + header()) is None


def test_a_header_larger_than_rpm_allows_is_no_package() -> None:
    for counts in ((0x10000, 0), (0, (1 << 28) + 1), (0xFFFFFFFF, 0xFFFFFFFF)):
        assert head_size(LEAD + HEADER_MAGIC + bytes(4) + struct.pack(">II", *counts)) is None


@given(st.binary(max_size=300), st.binary(max_size=64), st.integers(0, 40), st.integers(0, 300))
def test_no_bytes_whatever_make_it_fail(tail: bytes, second: bytes, entries: int, data: int) -> None:
    head = LEAD + HEADER_MAGIC + bytes(4) + struct.pack(">II", entries, data) + tail
    for garbage in (tail, LEAD + tail, head, padded(head) + HEADER_MAGIC + second):
        promised, needed = promised_size(garbage), head_size(garbage)
        assert needed is not None or promised is None
        assert promised is None or promised >= 0
