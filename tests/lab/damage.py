"""Breaks files the way the world does: cut short, a bit flipped, not a package at all."""

import gzip
from pathlib import Path

import rpm_rs

LEAD = 96

JUNK: dict[str, bytes] = {
    "empty": b"",
    "html": b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>\n",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00",
    "gzip": gzip.compress(b"not a package\n" * 100, mtime=0),
}
"""What arrives under a name that ends in .rpm and is none."""


def truncate_at(source: Path, target: Path, size: int) -> Path:
    """The first ``size`` bytes of ``source``; a negative ``size`` counts from its end."""
    target.write_bytes(source.read_bytes()[:size])
    return target


def flip_bit(source: Path, target: Path, offset: int, bit: int = 0) -> Path:
    """``source`` with one bit flipped at ``offset`` (negative: from its end)."""
    data = bytearray(source.read_bytes())
    data[offset] ^= 1 << bit
    target.write_bytes(data)
    return target


def with_lead(source: Path, target: Path, lead: bytes) -> Path:
    """``source`` with the first bytes of its 96-byte lead replaced by ``lead``."""
    target.write_bytes(lead + source.read_bytes()[len(lead) :])
    return target


def header_offset(path: Path) -> int:
    """Where the main header begins."""
    return int(rpm_rs.PackageMetadata.open(str(path)).package_segment_offsets().header)


def payload_offset(path: Path) -> int:
    """Where the payload begins: cut behind it, and every header is still whole."""
    return int(rpm_rs.PackageMetadata.open(str(path)).package_segment_offsets().payload)
