"""Mutations of RPM files that know how one is built: what a mutant says is wrong, its digests are right."""

import bz2
import gzip
import lzma
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import zstandard

from tests.fuzz import mutate
from tests.lab import headers
from tests.lab.headers import BINARY, I18N, INT16, INT32, INT64, STRING, STRINGS, Entry, Rpm

_INT8 = 2
_KINDS = (0, 1, _INT8, INT16, INT32, INT64, STRING, BINARY, STRINGS, I18N, 10, 255, 1 << 31)
_TEXTS = (
    1000, 1001, 1002, 1004, 1005, 1007, 1011, 1014, 1015, 1016, 1020, 1021, 1022, 1044, 1124, 1125, 1126, 1132,
    5062, 5011,
)  # fmt: skip
_LISTS = (
    1027, 1035, 1036, 1039, 1040, 1047, 1049, 1050, 1054, 1055, 1081, 1082, 1090, 1113, 1115, 1117, 1118, 1119, 5035,
    5036, 5046, 5047, 5049, 5050, 5052, 5053, 5055, 5056,
)  # fmt: skip
_NUMBERS = (
    1003, 1006, 1009, 1028, 1030, 1033, 1034, 1037, 1045, 1048, 1053, 1080, 1095, 1096, 1112, 1114, 1116, 1140, 1143,
    5008, 5009, 5011, 5037, 5048, 5051, 5054, 5057, 5093, 5112, 5114,
)  # fmt: skip
_OTHERS = (
    100,
    61,
    62,
    63,
    257,
    261,
    262,
    263,
    267,
    268,
    269,
    270,
    273,
    274,
    276,
    278,
    999,
    1000,
    1106,
    5092,
    5097,
    5116,
)
_WORDS = (
    "hello", "1.0", "noarch", "src", "x86_64", "gzip", "zstd", "xz", "bzip2", "lzma", "none", "cpio", "/usr/bin/", "/",
    "rpmlib(PayloadIsZstd)", "(a if b)", "(a and (b or c))", "a >= 1", "config(hello)", "/bin/sh", "2:1.0-1", "1.0-1",
    "../../../etc/", "/usr/../../etc/", "x/y", ".", "..", "<b>&amp;]]>", "\u202ehello", "hello\u0301", "a" * 255,
    "b" * 300,
)  # fmt: skip
_EDGES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 255, 256, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)

Change = Callable[[Random, Rpm], None]


def package(draw: Random, data: bytes) -> bytes:
    """A mutant of an RPM; of what is none any more, a mutant of its bytes."""
    if draw.random() < 0.1:
        return mutate.raw(draw, data)
    try:
        with tempfile.NamedTemporaryFile(prefix="fuzz-", suffix=".rpm") as file:
            path = Path(file.name)
            path.write_bytes(data)
            rpm = Rpm.read(path)
            for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 6))):
                draw.choice(_CHANGES)(draw, rpm)
            mangle = _mangled(draw) if draw.random() < 0.35 else bytes
            rpm.write(path, mangle)
            made = path.read_bytes()
    except (ValueError, IndexError, struct.error, KeyError, UnicodeError, MemoryError):
        return mutate.raw(draw, data)
    return _after(draw, made)


def _word(draw: Random) -> bytes:
    if draw.random() < 0.5:
        return draw.choice(_WORDS).encode()
    return mutate.odd(draw).replace(b"\0", b"")


def _text(draw: Random, rpm: Rpm) -> None:
    rpm.header.set(draw.choice(_TEXTS), draw.choice((STRING, STRING, STRING, I18N, STRINGS)), _word(draw))


def _list(draw: Random, rpm: Rpm) -> None:
    tag = draw.choice(_LISTS)
    items = rpm.header.entries.get(tag)
    rows = items.data.split(b"\0")[:-1] if items and items.kind in {STRING, STRINGS} else []
    kind = draw.randrange(4)
    if kind == 0 or not rows:
        rows = [*rows, *(_word(draw) for _ in range(draw.choice((1, 2, 40))))]
    elif kind == 1:
        rows[draw.randrange(len(rows))] = _word(draw)
    elif kind == 2:
        rows = rows[: draw.randrange(len(rows))]
    else:
        rows = rows * draw.choice((2, 3, 50))
    rpm.header.set(tag, STRINGS, rows or [b""])


def _number(draw: Random, rpm: Rpm) -> None:
    tag = draw.choice(_NUMBERS)
    there = rpm.header.entries.get(tag)
    kind = there.kind if there and there.kind in {INT16, INT32, INT64} else draw.choice((INT32, INT32, INT16, INT64))
    most = 1 << {INT16: 16, INT32: 32, INT64: 64}[kind]
    old = list(rpm.header.numbers(tag)) if there and there.kind == kind else [0]
    rows = [
        *old[: draw.randrange(len(old) + 1)],
        *(draw.choice(_EDGES) % most for _ in range(draw.choice((0, 1, 1, 3)))),
    ]
    rpm.header.set(tag, kind, rows or [draw.choice(_EDGES) % most])


def _dropped(draw: Random, rpm: Rpm) -> None:
    header = draw.choice((rpm.header, rpm.header, rpm.header, rpm.signature))
    if header.entries:
        header.drop(draw.choice(list(header.entries)))


def _retyped(draw: Random, rpm: Rpm) -> None:
    """Another type or count over the same bytes."""
    header = draw.choice((rpm.header, rpm.header, rpm.header, rpm.signature))
    if not header.entries:
        return
    tag = draw.choice(list(header.entries))
    old = header.entries[tag]
    kind = draw.choice(_KINDS) if draw.random() < 0.5 else old.kind
    count = draw.choice((*_EDGES, old.count + 1, max(old.count - 1, 0))) if draw.random() < 0.7 else old.count
    header.entries[tag] = Entry(kind, count, old.data)


