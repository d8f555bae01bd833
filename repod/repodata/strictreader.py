"""Reads stored documents strictly, as a stream: what they say is compared, and nothing is repaired.

It shares no code with what writes them, so that both would have to be wrong in the same way.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import zstandard
from lxml import etree
from zlib_ng import zlib_ng

from repod.doors import Store
from repod.errors import Corrupt
from repod.generation import Document
from repod.package import Nevra, Package, StorePath, sha256, store_path
from repod.placed import Placed
from repod.repodata import strictxml

_UP = "../../"
_LINUX_DUKE = "http://linux.duke.edu/metadata"
_COMMON = f"{{{_LINUX_DUKE}/common}}"
_REPO = f"{{{_LINUX_DUKE}/repo}}"
_ROOTS: Mapping[str, str] = {
    "primary": f"{_COMMON}metadata",
    "filelists": f"{{{_LINUX_DUKE}/filelists}}filelists",
    "other": f"{{{_LINUX_DUKE}/other}}otherdata",
}
_WINDOW = 128 << 20
_UNPACKERS: Mapping[str, Callable[[], Any]] = {
    "gz": lambda: zlib_ng.decompressobj(31),
    "zst": lambda: zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj(),
}
_FAULTS = (zlib_ng.error, zstandard.ZstdError)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What each column says of one package; ``href`` is primary's."""

    pkgid: str
    nevra: Nevra
    size: int = 0
    href: str = ""


