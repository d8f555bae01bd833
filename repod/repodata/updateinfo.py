"""``updateinfo.xml``: advisories, merged by id, and their packages followed as they come and go.

The text of an advisory that nothing touches stays byte for byte as it came; only what stands
between advisories is not kept. ``check`` reads strictly, once, when a document comes in; what
follows a publish cuts the text at ``<update>`` and parses the touched advisories only.
"""

import html
import re
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from repod.doors import Find
from repod.errors import Corrupt, NotFound
from repod.package import Nevra, Package
from repod.repodata import kinds
from repod.repodata.bulletins import (
    ATTRIBUTES,
    EMPTY,
    WHAT,
    Cut,
    check,
    cut,
    element_of,
    ids_of,
    joined,
    nevra_of,
    paired,
    root_of,
    text_of_element,
    updates,
)
from repod.repodata.strictxml import text_of

TYPE = kinds.UPDATEINFO
"""What repomd calls the document."""

Named = Callable[[str], Iterable[Package]]
"""The listed packages of a name."""

_NAME = re.compile(
    rb"<package\s" + ATTRIBUTES.replace(b")*", b")*?") + rb"""(?<=\s)name\s*=\s*(?:"([^"]*)"|'([^']*)')"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One advisory, for a table. ``issued`` is as the document says it; ``packages`` counts."""

    id: str
    type: str
    severity: str
    title: str
    issued: str
    packages: int


def check_merge(data: bytes) -> bytes:
    """``data`` as it is, proven fit for ``merge``; ``Corrupt`` as there."""
    document = cut(check(data))
    if not document.records:
        msg = f"{WHAT}: expected advisories, found none; to remove some, use: repod advisory remove"
        raise Corrupt(msg)
    if root_of(document).nsmap:
        msg = f"{WHAT}: <updates> declares namespaces; expected none, since its advisories move under another root"
        raise Corrupt(msg)
    return data


def merge(present: bytes | None, data: bytes, find: Find) -> bytes:
    """The advisories of ``present`` with those of ``data``: each takes the place of the one with its id, as a whole.

    It is the one that arrives that counts, whatever versions and dates say: who sends an older
    text wants it back. Others keep their place and text, new ones follow in their order. Packages
    are filled as ``fill`` does. What changes nothing gives ``present``, byte for byte.
    ``Corrupt`` as ``check``, and where there is none or the root declares namespaces.
    """
    incoming = cut(fill(check_merge(data), find))
    new = dict(paired(ids_of(data), incoming))
    old = cut(present or EMPTY)
    left = dict(new)
    there = paired(ids_of(present or EMPTY), old)
    records = [left.pop(key, b"") if key in new else record for key, record in there]
    return joined(present, old, [*records, *left.values()]) or b""


def remove(present: bytes | None, ids: Sequence[str]) -> bytes | None:
    """``present`` without the advisories ``ids``; ``None`` where none is left. ``NotFound`` names those not there."""
    old = cut(present or EMPTY)
    there = paired(ids_of(present or EMPTY), old)
    missing = sorted(set(ids) - {key for key, _ in there})
    if missing:
        msg = f"no advisory {', '.join(missing)} in this repository; see: repod advisory list"
        raise NotFound(msg)
    return joined(present, old, [b"" if key in ids else record for key, record in there])


def fill(data: bytes, find: Find) -> bytes:
    """``data`` with the sums of all packages that are listed, and with no sum of any that is not.

    A sum speaks of the bytes hosts get, and those are known only of what is listed: signing
    changes them. What is not listed yet is filled by ``follow`` when it comes. File names are
    raw, as hosts compare them.
    """
    document = cut(data)
    return joined(data, document, [_filled(document, record, find) for record in document.records]) or data


def follow(present: bytes, added: Iterable[Nevra], removed: Iterable[Nevra], named: Named) -> bytes | None:
    """``present`` after packages came and went; ``named`` is of the content after that. ``None``: nothing left.

    A reference to a build that came, or came back with other bytes, gets its sum. A reference
    that a build which left covered (same name and arch, ranks at least as high) stays, without
    sum, while a listed build covers it: hosts learn that they lack the fix, and dnf goes past
    it. Else it goes, and an advisory goes with its last reference. A reference to what was never
    listed, and nothing that left covered, stays: its package may be on its way.
    """
    came, went = set(added), list(removed)
    touched = {nevra.name for nevra in (*came, *went)}
    move = _Move(came=came, went=_by_kind(went), named=named)
    document = cut(present)
    records = [move.of(document, record) if _named(record) & touched else record for record in document.records]
    return joined(present, document, records)


def rows(data: bytes) -> list[Row]:
    """Every advisory in document order."""
    return [_row(element) for element in updates(data)]


def texts(data: bytes) -> dict[str, bytes]:
    """The text of each advisory by its id; ``Corrupt`` where it is not sound."""
    return dict(paired(ids_of(data), cut(data)))


def references(data: bytes) -> dict[str, frozenset[Nevra]]:
    """The packages that each advisory speaks of, by its id."""
    found: dict[str, frozenset[Nevra]] = {}
    for element in updates(data):
        nevras = (nevra_of(package) for package in element.iterfind("pkglist/collection/package"))
        found[text_of(element, "id")] = frozenset(nevra for nevra in nevras if nevra)
    return found


def about(data: bytes, nevra: Nevra) -> list[str]:
    """The ids of the advisories that name a build, in document order; ``Corrupt`` as ``check``."""
    return [key for key, packages in references(data).items() if nevra in packages]


def only(data: bytes, ids: Collection[str]) -> bytes:
    """``data`` with those of its advisories alone; ``Corrupt`` as ``check_merge`` where it cannot be merged."""
    old = cut(check_merge(data))
    records = [record if key in ids else b"" for key, record in paired(ids_of(data), old)]
    return joined(data, old, records) or b""


def names(data: bytes) -> frozenset[str]:
    """The names of all packages that advisories speak of; may hold others, never lacks one. Parses nothing."""
    return frozenset(_named(data))


def _named(record: bytes) -> set[str]:
    found = (double or single for double, single in _NAME.findall(record))
    return {html.unescape(name.decode(errors="replace")) for name in found}


def _row(element: etree._Element) -> Row:
    issued = element.find("issued")
    return Row(
        id=text_of(element, "id"),
        type=element.get("type", ""),
        severity=text_of(element, "severity"),
        title=text_of(element, "title"),
        issued="" if issued is None else issued.get("date", ""),
        packages=sum(1 for _ in element.iterfind("pkglist/collection/package")),
    )


def _filled(document: Cut, record: bytes, find: Find) -> bytes:
    element = element_of(document, record)
    references = [(package, nevra_of(package)) for package in element.iterfind("pkglist/collection/package")]
    listed = find([nevra for _, nevra in references if nevra])
    changed = [_mended(package, listed.get(nevra) if nevra else None) for package, nevra in references]
    return text_of_element(element) if any(changed) else record


def _mended(package: etree._Element, listed: Package | None) -> bool:
    """Give a reference the sum it should have, or none, and a raw file name; whether that changed it."""
    name = package.find("filename")
    raw = urllib.parse.unquote(name.text or "") if name is not None else ""
    encoded = name is not None and name.text != raw and bool(raw)
    if name is not None and encoded:
        name.text = raw
    sums = package.findall("sum")
    wanted = [("sha256", listed.pkgid)] if listed else []
    if [(found.get("type"), (found.text or "").strip()) for found in sums] == wanted:
        return encoded
    for found in sums:
        _remove(package, found)
    for kind, digest in wanted:
        new = etree.Element("sum", type=kind)
        new.text = digest
        _insert_after(package, name, new)
    return True


def _insert_after(parent: etree._Element, child: etree._Element | None, new: etree._Element) -> None:
    """Put ``new`` behind ``child`` (None: first), indented as its neighbours are."""
    indent = parent.text
    if child is None:
        new.tail = indent
        parent.insert(0, new)
    else:
        new.tail, child.tail = child.tail, indent
        parent.insert(parent.index(child) + 1, new)


def _remove(parent: etree._Element, child: etree._Element) -> None:
    """Take ``child`` out with the space before it; what stands behind it stays."""
    before = child.getprevious()
    if before is None:
        parent.text = child.tail
    else:
        before.tail = child.tail
    parent.remove(child)


def _by_kind(nevras: Iterable[Nevra]) -> dict[tuple[str, str], bytes]:
    """The highest rank of each name and arch."""
    found: dict[tuple[str, str], bytes] = {}
    for nevra in nevras:
        kind = (nevra.name, nevra.arch)
        found[kind] = max(found.get(kind, b""), nevra.rank)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """What came and what went (the highest rank of each name and arch), as advisories see it."""

    came: set[Nevra]
    went: Mapping[tuple[str, str], bytes]
    named: Named

    def of(self, document: Cut, record: bytes) -> bytes:
        """The record after it; empty where its last reference went."""
        element = element_of(document, record)
        changed = False
        for package in element.findall("pkglist/collection/package"):
            changed |= self._moved(package)
        if not changed:
            return record
        left = element.find("pkglist/collection/package") is not None
        return text_of_element(element) if left else b""

    def _moved(self, package: etree._Element) -> bool:
        nevra = nevra_of(package)
        if nevra is None:
            return False
        gone = self.went.get((nevra.name, nevra.arch), b"")
        if nevra not in self.came and nevra.rank > gone:
            return False
        alike = [other for other in self.named(nevra.name) if other.nevra.arch == nevra.arch]
        listed = next((other for other in alike if other.nevra == nevra), None)
        if listed or any(other.nevra.rank >= nevra.rank for other in alike):
            return _mended(package, listed)
        _taken_out(package)
        return True


def _taken_out(package: etree._Element) -> None:
    """Remove a reference, and its collection where that names no package any more."""
    collection = package.getparent()
    if collection is None:
        return
    _remove(collection, package)
    parent = collection.getparent()
    if parent is not None and collection.find("package") is None:
        _remove(parent, collection)