def _stranger(draw: Random, rpm: Rpm) -> None:
    """A tag that has no business there."""
    header = draw.choice((rpm.header, rpm.signature))
    tag = draw.choice((*_OTHERS, draw.randrange(1000, 1200), draw.randrange(5000, 5130), draw.randrange(1 << 32)))
    data = draw.choice((_word(draw) + b"\0", bytes(draw.randrange(40)), draw.randbytes(16), b""))
    header.entries[tag] = Entry(draw.choice(_KINDS), draw.choice((1, 1, len(data), *_EDGES)), data)


def _moved(draw: Random, rpm: Rpm) -> None:
    """The value of one tag under another."""
    if rpm.header.entries:
        of, to = draw.choice(list(rpm.header.entries)), draw.choice(_TEXTS + _LISTS + _NUMBERS)
        rpm.header.entries[to] = rpm.header.entries[of]


_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda plain: gzip.compress(plain, 1, mtime=0),
    "bzip2": bz2.compress,
    "xz": lambda plain: lzma.compress(plain, preset=0),
    "lzma": lambda plain: lzma.compress(plain, lzma.FORMAT_ALONE, preset=0),
    "zstd": lambda plain: zstandard.ZstdCompressor(level=1).compress(plain),
    "none": bytes,
}


def _payload(draw: Random, rpm: Rpm) -> None:
    """Another payload: torn, of another compressor than is said, empty, or a bomb."""
    kind = draw.choice(list(_PACKERS))
    plain = draw.choice((b"", b"07070100", b"\0" * 100_000, draw.randbytes(300), b"070701" + b"F" * 104))
    if kind != "none" and draw.random() < 0.03:
        plain = bytes(64 << 20)
    rpm.payload = _PACKERS[kind](plain)
    if draw.random() < 0.2:
        rpm.payload = mutate.raw(draw, rpm.payload)
    if draw.random() < 0.8:
        rpm.header.set(headers.PAYLOADCOMPRESSOR, STRING, kind)


def _lead(draw: Random, rpm: Rpm) -> None:
    lead, at = bytearray(rpm.lead), draw.randrange(4, len(rpm.lead))
    lead[at] = draw.randrange(256)
    rpm.lead = bytes(lead)


def _source(_draw: Random, rpm: Rpm) -> None:
    headers.source_package(rpm)


def _room(draw: Random, rpm: Rpm) -> None:
    """Room for a signature, or none."""
    size = draw.choice((0, 1, 300, 4096, 70_000))
    rpm.signature.drop(1008, 999)
    if size:
        rpm.signature.set(draw.choice((1008, 999)), BINARY, bytes(size))


def _md5_only(_draw: Random, rpm: Rpm) -> None:
    headers.md5_only(rpm)


def _digest_form(draw: Random, rpm: Rpm) -> None:
    """A digest in another spelling."""
    tag = draw.choice((headers.PAYLOADDIGEST, headers.PAYLOADDIGESTALT, headers.FILEDIGESTS))
    rows = rpm.header.strings(tag)
    if rows:
        rpm.header.entries.pop(tag)  # so that writing does not put it right
        new = draw.choice((rows[0].upper(), rows[0][:-2], "0" * 64, "", rows[0] + "00"))
        rpm.header.set(tag, draw.choice((STRINGS, STRING)), [new, *rows[1:]])


_CHANGES: Sequence[Change] = (
    *(_text, _list, _number) * 4, *(_retyped, _stranger, _dropped) * 2, _moved, _payload, _lead, _source, _room,
    _md5_only, _digest_form,
)  # fmt: skip


def _mangled(draw: Random) -> Callable[[bytes], bytes]:
    """Changes the index of a finished header, which its digests then speak for."""

    def mangle(header: bytes) -> bytes:
        found = bytearray(header)
        count, length = struct.unpack_from(">II", found, 8)
        for _ in range(draw.choice((1, 1, 2, 5))):
            kind = draw.randrange(8)
            row = 16 + 16 * draw.randrange(max(count, 1))
            if kind == 0:  # what the header says of its size
                struct.pack_into(
                    ">I", found, draw.choice((8, 12)), draw.choice((*_EDGES, count + 1, length + 8, length - 1)) % 2**32
                )
            elif kind == 1:  # rows in another order
                other = 16 + 16 * draw.randrange(max(count, 1))
                found[row : row + 16], found[other : other + 16] = found[other : other + 16], found[row : row + 16]
            elif kind == 2:  # a tag twice
                struct.pack_into(">I", found, row, draw.choice(_TEXTS + _LISTS + _NUMBERS))
            elif kind == 3:  # the region's own end
                struct.pack_into(">I", found, len(found) - 4 * draw.randrange(1, 5), draw.choice(_EDGES))
            elif kind == 4:
                found[draw.randrange(len(found))] = draw.randrange(256)
            else:
                struct.pack_into(
                    ">I", found, row + 4 * draw.randrange(4), draw.choice((*_EDGES, length - 1, length)) % 2**32
                )
        return bytes(found)

    return mangle


def _after(draw: Random, data: bytes) -> bytes:
    kind = draw.random()
    if kind < 0.05:
        return data[: draw.randrange(len(data) + 1)]
    if kind < 0.08:
        return data + draw.choice((b"\0", draw.randbytes(100), data))
    if kind < 0.13:
        return mutate.flip(draw, data)
    return data
