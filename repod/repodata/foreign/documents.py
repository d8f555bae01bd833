"""Documents as they lie elsewhere: fetched, proven by size and checksum, unpacked by what their bytes are."""

import bz2
import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from repod.elsewhere import Source
from repod.errors import Corrupt, Unavailable
from repod.repodata.foreign.index import Checksum, Record

_PIECE = 1 << 20
# A frame may grow by 32,768: this much at once becomes 128 MiB at most.
_ZSTD_PIECE = 4 << 10
_LIMIT = 16 << 30
"""Bytes of plain text that no document has, for one whose index does not say how many."""

_ZSTD = b"\x28\xb5\x2f\xfd"
_FORMS: Mapping[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


def fetch(source: Source, record: Record, target: Path) -> None:
    """The document as it lies there, proven, in the new file ``target``.

    ``Corrupt`` where size or checksum are not as the index says.
    """
    digest, size = hashlib.new(record.checksum.algorithm), 0
    with _writing(target) as file:
        for piece in source.open(record.href, record.base):
            size += len(piece)
            if record.size is not None and size > record.size:
                break
            digest.update(piece)
            file.write(piece)
    if record.size not in {None, size}:
        more = "more" if size > (record.size or 0) else str(size)
        raise Corrupt(f"{record.href}: expected {record.size} bytes, found {more}")
    _compare(f"{record.href}", record.checksum, digest.hexdigest())


def unpack(record: Record, packed: Path, target: Path) -> None:
    """The plain text of a fetched document in the new file ``target``, proven where the index says what it is."""
    limit = _LIMIT if record.open_size is None else record.open_size
    digest, size = hashlib.new(record.open_checksum.algorithm if record.open_checksum else "sha256"), 0
    with _writing(target) as file:
        for piece in _plain(record, packed):
            size += len(piece)
            if size > limit:
                break
            digest.update(piece)
            file.write(piece)
    if size > limit or (record.open_size is not None and size != limit):
        raise Corrupt(f"{record.href}: expected {limit} bytes of plain text, found {size}{'+' * (size > limit)}")
    if record.open_checksum:
        _compare(f"{record.href}, its plain text", record.open_checksum, digest.hexdigest())


def _compare(what: str, wanted: Checksum, found: str) -> None:
    if found != wanted.digest:
        raise Corrupt(f"{what}: expected {wanted.algorithm} {wanted.digest}, found {found}")


def _plain(record: Record, packed: Path) -> Iterator[bytes]:
    """The plain text in pieces, none so large that a small file fills the memory."""
    with packed.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"\0ZCK1"):
        raise Corrupt(f"{record.href}: zchunk cannot be read; expected gz, xz, zstd, bz2 or plain text")
    opened = next((opened for magic, opened in _FORMS.items() if start.startswith(magic)), None)
    try:
        if start.startswith(_ZSTD):
            yield from _frames(packed)
            return
        with (opened or open)(packed, "rb") as reader:
            while piece := reader.read(_PIECE):
                yield piece
    except _DAMAGE as error:
        raise Corrupt(f"{record.href} cannot be unpacked: {error}") from error


def _frames(packed: Path) -> Iterator[bytes]:
    """All zstd frames of a file. zstandard's own readers take a frame that is cut short for the end."""
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    with packed.open("rb") as file:
        while piece := file.read(_ZSTD_PIECE):
            while piece:
                if unpacker.eof:
                    unpacker = zstandard.ZstdDecompressor().decompressobj()
                yield unpacker.decompress(piece)
                piece = unpacker.unused_data
    if not unpacker.eof:
        msg = "the last zstd frame is cut short"
        raise EOFError(msg)


@contextmanager
def _writing(target: Path) -> Iterator[BinaryIO]:
    """A new file; what goes wrong with it, to its last byte, is ``Unavailable``."""
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
    except OSError as error:
        msg = f"{target} cannot be written: {error.strerror}; see the disk of [state_dir]"
        raise Unavailable(msg) from error
