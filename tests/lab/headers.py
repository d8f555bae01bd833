"""Reads an RPM (format 4) into its parts, lets a test change any tag, and writes it whole again.

Every digest that the package carries is made anew on writing, so that only the fault
the test asked for is in the file. Signatures are dropped: they cannot survive a change.
Layout after rpm's docs/manual/format_v4.md.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LEAD = 96
MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
INT16, INT32, INT64, STRING, BINARY, STRINGS, I18N = 3, 4, 5, 6, 7, 8, 9
_NUMBERS = {INT16: ">H", INT32: ">I", INT64: ">Q"}
_PIECE = 1 << 20

NAME, VERSION, RELEASE, EPOCH, SUMMARY, DESCRIPTION = 1000, 1001, 1002, 1003, 1004, 1005
SIZE, ARCH, FILEDIGESTS, SOURCERPM, CHANGELOGTEXT, SOURCEPACKAGE = 1009, 1022, 1035, 1044, 1082, 1106
DIRINDEXES, BASENAMES, DIRNAMES, PAYLOADCOMPRESSOR, PAYLOADFLAGS = 1116, 1117, 1118, 1125, 1126
LONGSIZE, FILEDIGESTALGO, PAYLOADDIGEST, PAYLOADDIGESTALGO, PAYLOADDIGESTALT = 5009, 5011, 5092, 5093, 5097

SIG_LONGSIZE, SIG_SHA1, SIG_SHA256, SIG_SIZE, SIG_MD5 = 270, 269, 273, 1000, 1004
_SIGNATURES = (267, 268, 278, 1002, 1005)

Value = int | str | bytes | Sequence[str | bytes | int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag's value as it lies in a header's store: ``count`` items of type ``kind``."""

    kind: int
    count: int
    data: bytes


def entry(kind: int, value: Value) -> Entry:
    """``value`` as a header stores it. Text is UTF-8; bytes are taken as they are."""
    values = [value] if isinstance(value, int | str | bytes) else list(value)
    if kind in _NUMBERS:
        return Entry(kind, len(values), b"".join(struct.pack(_NUMBERS[kind], item) for item in values))
    raw = [item.encode() if isinstance(item, str) else item for item in values if not isinstance(item, int)]
    if kind == BINARY:
        return Entry(kind, len(raw[0]), raw[0])
    return Entry(kind, len(raw), b"".join(item + b"\0" for item in raw))


@dataclass(slots=True)
class Header:
    """One header structure. ``region`` is its region tag: 62 in the signature, 63 in the main one."""

    region: int
    entries: dict[int, Entry] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, offset: int) -> tuple["Header", int]:
        """The header at ``offset`` and the offset where it ends."""
        if data[offset : offset + 8] != MAGIC:
            msg = f"no header at offset {offset}: {data[offset : offset + 8]!r}"
            raise ValueError(msg)
        index, length = struct.unpack_from(">II", data, offset + 8)
        store = offset + 16 + 16 * index
        header = cls(0)
        rows = [struct.unpack_from(">IIiI", data, offset + 16 + 16 * row) for row in range(index)]
        starts = sorted({start for _, _, start, _ in rows} | {length})
        for tag, kind, start, count in rows:
            if tag in {62, 63}:
                header.region = tag
                continue
            end = starts[starts.index(start) + 1]
            header.entries[tag] = _trimmed(kind, count, data[store + start : store + end])
        return header, store + length

    def set(self, tag: int, kind: int, value: Value) -> None:
        """Give ``tag`` a value, in place of the one it had."""
        self.entries[tag] = entry(kind, value)

    def drop(self, *tags: int) -> None:
        """Take tags out; those that are not there do not matter."""
        for tag in tags:
            self.entries.pop(tag, None)

    def numbers(self, tag: int) -> Sequence[int]:
        """The numbers of ``tag``; none where it is absent."""
        found = self.entries.get(tag)
        return [row[0] for row in struct.iter_unpack(_NUMBERS[found.kind], found.data)] if found else []

    def strings(self, tag: int) -> Sequence[str]:
        """The strings of ``tag``; none where it is absent."""
        found = self.entries.get(tag)
        return [part.decode() for part in found.data.split(b"\0")[:-1]] if found else []

    def to_bytes(self) -> bytes:
        """The header with its region around all entries."""
        index, store = [], bytearray()
        for tag, item in sorted(self.entries.items()):
            width = struct.calcsize(_NUMBERS[item.kind]) if item.kind in _NUMBERS else 1
            store += bytes(-len(store) % width)
            index.append(struct.pack(">IIiI", tag, item.kind, len(store), item.count))
            store += item.data
        size = 16 * (len(index) + 1)
        index.insert(0, struct.pack(">IIiI", self.region, BINARY, len(store), 16))
        store += struct.pack(">IIiI", self.region, BINARY, -size, 16)
        return MAGIC + struct.pack(">II", len(index), len(store)) + b"".join(index) + bytes(store)


def _trimmed(kind: int, count: int, data: bytes) -> Entry:
    """The entry without the padding that aligns its successor."""
    if kind in _NUMBERS:
        return Entry(kind, count, data[: count * struct.calcsize(_NUMBERS[kind])])
    if kind == BINARY:
        return Entry(kind, count, data[:count])
    return Entry(kind, count, b"".join(part + b"\0" for part in data.split(b"\0")[:count]))


