"""Unpacks what was uploaded packed, to a size that is bounded before it is there."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import zstandard

from repod.errors import Corrupt

_MEMORY = 128 << 20
# Bytes given at once: what they give is not bounded otherwise, and bzip2 makes 900,000 of 45, zstd 128 KiB of 4.
_STEP = 512


def plain_name(name: str) -> str:
    """``name`` without the ending that says how it is packed."""
    stem, _, ending = name.rpartition(".")
    return stem if ending.lower() in _OPENERS and stem else name


def unpack(name: str, data: bytes, limit: int) -> bytes:
    """``data`` unpacked, by the ending of ``name``; as it is where that says nothing.

    ``Corrupt`` where it is no such file, ends early, or gives more than ``limit`` bytes.
    """
    opener = _OPENERS.get(name.rpartition(".")[2].lower())
    try:
        text = data if opener is None else _unpacked(opener, data, limit)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError, zstandard.ZstdError) as error:
        msg = f"{name}: cannot be unpacked ({error}); upload it again, plain"
        raise Corrupt(msg) from error
    if len(text) > limit:
        msg = f"{name}: expected at most {limit} bytes of text, found more; split it, or leave out what hosts never ask"
        raise Corrupt(msg)
    return text


def _unpacked(make: Callable[[], Any], data: bytes, limit: int) -> bytes:
    """Frame after frame; stops as soon as there is more than ``limit``."""
    pieces: list[bytes] = []
    size, place, opener = 0, 0, make()
    while place < len(data) and size <= limit:
        if opener.eof:
            opener = make()
        step = data[place : place + _STEP]
        pieces.append(opener.decompress(step))
        size += len(pieces[-1])
        place += len(step) - len(opener.unused_data)
    if size <= limit and not opener.eof:
        msg = "it ends early"
        raise EOFError(msg)
    return b"".join(pieces)


_OPENERS: Mapping[str, Callable[[], Any]] = {
    "gz": lambda: zlib.decompressobj(31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY),
    "zst": lambda: zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj(),
}
