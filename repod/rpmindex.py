"""Whether the index of an RPM header fits its data, by the rules that rpm itself reads headers by.

What parses headers for us takes an index at its word: one entry of sixteen bytes that promises four thousand million
numbers ends the process. So no header goes there whose index was not held against its data first.
Rules after rpm's lib/header.c (``hdrblobVerifyInfo``).
"""

import struct
from collections.abc import Callable, Collection

from repod.rpmhead import LEAD_SIZE, payload_start, signature_end

_INTRO = 16
_FIRST_TAG = 100
_OF_SIGNATURE, _OF_MAIN = {61, 62}, {63}
# Bytes of an item, which is its alignment too; a string has no fixed length.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_STRING, _BINARY, _STRING_ARRAY, _I18N = 6, 7, 8, 9
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


def _stranger(tag: int, kind: int) -> str:
    """Why an entry has no place in a signature header; empty where it has."""
    expected = _SIGNATURE_TYPES.get(tag)
    if expected is None:
        return "expected a signature, a digest or a size, found something else" if tag >= _FIRST_OF_MAIN else ""
    return "" if kind == expected else f"expected type {expected}, found {kind}"


def _any(_tag: int, _kind: int) -> str:
    return ""


def _fault(head: bytes, start: int, regions: Collection[int], stranger: Callable[[int, int], str]) -> str:
    count, size = struct.unpack_from(">II", head, start + 8)
    first = start + _INTRO
    rows = list(struct.iter_unpack(">IIII", head[first : first + 16 * count]))
    if not rows:
        return "expected entries, found none"
    data = memoryview(head)[first + 16 * count : first + 16 * count + size]
    if rows[0][0] in regions:  # its data are a trailer, at the end of all others
        wrong = _region_fault(rows[0], data, len(rows))
        if wrong:
            return wrong
        del rows[0]
    ends = [offset for _, _, offset, _ in rows[1:]] + [size]
    for (tag, kind, offset, items), end in zip(rows, ends, strict=True):
        wrong = stranger(tag, kind) or _entry_fault(tag, kind, offset, items, end, data)
        if wrong:
            return f"tag {tag}: {wrong}"
    return ""


def _region_fault(row: tuple[int, ...], data: memoryview, entries: int) -> str:
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


def _entry_fault(tag: int, kind: int, offset: int, items: int, end: int, data: memoryview) -> str:
    """``end``: where the next entry's data begin."""
    if not _FIRST_TAG <= tag <= _MOST_TAG:
        return f"expected a tag from {_FIRST_TAG} to {_MOST_TAG}"
    if not items or not offset < end <= len(data):
        return f"expected data within {len(data)} bytes that end before those of the next, found {items} at {offset}"
    width = _WIDTHS.get(kind, 0)
    if width:
        fits = offset % width == 0 and items * width <= end - offset
        return "" if fits else f"expected {items} items of {width} bytes, aligned, found {end - offset} bytes at {offset}"
    if kind == _STRING and items != 1:
        return f"expected one string, found {items}"
    if kind not in {_STRING, _STRING_ARRAY, _I18N}:
        return f"expected a type from 1 to 9, found {kind}"
    # Each ends with a NUL.
    if items > end - offset or bytes(data[offset:end]).count(0) < items:
        return f"expected {items} strings in {end - offset} bytes, found fewer"
    return ""
