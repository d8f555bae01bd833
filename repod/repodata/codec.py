"""Compressions: how a segment is packed, and how a document is taken apart into its members.

A document is a series of members whose texts follow each other: gzip members (RFC 1952,
section 2.2) or zstd frames (RFC 8878, section 3). A reader that wrongly stops after the first
one must find an unclosed document, so the head is always a member of its own.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import deflate
import zstandard
from zlib_ng import zlib_ng

from repod.errors import Corrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member: its bytes as stored and its plain text."""

    packed: bytes
    text: bytes


class Packer(Protocol):
    """Packs one text that comes in pieces into one member that goes out in pieces."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """What is ready of the member after this piece of text; often nothing."""

    def flush(self) -> bytes:
        """The end of the member."""


class Unpacker(Protocol):
    """Unpacks one member."""

    @property
    def eof(self) -> bool:
        """Whether the member is over."""

    @property
    def unused_data(self) -> bytes:
        """What was given of the bytes behind it."""

    def decompress(self, data: memoryview, /) -> bytes:
        """The text that these bytes of the member hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One compression, without state: threads may share it.

    ``name`` is what settings call it, ``title`` what people do, ``suffix`` how names of files
    end. ``pack`` makes one whole member of a text. ``stream`` takes the length of a whole
    document's text in bytes and gives the packer for it. ``unpacker`` and ``faults`` serve the methods below.
    """

    name: str
    title: str
    suffix: str
    pack: Callable[[bytes], bytes]
    stream: Callable[[int], Packer]
    unpacker: Callable[[], Unpacker]
    faults: tuple[type[Exception], ...]

    def unpack(self, member: bytes) -> bytes:
        """The text of one whole member; ``Corrupt`` where it is anything else."""
        texts = list(self.members([member]))
        if len(texts) != 1:
            msg = f"expected one {self.title} member, found {len(texts)}"
            raise Corrupt(msg)
        return texts[0].text

    def members(self, pieces: Iterable[bytes]) -> Iterator[Member]:
        """Take a document apart; ``Corrupt`` where it is damaged or cut short.

        Each member's text is in memory as a whole: for documents that are cut into segments.
        """
        packed, texts = list[memoryview](), list[bytes]()
        for taken, text, over in self._taken(pieces):
            packed.append(taken)
            texts.append(text)
            if over:
                yield Member(packed=b"".join(packed), text=b"".join(texts))
                packed, texts = [], []

    def first(self, start: bytes) -> bytes | None:
        """The text of the first member, where it ends within ``start``, the first bytes of a document."""
        texts = list[bytes]()
        with contextlib.suppress(Corrupt):
            for _, text, over in self._taken([start]):
                texts.append(text)
                if over:
                    return b"".join(texts)
        return None

    def texts(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The plain text of a document in pieces, however it is cut; ``Corrupt`` as in ``members``."""
        for _, text, _ in self._taken(pieces):
            if text:
                yield text

    def _taken(self, pieces: Iterable[bytes]) -> Iterator[tuple[memoryview, bytes, bool]]:
        """Packed bytes, the text they give, and whether a member ends with them."""
        unpacker, begun = self.unpacker(), False
        for piece in _short(pieces):
            rest = piece
            while rest:
                try:
                    text = unpacker.decompress(rest)
                except self.faults as error:
                    msg = f"not a sound {self.title} document: {error}"
                    raise Corrupt(msg) from error
                over = unpacker.eof
                used = len(rest) - (len(unpacker.unused_data) if over else 0)
                yield rest[:used], text, over
                rest, begun = rest[used:], not over
                if over:
                    unpacker = self.unpacker()
        if begun:
            msg = f"{self.title} document is cut short"
            raise Corrupt(msg)


# What an unpacker leaves behind a member is copied for each member: long pieces have many.
_PIECE = 64 << 10


def _short(pieces: Iterable[bytes]) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]


# Measured over segments of 48 packages (tests/bench compress; 20,000 packages, 230 MB of text):
# libdeflate 6 is 0.4 % larger than createrepo_c's single stream, at 170 MB/s; zlib-ng 6 is 0.8 %
# larger at 110 MB/s, zlib 6 is 2 % larger at 65 MB/s, isal 3 is 16 % larger at 320 MB/s.
# libdeflate has no streams: zlib-ng 5 makes one of createrepo_c's size at twice the speed of 6.
# Neither writes a name or a time, so equal text packed by the same library is equal bytes.
_GZ_LEVEL = 6
_GZ_STREAM_LEVEL = 5
_GZ_WBITS = 31


def _gz_pack(text: bytes) -> bytes:
    return bytes(deflate.gzip_compress(text, _GZ_LEVEL))


GZ = Codec(
    name="gz",
    title="gzip",
    suffix="gz",
    pack=_gz_pack,
    stream=lambda _length: zlib_ng.compressobj(_GZ_STREAM_LEVEL, zlib_ng.DEFLATED, _GZ_WBITS),
    # Not by the library that packed: what one writes wrongly it might well read back.
    unpacker=lambda: zlib_ng.decompressobj(_GZ_WBITS),
    faults=(zlib_ng.error,),  # type: ignore[arg-type]  # zlib-ng's types call it a value
)


# As above: zstd 9 is 2 % larger than createrepo_c's single stream (primary 12 %) and 3 % smaller
# than gz, at 85 MB/s; 3 is 19 % larger, 12 is 1 % smaller than 9 at half its speed. Segments of
# 96 or 192 packages would save 1 and 2 %, and cost twice and four times as much for each change.
_ZSTD_LEVEL = 9


def _zstd() -> zstandard.ZstdCompressor:
    # Its own for each use: one may not be shared by threads.
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True, write_content_size=True)


def _zstd_pack(text: bytes) -> bytes:
    return _zstd().compress(text)


ZSTD = Codec(
    name="zstd",
    title="zstd",
    suffix="zst",
    pack=_zstd_pack,
    stream=lambda length: _zstd().compressobj(size=length),
    unpacker=lambda: zstandard.ZstdDecompressor().decompressobj(),
    faults=(zstandard.ZstdError,),
)

CODECS = {codec.name: codec for codec in (GZ, ZSTD)}
"""All codecs by the name that settings call them."""


def of(href: str) -> Codec | None:
    """The codec of a document, by the end of its name; None where it is not packed, or not by one of ours."""
    suffix = href.rpartition(".")[2]
    return next((codec for codec in CODECS.values() if codec.suffix == suffix), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How a repository's documents are packed: with which codec, and as one stream or in members."""

    codec: Codec
    stream: bool

    @property
    def name(self) -> str:
        """What tells it from any other."""
        return f"{self.codec.name}, one stream" if self.stream else self.codec.name


def crc(text: bytes | memoryview, start: int = 0) -> int:
    """CRC-32 of ``text``, as a gzip member's trailer holds it; it costs a hundredth of SHA-256."""
    return int(zlib_ng.crc32(text, start))


def joined_crc(pieces: Iterable[tuple[int, int]]) -> int:
    """CRC-32 of a text in pieces, from each piece's CRC-32 and length."""
    crc = 0
    for piece, length in pieces:
        crc = int(zlib_ng.crc32_combine(crc, piece, length))
    return crc
