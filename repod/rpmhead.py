"""What the first bytes of an RPM promise: how long the whole file is.

Layout after rpm's docs/manual/format_v4.md and format_v6.md: a lead of 96 bytes, the
signature header padded to 8 bytes, the main header, the payload. A header is 16 bytes
(magic, index count, data size), 16 bytes per index entry (tag, type, offset, count), data.
"""

import struct

LEAD_MAGIC = b"\xed\xab\xee\xdb"
LEAD_SIZE = 96
HEADER_MAGIC = b"\x8e\xad\xe8\x01"

# Format 4 says in the signature header how long main header and payload are together;
# format 6 dropped that and says in the main header how long the payload is.
SIGSIZE, LONGSIGSIZE, PAYLOADSIZE = 1000, 270, 5112
_INT32, _INT64 = 4, 5
_KINDS = {SIGSIZE: (_INT32, ">I"), LONGSIGSIZE: (_INT64, ">Q"), PAYLOADSIZE: (_INT64, ">Q")}

_INTRO = 16
# rpm itself refuses headers beyond these.
_MOST_ENTRIES = 0xFFFF
_MOST_DATA = 1 << 28


def promised_size(head: bytes) -> int | None:
    """How many bytes the whole file has, by its own header.

    ``head`` is the file from its first byte, at least ``head_size(head)`` bytes of it.
    None where ``head`` is shorter, is no RPM, or holds no such promise.
    """
    needed = head_size(head)
    if needed is None or len(head) < needed:
        return None
    main = _padded(_end(head, LEAD_SIZE))
    rest = _size_after_signature(head)
    if rest is not None:
        return main + rest
    payload = _number(head, main, PAYLOADSIZE)
    return None if payload is None else needed + payload


def head_size(head: bytes) -> int | None:
    """How many bytes from the start of the file the promise stands in, as far as ``head`` tells.

    Given more of the file the answer may grow. None: this is not the beginning of an RPM.
    """
    if head[: len(LEAD_MAGIC)] != LEAD_MAGIC[: len(head)]:
        return None
    needed = _reach(head, LEAD_SIZE)
    if needed is None or len(head) < needed or _size_after_signature(head) is not None:
        return needed
    return _reach(head, _padded(needed))


def signature_end(head: bytes) -> int | None:
    """Where the signature header ends, as far as ``head`` tells; as ``payload_start``."""
    if head[: len(LEAD_MAGIC)] != LEAD_MAGIC[: len(head)]:
        return None
    return _reach(head, LEAD_SIZE)


def payload_start(head: bytes) -> int | None:
    """Where the payload begins: after lead, signature header and main header, as far as ``head`` tells.

    Given more of the file the answer may grow; it is true once ``head`` has that many bytes.
    None: this is not the beginning of an RPM.
    """
    if head[: len(LEAD_MAGIC)] != LEAD_MAGIC[: len(head)]:
        return None
    signature = _reach(head, LEAD_SIZE)
    if signature is None or len(head) < signature:
        return signature
    return _reach(head, _padded(signature))


def _size_after_signature(head: bytes) -> int | None:
    size = _number(head, LEAD_SIZE, LONGSIGSIZE)
    return _number(head, LEAD_SIZE, SIGSIZE) if size is None else size


def _reach(head: bytes, start: int) -> int | None:
    """Where the header at ``start`` ends, or at least its intro; None where there is no header."""
    magic = head[start : start + len(HEADER_MAGIC)]
    if magic != HEADER_MAGIC[: len(magic)]:
        return None
    if len(head) < start + _INTRO:
        return start + _INTRO
    entries, data = struct.unpack_from(">II", head, start + 8)
    if entries > _MOST_ENTRIES or data > _MOST_DATA:
        return None
    return _end(head, start)


def _end(head: bytes, start: int) -> int:
    entries, data = struct.unpack_from(">II", head, start + 8)
    return start + _INTRO + 16 * int(entries) + int(data)


def _padded(end: int) -> int:
    return end + -end % 8


def _number(head: bytes, start: int, wanted: int) -> int | None:
    """The number under a tag of the header at ``start``, which must be whole; None where it has none."""
    kind, form = _KINDS[wanted]
    entries, _ = struct.unpack_from(">II", head, start + 8)
    data = start + _INTRO + 16 * entries
    end = _end(head, start)
    for at in range(start + _INTRO, data, 16):
        tag, found, offset, count = struct.unpack_from(">IIII", head, at)
        if tag == wanted and found == kind and count and data + offset + struct.calcsize(form) <= end:
            return int(struct.unpack_from(form, head, data + offset)[0])
    return None
