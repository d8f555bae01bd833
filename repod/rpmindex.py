"""Whether the index of an RPM header fits its data, by the rules that rpm itself reads headers by.

What parses headers for us takes an index at its word: one entry of sixteen bytes that promises four thousand million
numbers ends the process. So no header goes there whose index was not held against its data first.
Rules after rpm's lib/header.c (``hdrblobVerifyInfo``).
"""

import struct
from collections.abc import Callable, Collection
from typing import NamedTuple

from repod.rpmhead import LEAD_SIZE, payload_start, signature_end

_INTRO = 16
_FIRST_TAG = 100
_OF_SIGNATURE, _OF_MAIN = {61, 62}, {63}
# Bytes of an item, which is its alignment too; a string has no fixed length.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_STRING, _BINARY, _STRING_ARRAY, _I18N = 6, 7, 8, 9
_STRINGS = {_STRING, _STRING_ARRAY, _I18N}
_TRAILER = 16
_MOST_TAG = (1 << 31) - 1
_FIRST_OF_MAIN = 1000
# What stands in a signature header, and of which type: rpm asks that of each tag that it knows.
_SIGNATURE_TYPES = {
    **dict.fromkeys((257, 275, 277, 1000, 1007), 4),
    **dict.fromkeys((270, 271), 5),
    **dict.fromkeys((264, 265, 269, 273, 279), _STRING),
    **dict.fromkeys((259, 261, 262, 263, 267, 268, 999, 1002, 1004, 1005, 1006, 1008), _BINARY),
    **dict.fromkeys((266, 274, 276, 278), _STRING_ARRAY),
}


def index_fault(head: bytes) -> str:
    """What is wrong in the two headers at the beginning of an RPM; empty where nothing is.

    ``head`` reaches to the end of the main header at least.
    """
    signature, main = signature_end(head), payload_start(head)
    if signature is None or main is None or len(head) < main:
        return "expected a signature header and a main header, found none, or a part of one"
    wrong = _fault(head, LEAD_SIZE, _OF_SIGNATURE, _stranger)
    if wrong:
        return f"signature header: {wrong}"
    wrong = _fault(head, signature + -signature % 8, _OF_MAIN, _any)
    return f"main header: {wrong}" if wrong else ""


class _Entry(NamedTuple):
    """An entry of an index: what it says."""

    tag: int
    kind: int
    offset: int
    items: int


def _stranger(row: _Entry) -> str:
    """Why an entry has no place in a signature header; empty where it has."""
    expected = _SIGNATURE_TYPES.get(row.tag)
    if expected is None:
        return "expected a signature, a digest or a size, found something else" if row.tag >= _FIRST_OF_MAIN else ""
    return "" if row.kind == expected else f"expected type {expected}, found {row.kind}"


def _any(_row: _Entry) -> str:
    return ""


def _fault(head: bytes, start: int, regions: Collection[int], stranger: Callable[[_Entry], str]) -> str:
    count, size = struct.unpack_from(">II", head, start + 8)
    first = start + _INTRO
    rows = [_Entry(*row) for row in struct.iter_unpack(">IIII", head[first : first + 16 * count])]
    if not rows:
        return "expected entries, found none"
    data = memoryview(head)[first + 16 * count : first + 16 * count + size]
    trailer = size
    if rows[0].tag in regions:  # its data are a trailer, at the end of all that belong to it
        wrong, trailer = _region_fault(rows[0], data, len(rows)), rows[0].offset
        if wrong:
            return wrong
        del rows[0]
    ends = [row.offset for row in rows[1:]] + [size]
    for row, end in zip(rows, ends, strict=True):
        most = min(end, trailer) if row.offset < trailer else end
        wrong = stranger(row) or _entry_fault(row, data[row.offset : most])
        if wrong:
            return f"tag {row.tag}: {wrong}"
    return ""


def _region_fault(row: _Entry, data: memoryview, entries: int) -> str:
    """The first entry speaks of those that belong to the region; its data, at the end of all, say how many."""
    tag, kind, offset, items = row
    if (kind, items) != (_BINARY, _TRAILER) or offset + _TRAILER > len(data):
        return f"tag {tag}: expected a region of {_TRAILER} bytes, found type {kind}, {items} bytes at {offset}"
    of, kind, back, items = struct.unpack_from(">IIiI", data, offset)
    covered = -back // 16
    # An old form of signatures names another tag here.
    right = of == tag or (of, tag) == (61, 62)
    if not right or (kind, items) != (_BINARY, _TRAILER) or back % 16 or not 0 < covered <= entries:
        return f"tag {tag}: expected the end of a region of {entries} entries, found one of tag {of}, type {kind}"
    if tag in _OF_MAIN and covered != entries:
        return f"tag {tag}: expected a region of all {entries} entries, found {covered}"
    return ""


def _entry_fault(row: _Entry, data: memoryview) -> str:
    """``data``: from where the entry's own begin to where the next one's do; empty where that is outside of all."""
    width = _WIDTHS.get(row.kind, 0)
    if not _FIRST_TAG <= row.tag <= _MOST_TAG:
        return f"expected a tag from {_FIRST_TAG} to {_MOST_TAG}"
    if not row.items or not data:
        return f"expected data that end before those of the next entry, found {row.items} items at {row.offset}"
    if width:
        fits = row.offset % width == 0 and row.items * width <= len(data)
        return "" if fits else f"expected {row.items} items of {width} bytes, found {len(data)} at {row.offset}"
    if row.kind not in _STRINGS or (row.kind == _STRING and row.items != 1):
        return f"expected one string, or items of a type from 1 to 9, found {row.items} of type {row.kind}"
    # Each ends with a NUL.
    fits = row.items <= len(data) and bytes(data).count(0) >= row.items
    return "" if fits else f"expected {row.items} strings in {len(data)} bytes, found fewer"
