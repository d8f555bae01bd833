"""A foreign ``repomd.xml``, strictly read, and what becomes of each of its records."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from repod.errors import Corrupt
from repod.numerals import number
from repod.repodata import strictxml
from repod.repodata.text import KINDS

_REPO = "{http://linux.duke.edu/metadata/repo}"
_BASE = "{http://www.w3.org/XML/1998/namespace}base"
LIMIT = 16 << 20
"""Bytes that no index has."""

# It becomes a part of a file name.
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ALGORITHMS = {
    "sha": "sha1",
    "sha1": "sha1",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}
"""Kinds of checksum by their name in metadata, and by hashlib's. MD5 proves nothing and is not among them."""

# How a record's type ends where the same document is there in another packing too.
_SUFFIXES = ("_gz", "_xz", "_bz2", "_zst", "_lzma")
_DROPPED = {
    "_db": "sqlite copies of documents: few clients read them, and none needs them",
    "_zck": "zchunk copies of documents: repod makes none",
    "prestodelta": "delta packages: repod carries none, and they would be gone with their bases",
    "deltainfo": "delta packages: repod carries none, and they would be gone with their bases",
    "-ext": "a copy of filelists with file digests: repod makes none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """``digest`` by ``algorithm``, a name of hashlib."""

    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One document that the index names; None for what it does not say. Sizes are in bytes."""

    type: str
    href: str
    base: str
    checksum: Checksum
    open_checksum: Checksum | None
    size: int | None
    open_size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """``packages``: the records of primary, filelists and other, in this order. ``notes``: what is dropped."""

    packages: Sequence[Record]
    carried: Sequence[Record]
    notes: Sequence[str]


def plain_type(record: str) -> str:
    """The type of the document itself: ``group`` for ``group_gz``, which is a packing of it."""
    return next((record.removesuffix(suffix) for suffix in _SUFFIXES if record.endswith(suffix)), record)


def parse(data: bytes) -> Index:
    """The index that ``data`` holds; ``Corrupt`` with all its faults, a line each."""
    root = _root(data)
    faults: list[str] = []
    records: list[Record] = []
    dropped: dict[str, list[str]] = {}
    for element in root.iter(f"{_REPO}data"):
        kind = element.get("type", "")
        reason = _dropped(kind)
        if reason:
            dropped.setdefault(reason, []).append(kind)
            continue
        try:
            records.append(_record(kind, element))
        except ValueError as error:
            faults.append(f"repomd.xml: record {kind!r}: {error}")
    notes = [f"not taken over: {', '.join(kinds)}: {reason}" for reason, kinds in dropped.items()]
    if root.find(f"{_REPO}tags") is not None:
        notes.append("not taken over: tags of repomd.xml: repod writes none")
    faults += _missing(records)
    if faults:
        raise Corrupt("\n".join(faults))
    carried, more = _one_of_each([record for record in records if record.type not in KINDS])
    by_type = {record.type: record for record in records}
    return Index(packages=[by_type[kind] for kind in KINDS], carried=carried, notes=[*notes, *more])


def _root(data: bytes) -> etree._Element:
    if len(data) > LIMIT:
        raise Corrupt(f"repomd.xml has more than {LIMIT} bytes; expected an index of some records")
    return strictxml.parse(data, f"{_REPO}repomd", "repomd.xml")


def _dropped(kind: str) -> str | None:
    for mark, reason in _DROPPED.items():
        if kind == mark or (not mark[0].isalpha() and kind.endswith(mark)):
            return reason
    return None


def _record(kind: str, element: etree._Element) -> Record:
    fields = {child.tag: child for child in element if isinstance(child.tag, str)}
    if not _TYPE.fullmatch(kind):
        msg = "expected a type of letters, digits and ._-"
        raise ValueError(msg)
    location = fields.get(f"{_REPO}location")
    checksum = _checksum(fields.get(f"{_REPO}checksum"))
    if location is None or not location.get("href"):
        msg = "expected a location with href"
        raise ValueError(msg)
    if checksum is None:
        msg = "expected a checksum, found none: its bytes cannot be proven"
        raise ValueError(msg)
    return Record(
        type=kind,
        href=location.get("href", "").replace("\\", "/"),
        base=location.get(_BASE, ""),
        checksum=checksum,
        open_checksum=_checksum(fields.get(f"{_REPO}open-checksum")),
        size=_size(fields.get(f"{_REPO}size")),
        open_size=_size(fields.get(f"{_REPO}open-size")),
    )


def _checksum(element: etree._Element | None) -> Checksum | None:
    if element is None:
        return None
    kind, digest = element.get("type", ""), (element.text or "").strip().lower()
    algorithm = ALGORITHMS.get(kind)
    if algorithm is None:
        msg = f"expected a checksum by {', '.join(ALGORITHMS)}, found {kind!r}"
        raise ValueError(msg)
    if len(digest) != 2 * hashlib.new(algorithm).digest_size:
        msg = f"expected a {algorithm} checksum, found {digest!r}"
        raise ValueError(msg)
    return Checksum(algorithm=algorithm, digest=digest)


def _size(element: etree._Element | None) -> int | None:
    text = "" if element is None else (element.text or "").strip()
    if not text:
        return None
    found = number(text)
    if found is None:
        msg = f"expected a size in bytes, found {text!r}"
        raise ValueError(msg)
    return found


def _missing(records: Sequence[Record]) -> Iterator[str]:
    types = [record.type for record in records]
    for kind in KINDS:
        if types.count(kind) != 1:
            found = f"{types.count(kind)} records" if kind in types else "none"
            yield f"repomd.xml: expected one record of {kind}, found {found}"


def _one_of_each(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """One record of each type; of a document in several packings, the first, plain ones before packed ones."""
    chosen: dict[str, Record] = {}
    notes = []
    for record in sorted(records, key=lambda record: record.type.endswith(_SUFFIXES)):
        kind = plain_type(record.type)
        if kind in chosen:
            notes.append(f"not taken over: {record.type}, {record.href}: {chosen[kind].href} is the same document")
        else:
            chosen[kind] = record
    return list(chosen.values()), notes
