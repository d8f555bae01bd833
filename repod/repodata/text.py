"""The plain text of the three per-package documents: head, entries in order, tail.

The layout is createrepo_c's: an entry is one ``<package …>…</package>`` and a line end, so
text can be split where an entry ends without parsing it; ``<`` inside text is escaped.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from repod.builds import Built
from repod.errors import Corrupt
from repod.numerals import number
from repod.package import Entry, Nevra, Order, Package, sha256, store_path

KINDS: Sequence[str] = ("primary", "filelists", "other")
COLUMNS: Sequence[str] = (*KINDS, "frozen")
"""The texts of a repository: the three documents, and primary as the frozen views have it."""

UP = "../../"
"""What leads from a frozen view to the repository it is of."""

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
LINUX_DUKE = "http://linux.duke.edu/metadata"
COMMON = f"{LINUX_DUKE}/common"
RPM = f"{LINUX_DUKE}/rpm"
_PRIMARY = ("metadata", f'xmlns="{COMMON}" xmlns:rpm="{RPM}"')
_ROOTS: Mapping[str, tuple[str, str]] = {
    "primary": _PRIMARY,
    "frozen": _PRIMARY,
    "filelists": ("filelists", f'xmlns="{LINUX_DUKE}/filelists"'),
    "other": ("otherdata", f'xmlns="{LINUX_DUKE}/other"'),
}
_LOCATION = b'\n  <location href="'
_END = b"</package>\n"
# How createrepo_c begins an entry of primary; one that begins otherwise is parsed.
IDENTITY = re.compile(
    rb'<package type="rpm">\n  <name>([^<&]+)</name>\n  <arch>([^<&]+)</arch>\n'
    rb'  <version epoch="([0-9]+)" ver="([^"&]+)" rel="([^"&]+)"/>'
)
# What createrepo_c writes up to the source package; it escapes what would look like a tag inside text.
_BUILT = re.compile(
    IDENTITY.pattern
    + rb'\n  <checksum type="sha256" pkgid="YES">([0-9a-f]{64})</checksum>.*?\n  <time file="[0-9]*" build="([0-9]+)"/>'
    rb'\n  <size package="([0-9]+)"[^>]*/>\n  <location href="([^"&]+)"/>\n  <format>'
    rb".*?<rpm:sourcerpm(?:/>|>([^<&]*)</rpm:sourcerpm>)",
    re.DOTALL,
)
_FIELDS = tuple(f"{{{COMMON}}}{tag}" for tag in ("name", "arch", "version", "checksum", "size", "location"))
_local = threading.local()


def _parser() -> etree.XMLParser:
    """This thread's parser: one that is shared lets only one thread parse at a time."""
    if not hasattr(_local, "parser"):
        _local.parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, collect_ids=False)
    parser: etree.XMLParser = _local.parser
    return parser


def head(kind: str, packages: int) -> bytes:
    """The start of a document of ``packages`` packages; ``kind`` is a column."""
    root, names = _ROOTS[kind]
    return f'{_XML}<{root} {names} packages="{packages}">\n'.encode()


def tail(kind: str) -> bytes:
    """The end of a document."""
    return f"</{_ROOTS[kind][0]}>".encode()


def split(text: bytes) -> list[bytes]:
    """The entries of a run of text; ``Corrupt`` where it does not end with one."""
    pieces = text.split(_END)
    if pieces.pop():
        msg = "metadata text ends inside an entry"
        raise Corrupt(msg)
    return [piece + _END for piece in pieces]


def is_entry(text: bytes) -> bool:
    """Whether ``split`` would give just this back."""
    return text.find(_END) == len(text) - len(_END)