@dataclass(slots=True)
class Rpm:
    """A whole package. ``hole`` zero bytes follow the payload, sparse in the file."""

    lead: bytes
    signature: Header
    header: Header
    payload: bytes
    hole: int = 0

    @classmethod
    def read(cls, path: Path) -> "Rpm":
        """The package at ``path``, which must be a sound one of format 4."""
        data = path.read_bytes()
        signature, end = Header.parse(data, LEAD)
        header, start = Header.parse(data, end + -end % 8)
        return cls(data[:LEAD], signature, header, data[start:])

    def paths(self) -> Sequence[str]:
        """The paths of the files in the order of the header."""
        dirs = self.header.strings(DIRNAMES)
        pairs = zip(self.header.numbers(DIRINDEXES), self.header.strings(BASENAMES), strict=True)
        return [dirs[index] + base for index, base in pairs]

    def write(self, path: Path, mangle: Callable[[bytes], bytes] = bytes) -> Path:
        """Write the package with fitting digests; ``mangle`` changes the finished main header first."""
        payload = self._payload_hash("sha256")
        for tag in (PAYLOADDIGEST, PAYLOADDIGESTALT):
            # The second is over the plain payload: the same bytes only where nothing compresses it.
            same = tag == PAYLOADDIGEST or self.header.strings(PAYLOADCOMPRESSOR) in ([], ["none"])
            if tag in self.header.entries and same:
                self.header.set(tag, STRINGS, [payload])
        header = mangle(self.header.to_bytes())
        self._sign_off(header)
        signature = self.signature.to_bytes()
        with path.open("wb") as file:
            file.write(self.lead + signature + bytes(-len(signature) % 8) + header + self.payload)
            file.truncate(file.tell() + self.hole)
        return path

    def _sign_off(self, header: bytes) -> None:
        sizes = len(header) + len(self.payload) + self.hole
        made: dict[int, tuple[int, Callable[[], Value]]] = {
            SIG_SHA1: (STRING, lambda: hashlib.sha1(header).hexdigest()),
            SIG_SHA256: (STRING, lambda: hashlib.sha256(header).hexdigest()),
            SIG_MD5: (BINARY, lambda: bytes.fromhex(self._payload_hash("md5", header))),
            SIG_SIZE: (INT32, lambda: sizes),
            SIG_LONGSIZE: (INT64, lambda: sizes),
        }
        if sizes >= 1 << 32:
            self.signature.drop(SIG_SIZE, SIG_MD5)
            self.signature.set(SIG_LONGSIZE, INT64, sizes)
        self.signature.drop(*_SIGNATURES)
        for tag, (kind, value) in made.items():
            if tag in self.signature.entries:
                self.signature.set(tag, kind, value())

    def _payload_hash(self, name: str, prefix: bytes = b"") -> str:
        hasher = hashlib.new(name, prefix + self.payload)
        zeros = bytes(_PIECE)
        for start in range(0, self.hole, _PIECE):
            hasher.update(zeros[: self.hole - start])
        return hasher.hexdigest()


Edit = Callable[[Rpm], None]


def edit(source: Path, target: Path, *edits: Edit) -> Path:
    """``source`` with ``edits`` made, written to ``target`` with fitting digests."""
    rpm = Rpm.read(source)
    for change in edits:
        change(rpm)
    return rpm.write(target)


def text(tag: int, value: str | bytes, kind: int = STRING) -> Edit:
    """Set a text tag (NAME, VERSION, ARCH … or with ``I18N`` SUMMARY, DESCRIPTION); bytes as they are."""
    return lambda rpm: rpm.header.set(tag, kind, value)


def directories(*names: str | bytes) -> Edit:
    """Replace the directories of the file list; as many as there are (``../../`` leads out of the root)."""
    return lambda rpm: rpm.header.set(DIRNAMES, STRINGS, names)


def source_package(rpm: Rpm) -> None:
    """Mark as a source package, as rpmbuild does; ARCH keeps naming the build machine."""
    rpm.lead = rpm.lead[:6] + b"\0\1" + rpm.lead[8:]
    rpm.header.drop(SOURCERPM)
    rpm.header.set(SOURCEPACKAGE, INT32, 1)


def md5_file_digests(files: Mapping[str, bytes]) -> Edit:
    """File digests as before rpm 4.6: MD5, and no FILEDIGESTALGO tag that says so."""

    def change(rpm: Rpm) -> None:
        rpm.header.drop(FILEDIGESTALGO)
        digests = [hashlib.md5(files[path]).hexdigest() for path in rpm.paths()]
        rpm.header.set(FILEDIGESTS, STRINGS, digests)

    return change


def md5_only(rpm: Rpm) -> None:
    """No digest but the MD5 over header and payload, as before rpm 4.14."""
    rpm.header.drop(PAYLOADDIGEST, PAYLOADDIGESTALGO, PAYLOADDIGESTALT)
    rpm.signature.drop(SIG_SHA1, SIG_SHA256)
    rpm.signature.set(SIG_MD5, BINARY, bytes(16))


def oversize(size: int) -> Edit:
    """An uncompressed payload of ``size`` zero bytes (a hole), and LONGSIZE that says so."""

    def change(rpm: Rpm) -> None:
        rpm.payload, rpm.hole = b"", size
        rpm.header.drop(SIZE)
        rpm.header.set(LONGSIZE, INT64, size)
        rpm.header.set(PAYLOADCOMPRESSOR, STRING, "none")

    return change


def bomb(source: Path, target: Path, *, index: int | None = None, store: int | None = None) -> Path:
    """``source`` whose main header declares ``index`` entries and ``store`` bytes, whatever it holds."""

    def lie(header: bytes) -> bytes:
        true = struct.unpack_from(">II", header, 8)
        said = (true[0] if index is None else index, true[1] if store is None else store)
        return header[:8] + struct.pack(">II", *said) + header[16:]

    return Rpm.read(source).write(target, lie)
