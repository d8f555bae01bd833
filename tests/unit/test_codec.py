"""Codecs: members and streams, whole or refused, and what readers of other hands make of them."""

import gzip
import random
import subprocess
import zlib
from collections.abc import Callable

import pytest
import zstandard
from lxml import etree

from repod.errors import Corrupt
from repod.repodata import codec, text
from repod.repodata.codec import CODECS, GZ, ZSTD, Codec
from tests.lab.entries import many

each_codec = pytest.mark.parametrize("one", CODECS.values(), ids=CODECS.keys())
PRIMARY = [made.entry.primary for made in many(120, seed=11)]
TEXTS = [text.head("primary", 120), *(b"".join(PRIMARY[at : at + 30]) for at in (0, 30, 60, 90)), text.tail("primary")]
PLAIN = b"".join(TEXTS)


def document(one: Codec) -> bytes:
    """A document in members: the head, four segments, the tail."""
    return b"".join(map(one.pack, TEXTS))


def by_command(*words: str) -> Callable[[bytes], bytes]:
    def read(data: bytes) -> bytes:
        return subprocess.run(words, input=data, check=True, capture_output=True).stdout

    return read


@each_codec
@pytest.mark.parametrize("size", [1, 7, 1000, 70_000, 10**7])
def test_a_document_is_taken_apart_into_the_very_bytes_and_texts_of_its_members(one: Codec, size: int) -> None:
    data = document(one)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    found = list(one.members(pieces))
    assert [member.text for member in found] == TEXTS
    assert [member.packed for member in found] == [one.pack(piece) for piece in TEXTS]
    assert b"".join(one.texts(pieces)) == PLAIN


@each_codec
def test_packing_is_undone_by_unpacking_and_has_no_time_in_it(one: Codec) -> None:
    for plain in (b"", b"x", b"<package>\n" * 10_000):
        assert one.unpack(one.pack(plain)) == plain
        assert one.pack(plain) == one.pack(plain)


@each_codec
def test_a_stream_is_one_member_however_its_text_comes(one: Codec) -> None:
    for pieces in (TEXTS, [PLAIN], [memoryview(PLAIN)[:9], b"", PLAIN[9:]]):
        packer = one.stream(len(PLAIN))
        data = b"".join(packer.compress(piece) for piece in pieces) + packer.flush()
        assert [member.text for member in one.members([data])] == [PLAIN]


@each_codec
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda member: member + member,
        lambda member: member[:-1],
        lambda member: member + b"\0",
        lambda member: member + member[:1],
        lambda _: b"<package/>",
    ],
    ids=["nothing", "two", "cut short", "junk behind", "begun behind", "plain"],
)
def test_what_is_not_one_whole_member_cannot_be_unpacked(one: Codec, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Corrupt, match=one.title):
        one.unpack(spoil(one.pack(b"abc")))


@each_codec
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_document_that_is_cut_short_is_corrupt(one: Codec, part: float) -> None:
    data = document(one)
    with pytest.raises(Corrupt, match="cut short"):
        list(one.texts([data[: int(part * len(data))]]))


@each_codec
def test_a_flipped_bit_is_corrupt_or_changes_no_text(one: Codec) -> None:
    data = document(one)
    draw = random.Random(3)
    for _ in range(200):
        damaged = bytearray(data)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        try:
            found = b"".join(one.texts([bytes(damaged)]))
        except Corrupt:
            continue
        # Only a gzip member's header holds bits that decide nothing: time, flags, system.
        assert (one, found) == (GZ, PLAIN)


def test_every_zstd_frame_says_how_long_its_text_is_and_has_a_checksum() -> None:
    packer = ZSTD.stream(3)
    for frame in (ZSTD.pack(b"abc"), packer.compress(b"abc") + packer.flush()):
        parameters = zstandard.get_frame_parameters(frame)
        assert (parameters.content_size, parameters.has_checksum, parameters.dict_id) == (3, True, 0)


def test_every_gzip_member_has_no_name_and_no_time() -> None:
    packer = GZ.stream(3)
    for member in (GZ.pack(b"abc"), packer.compress(b"abc") + packer.flush()):
        assert member[:8] == b"\x1f\x8b\x08\0\0\0\0\0"


@pytest.mark.parametrize(
    ("one", "read"),
    [
        (GZ, gzip.decompress),
        (GZ, by_command("gunzip", "-c")),
        (GZ, by_command("perl", "-MIO::Uncompress::Gunzip=:all", "-e", "gunzip '-' => '-', MultiStream => 1")),
        (ZSTD, by_command("zstd", "-dc")),
        (ZSTD, lambda data: zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()),
    ],
    ids=["Python gzip", "gunzip", "perl", "zstd", "python-zstandard"],
)
def test_a_document_of_members_is_one_text_for_readers_of_other_hands(
    one: Codec, read: Callable[[bytes], bytes]
) -> None:
    assert read(document(one)) == PLAIN


# DESIGN: "a reader that wrongly stops after the first member sees an unclosed document and fails".
@pytest.mark.parametrize(
    ("one", "read"),
    [
        (GZ, lambda data: zlib.decompress(data, 31)),
        (GZ, lambda data: zlib.decompressobj(31).decompress(data)),
        (GZ, by_command("perl", "-MIO::Uncompress::Gunzip=:all", "-e", "gunzip '-' => '-'")),
        (ZSTD, zstandard.decompress),
        (ZSTD, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
        (ZSTD, lambda data: b"".join(zstandard.ZstdDecompressor().read_to_iter(data))),
    ],
    ids=["zlib.decompress", "zlib.decompressobj", "perl", "decompress", "decompressobj", "read_to_iter"],
)
def test_a_reader_that_stops_after_the_first_member_fails_and_sees_no_list(
    one: Codec, read: Callable[[bytes], bytes]
) -> None:
    seen = read(document(one))
    assert seen == TEXTS[0]
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(seen)


@each_codec
def test_a_reader_that_stops_after_any_member_but_the_last_fails(one: Codec) -> None:
    for count in range(1, len(TEXTS)):
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(b"".join(one.texts(map(one.pack, TEXTS[:count]))))


def test_the_codec_of_a_document_is_told_by_its_name() -> None:
    for one in CODECS.values():
        assert codec.of(f"repodata/abc-primary.xml.{one.suffix}") is one
    assert codec.of("repodata/abc-comps.xml") is None


@each_codec
def test_the_first_member_is_told_from_a_stream_by_the_start_of_a_document(one: Codec) -> None:
    assert one.first(document(one)[:1000]) == TEXTS[0]
    packer = one.stream(len(PLAIN))
    stream = packer.compress(PLAIN) + packer.flush()
    assert one.first(stream[:1000]) is None
    assert one.first(b"junk") is None
    assert one.first(b"") is None


@pytest.mark.parametrize("plain", [b"", b"a", b"abc" * 1000])
def test_the_crc_is_the_one_of_gzip_however_the_text_is_cut(plain: bytes) -> None:
    assert codec.crc(plain) == zlib.crc32(plain) == codec.crc(plain[5:], codec.crc(plain[:5]))
    pieces = [plain[:5], plain[5:]]
    assert codec.joined_crc((codec.crc(piece), len(piece)) for piece in pieces) == codec.crc(plain)