def runs(kind: str, packages: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The entries of a whole document in runs, as its plain text comes in.

    ``kind`` is a column. ``Corrupt`` where head or tail is not that of a document of ``packages`` packages.
    """
    start, end = head(kind, packages), tail(kind)
    rest = b""
    begun = False
    for piece in pieces:
        rest += piece
        if not begun:
            if len(rest) < len(start):
                continue
            begun = rest.startswith(start)
            if not begun:
                break
            rest = rest[len(start) :]
        over = rest.rfind(_END) + len(_END)
        if over >= len(_END):
            yield rest[:over]
            rest = rest[over:]
    if not begun or rest != end:
        msg = f"{kind} is not a whole document of {packages} packages"
        raise Corrupt(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One package's texts, in the order of ``COLUMNS``."""

    order: Order
    texts: Sequence[bytes]


def row(entry: Entry) -> Row:
    """The row of a package."""
    texts = (entry.primary, entry.filelists, entry.other, frozen(entry.primary))
    return Row(order=entry.package.nevra.order, texts=texts)


def frozen(primary: bytes) -> bytes:
    """The same run of primary with hrefs that reach the packages from a frozen view."""
    return primary.replace(_LOCATION, _LOCATION + UP.encode())


def rows(texts: Sequence[bytes]) -> list[Row]:
    """The rows that the proven texts of a segment hold; ``Corrupt`` where their numbers differ."""
    columns = [split(text) for text in texts]
    if len({len(column) for column in columns}) != 1:
        msg = f"a segment has {', '.join(str(len(c)) for c in columns)} entries in {', '.join(COLUMNS)}"
        raise Corrupt(msg)
    return [entry_row(entries) for entries in zip(*columns, strict=True)]


def entry_row(entries: Sequence[bytes]) -> Row:
    """The row of one package from its entry in each column."""
    return Row(order=_order(entries[0]), texts=entries)


def _order(primary: bytes) -> Order:
    match = IDENTITY.match(primary)
    if match is None:
        return packages(primary)[0].nevra.order
    name, arch, epoch, version, release = map(bytes.decode, match.groups())
    return Nevra(name=name, epoch=int(epoch), version=version, release=release, arch=arch).order


def named(primary: bytes, name: str) -> list[Package]:
    """The packages called ``name`` in a run of primary's text."""
    mark = f"<name>{escape(name)}</name>".encode()
    if mark not in primary:
        return []
    return packages(b"".join(entry for entry in split(primary) if mark in entry))


def prove(texts: Sequence[bytes]) -> list[Package]:
    """The packages that the texts of a segment list, strictly read.

    Each must be XML and list the same packages in the same order, else ``Corrupt``.
    """
    listed = packages(texts[0])
    reached = [location.get("href") for location in _parse("frozen", texts[-1]).iter(_FIELDS[-1])]
    if reached != [UP + package.href for package in listed]:
        msg = "primary and its frozen form do not list the same hrefs"
        raise Corrupt(msg)
    for kind, text in zip(KINDS[1:], texts[1:-1], strict=True):
        if [element.get("pkgid") for element in _parse(kind, text)] != [package.pkgid for package in listed]:
            msg = f"{kind} does not list the packages of primary in their order"
            raise Corrupt(msg)
    return listed


def packages(primary: bytes) -> list[Package]:
    """The packages of a run of primary's text; ``Corrupt`` where it is not XML or lacks a field."""
    return [package_of(element) for element in _parse("primary", primary)]


def builds(primary: bytes) -> Iterator[Built]:
    """The packages of a run of primary's text, with what it says of their making; ``Corrupt`` as ``packages``."""
    for entry in split(primary):
        match = _BUILT.match(entry)
        if match is None:
            yield from map(_built, _parse("primary", entry))
            continue
        name, arch, epoch, version, release, checksum, time, size, href, source = (
            field.decode() for field in match.groups(b"")
        )
        nevra = Nevra(name=name, epoch=int(epoch), version=version, release=release, arch=arch)
        package = Package(nevra=nevra, pkgid=sha256(checksum), size=int(size), href=store_path(href))
        yield Built(package=package, source_rpm=_source(source), time=int(time))


def _built(element: etree._Element) -> Built:
    time = element.find(f"{{{COMMON}}}time")
    source = element.findtext(f"{{{COMMON}}}format/{{{RPM}}}sourcerpm")
    built = time.get("build", "0") if time is not None else "0"
    return Built(package=package_of(element), source_rpm=_source(source or ""), time=number(built) or 0)


def _source(text: str) -> str:
    """The file name of a source package. Builders that have none name all the same one: ``(none)``."""
    return text if text.endswith(".rpm") else ""


def _parse(kind: str, text: bytes) -> etree._Element:
    try:
        return etree.fromstring(head(kind, 0) + text + tail(kind), _parser())
    except etree.XMLSyntaxError as error:
        msg = f"{kind} is not XML: {error}"
        raise Corrupt(msg) from error


def element(kind: str, entry: bytes) -> etree._Element:
    """One entry of a document, parsed; ``Corrupt`` where it is not XML, or not one."""
    found = list(_parse(kind, entry))
    if len(found) != 1:
        msg = f"expected one entry of {kind}, found {len(found)}"
        raise Corrupt(msg)
    return found[0]


def package_of(element: etree._Element) -> Package:
    """The package that an entry of primary speaks of; ``Corrupt`` where it lacks a field."""
    fields = {child.tag: child for child in element}
    try:
        name, arch, version, checksum, size, location = (fields[tag] for tag in _FIELDS)
        return Package(
            nevra=Nevra(
                name=name.text or "",
                epoch=int(version.get("epoch", "0")),
                version=version.get("ver", ""),
                release=version.get("rel", ""),
                arch=arch.text or "",
            ),
            pkgid=sha256(checksum.text or ""),
            size=int(size.get("package", "")),
            href=store_path(location.get("href", "")),
        )
    except (ValueError, KeyError) as error:
        msg = f"primary holds a package that cannot be read: {error}"
        raise Corrupt(msg) from error