class StrictDocuments:
    """``StoredDocuments`` of one store."""

    def __init__(self, store: Store) -> None:
        """``store``: the repository's; it is only read."""
        self._store = store

    def index(self, data: bytes) -> tuple[str, Sequence[Document]]:
        """See ``StoredDocuments.index``."""
        root = strictxml.parse(data, f"{_REPO}repomd", "repomd.xml")
        try:
            documents = [_document(record) for record in root.iterfind(f"{_REPO}data")]
        except ValueError as error:
            msg = f"repomd.xml names a document that cannot be understood ({error})"
            raise Corrupt(msg) from error
        return root.findtext(f"{_REPO}revision") or "", documents

    def listing(self, primary: Placed) -> Iterator[Package]:
        """See ``StoredDocuments.listing``."""
        for row in self._rows(primary):
            yield _package(row, primary.path)

    def compare(self, columns: Sequence[Placed]) -> Iterator[Package | str]:
        """See ``StoredDocuments.compare``."""
        differ = set[StorePath]()
        for rows in zip_longest(*map(self._rows, columns)):
            first = rows[0]
            package = _package(first, columns[0].path) if first else None
            if package is not None:
                yield package
            for row, placed in zip(rows[1:], columns[1:], strict=True):
                if placed.path not in differ and not _same(row, first, package, placed.path):
                    differ.add(placed.path)
                    here, there = (str(one.nevra) if one else "nothing" for one in (row, first))
                    yield f"{placed.path} differs from primary: {here} where primary has {there}"

    def carried(self, placed: Placed) -> None:
        """See ``StoredDocuments.carried``."""
        from repod.repodata import comps, modules, updateinfo  # noqa: PLC0415 - they take long to import

        data = b"".join(self._plain(placed))
        for known in (comps, modules, updateinfo):
            if placed.document.type == known.TYPE:
                known.check(data)

    def modular(self, placed: Placed) -> Collection[Nevra]:
        """See ``StoredDocuments.modular``."""
        from repod.repodata import modules  # noqa: PLC0415 - few repositories have any, and it brings a YAML reader

        return modules.artifacts(b"".join(self._plain(placed)))

    def _rows(self, placed: Placed) -> Iterator[_Row]:
        """The packages of one document; ``Corrupt`` at its end where it is not what its record says."""
        kind = placed.document.type
        read = _primary if kind == "primary" else _other
        parser = etree.XMLPullParser(
            ("start", "end"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=True,
        )
        count = 0
        try:
            for piece in self._plain(placed):
                parser.feed(piece)
                for row in _events(parser, kind):
                    count += 1
                    yield read(row)
                    _forget(row)
            root = parser.close()
            said = root.get("packages")
        except etree.XMLSyntaxError as error:
            msg = f"{placed.path} is not sound XML: line {error.lineno or 1}: {error.msg}"
            raise Corrupt(msg) from error
        except ValueError as error:
            msg = f"{placed.path}: package {count} cannot be understood ({error})"
            raise Corrupt(msg) from error
        if said != str(count):
            msg = f"{placed.path} says that it holds {said} packages, and holds {count}"
            raise Corrupt(msg)

    def _plain(self, placed: Placed) -> Iterator[bytes]:
        """The plain text, in pieces; ``Corrupt`` where checksums or sizes are not those of its record."""
        document, packed, plain = placed.document, _Sum(), _Sum()
        pieces = packed.passing(self._store.stream(placed.path))
        make = _UNPACKERS.get(placed.document.href.rpartition(".")[2])
        yield from plain.passing(_unpacked(make, pieces, placed.path) if make else pieces)
        if packed.seen != (document.checksum, document.size):
            raise _other_bytes(placed.path, "", packed, document.checksum, document.size)
        if plain.seen != (document.open_checksum, document.open_size):
            raise _other_bytes(placed.path, "unpacked ", plain, document.open_checksum, document.open_size)


class _Sum:
    """Counts and hashes the bytes that pass."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._digest.update(piece)
            self._size += len(piece)
            yield piece

    @property
    def seen(self) -> tuple[str, int]:
        return self._digest.hexdigest(), self._size


def _other_bytes(path: StorePath, form: str, found: _Sum, checksum: str, size: int) -> Corrupt:
    digest, length = found.seen
    return Corrupt(f"{path}: expected {size} {form}bytes, sha256 {checksum}; found {length}, sha256 {digest}")


def _unpacked(make: Callable[[], Any], pieces: Iterator[bytes], path: StorePath) -> Iterator[bytes]:
    """All members or frames; ``Corrupt`` at anything else, and where the last is cut short."""
    opener, begun = make(), False
    for piece in pieces:
        rest = piece
        while rest:
            try:
                text = opener.decompress(rest)
            except _FAULTS as error:  # type: ignore[misc]
                msg = f"{path} cannot be unpacked ({error})"
                raise Corrupt(msg) from error
            yield text
            rest, begun = opener.unused_data, not opener.eof
            if opener.eof:
                opener = make()
    if begun:
        msg = f"{path} is cut short"
        raise Corrupt(msg)


def _events(parser: etree.XMLPullParser, kind: str) -> Iterator[etree._Element]:
    """The packages that are whole; ``ValueError`` where the root is another one's, or defines entities."""
    events: Any = parser.read_events()
    for event, element in events:
        parent = element.getparent()
        if event == "start" and parent is None:
            if element.tag != _ROOTS[kind]:
                msg = f"expected <{_ROOTS[kind]}>, found <{element.tag}>"
                raise ValueError(msg)
            if element.getroottree().docinfo.doctype:
                msg = "it has a DOCTYPE, expected none"
                raise ValueError(msg)
        elif event == "end" and parent is not None and parent.getparent() is None:
            if str(element.tag).rpartition("}")[2] != "package":
                msg = f"expected <package>, found <{element.tag}>"
                raise ValueError(msg)
            yield element


def _forget(element: etree._Element) -> None:
    """Free what was read, so that memory does not grow with the document."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _primary(element: etree._Element) -> _Row:
    tags = ("checksum", "version", "location", "size")
    checksum, version, location, size = (_child(element, f"{_COMMON}{tag}") for tag in tags)
    if checksum.get("type") != "sha256" or checksum.get("pkgid") != "YES":
        msg = "its checksum is no sha256 pkgid"
        raise ValueError(msg)
    if location.get("{http://www.w3.org/XML/1998/namespace}base"):
        msg = "it has an xml:base, expected none"
        raise ValueError(msg)
    return _Row(
        pkgid=sha256(checksum.text or ""),
        nevra=_nevra(element.findtext(f"{_COMMON}name"), element.findtext(f"{_COMMON}arch"), version),
        size=int(size.get("package", "")),
        href=location.get("href", ""),
    )


def _other(element: etree._Element) -> _Row:
    version = _child(element, "{*}version")
    nevra = _nevra(element.get("name"), element.get("arch"), version)
    return _Row(pkgid=sha256(element.get("pkgid", "")), nevra=nevra)


def _child(element: etree._Element, tag: str) -> etree._Element:
    found = element.find(tag)
    if found is None:
        msg = f"it has no {tag.rpartition('}')[2]}"
        raise ValueError(msg)
    return found


def _nevra(name: str | None, arch: str | None, version: etree._Element) -> Nevra:
    if not (name and arch and version.get("ver") and version.get("rel")):
        msg = "it lacks name, version, release or arch"
        raise ValueError(msg)
    return Nevra(
        name=name,
        epoch=int(version.get("epoch", "0")),
        version=version.get("ver", ""),
        release=version.get("rel", ""),
        arch=arch,
    )


def _package(row: _Row, path: StorePath) -> Package:
    """The package with its href as from the root; ``Corrupt`` where that leads out of the repository."""
    up = _UP if path.startswith("generations/") else ""
    inside = row.href.removeprefix(up)
    try:
        href = store_path(inside if row.href.startswith(up) else "")
    except ValueError as error:
        msg = f"{path}: {row.nevra} has the unsafe href {row.href!r}; expected {up}Packages/…"
        raise Corrupt(msg) from error
    return Package(nevra=row.nevra, pkgid=sha256(row.pkgid), size=row.size, href=href)


def _same(row: _Row | None, first: _Row | None, package: Package | None, path: StorePath) -> bool:
    """Whether a column speaks of the same package as primary: wholly where it is the frozen primary."""
    if row is None or first is None:
        return row is first
    if row.href:
        return _package(row, path) == package
    return (row.pkgid, row.nevra) == (first.pkgid, first.nevra)


def _document(record: etree._Element) -> Document:
    location = _child(record, f"{_REPO}location")
    sums = {}
    for name in ("checksum", "open-checksum"):
        element = _child(record, f"{_REPO}{name}")
        if element.get("type") != "sha256":
            msg = f"its {name} is no sha256"
            raise ValueError(msg)
        sums[name] = sha256(element.text or "")
    size, open_size, timestamp = (int(record.findtext(f"{_REPO}{n}") or "") for n in ("size", "open-size", "timestamp"))
    return Document(
        type=record.get("type", ""),
        href=store_path(location.get("href", "")),
        checksum=sums["checksum"],
        size=size,
        open_checksum=sums["open-checksum"],
        open_size=open_size,
        timestamp=timestamp,
    )
