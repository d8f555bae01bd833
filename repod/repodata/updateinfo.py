"""``updateinfo.xml``: advisories, merged by id, and their packages followed as they come and go.

The text of an advisory that nothing touches stays byte for byte as it came; only what stands
between advisories is not kept. ``check`` reads strictly, once, when a document comes in; what
follows a publish cuts the text at ``<update>`` and parses the touched advisories only.
"""

import html
import io
import re
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from repod.doors import Find
from repod.errors import Corrupt, NotFound
from repod.package import Nevra, Package
from repod.repodata import kinds, strictxml
from repod.repodata.strictxml import text_of

TYPE = kinds.UPDATEINFO
"""What repomd calls the document."""

Named = Callable[[str], Iterable[Package]]
"""The listed packages of a name."""

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<updates>'
_TAIL = b"</updates>\n"
_EMPTY = HEAD + _TAIL
_WHAT = "updateinfo.xml"
_ATTRIBUTES = rb"""(?:[^>"']|"[^"]*"|'[^']*')*"""
# In sound XML without a DTD nothing else can look like these tags.
_TOKEN = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!DOCTYPE"
    + _ATTRIBUTES
    + rb">|<(/?)(updates?)(?=[\s/>])"
    + _ATTRIBUTES
    + rb">",
    re.DOTALL,
)
_NAME = re.compile(
    rb"<package\s" + _ATTRIBUTES.replace(b")*", b")*?") + rb"""(?<=\s)name\s*=\s*(?:"([^"]*)"|'([^']*)')"""
)
_FIELDS = ("name", "version", "release", "arch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One advisory, for a table. ``issued`` is as the document says it; ``packages`` counts."""

    id: str
    type: str
    severity: str
    title: str
    issued: str
    packages: int


def check(data: bytes) -> bytes:
    """``data`` as it is, proven to hold advisories; ``Corrupt`` names the line and what was expected there.

    Each has an id of its own, each package name, version, release, arch, and an epoch that is a
    number or absent.
    """
    seen: dict[str, object] = {}
    for element in _updates(data):
        _check_update(element, seen)
    _paired(list(seen), _cut(data))
    return data


def check_merge(data: bytes) -> bytes:
    """``data`` as it is, proven fit for ``merge``; ``Corrupt`` as there."""
    document = _cut(check(data))
    if not document.records:
        msg = f"{_WHAT}: expected advisories, found none; to remove some, use: repod advisory remove"
        raise Corrupt(msg)
    if _root(document).nsmap:
        msg = f"{_WHAT}: <updates> declares namespaces; expected none, since its advisories move under another root"
        raise Corrupt(msg)
    return data


def merge(present: bytes | None, data: bytes, find: Find) -> bytes:
    """The advisories of ``present`` with those of ``data``: each takes the place of the one with its id, as a whole.

    It is the one that arrives that counts, whatever versions and dates say: who sends an older
    text wants it back. Others keep their place and text, new ones follow in their order. Packages
    are filled as ``fill`` does. What changes nothing gives ``present``, byte for byte.
    ``Corrupt`` as ``check``, and where there is none or the root declares namespaces.
    """
    incoming = _cut(fill(check_merge(data), find))
    new = dict(_paired(ids_of(data), incoming))
    old = _cut(present or _EMPTY)
    left = dict(new)
    there = _paired(ids_of(present or _EMPTY), old)
    records = [left.pop(key, b"") if key in new else record for key, record in there]
    return _joined(present, old, [*records, *left.values()]) or b""


def remove(present: bytes | None, ids: Sequence[str]) -> bytes | None:
    """``present`` without the advisories ``ids``; ``None`` where none is left. ``NotFound`` names those not there."""
    old = _cut(present or _EMPTY)
    there = _paired(ids_of(present or _EMPTY), old)
    missing = sorted(set(ids) - {key for key, _ in there})
    if missing:
        msg = f"no advisory {', '.join(missing)} in this repository; see: repod advisory list"
        raise NotFound(msg)
    return _joined(present, old, [b"" if key in ids else record for key, record in there])


def fill(data: bytes, find: Find) -> bytes:
    """``data`` with the sums of all packages that are listed, and with no sum of any that is not.

    A sum speaks of the bytes hosts get, and those are known only of what is listed: signing
    changes them. What is not listed yet is filled by ``follow`` when it comes. File names are
    raw, as hosts compare them.
    """
    document = _cut(data)
    return _joined(data, document, [_filled(document, record, find) for record in document.records]) or data


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
    document = _cut(present)
    records = [move.of(document, record) if _named(record) & touched else record for record in document.records]
    return _joined(present, document, records)


def rows(data: bytes) -> list[Row]:
    """Every advisory in document order."""
    return [_row(element) for element in _updates(data)]


def ids_of(data: bytes) -> list[str]:
    """The ids of the advisories in document order."""
    return [text_of(element, "id") for element in _updates(data)]


def references(data: bytes) -> dict[str, frozenset[Nevra]]:
    """The packages that each advisory speaks of, by its id."""
    found: dict[str, frozenset[Nevra]] = {}
    for element in _updates(data):
        nevras = (_nevra(package) for package in element.iterfind("pkglist/collection/package"))
        found[text_of(element, "id")] = frozenset(nevra for nevra in nevras if nevra)
    return found


def only(data: bytes, ids: Collection[str]) -> bytes:
    """``data`` with those of its advisories alone; ``Corrupt`` as ``check_merge`` where it cannot be merged."""
    old = _cut(check_merge(data))
    records = [record if key in ids else b"" for key, record in _paired(ids_of(data), old)]
    return _joined(data, old, records) or b""


def names(data: bytes) -> frozenset[str]:
    """The names of all packages that advisories speak of; may hold others, never lacks one. Parses nothing."""
    return frozenset(_named(data))


def _updates(data: bytes) -> Iterator[etree._Element]:
    """Every ``<update>`` in order, each cleared when the next is asked for; ``Corrupt`` as ``check``."""
    strictxml.guard(data, _WHAT)
    events = etree.iterparse(io.BytesIO(data), events=("end",), tag="update", **strictxml.OPTIONS)
    try:
        for _, element in events:
            parent = element.getparent()
            if parent is not None and parent.getparent() is None:
                yield element
                element.clear()
    except etree.XMLSyntaxError as error:
        raise strictxml.broken(error, _WHAT) from error
    strictxml.refuse_warnings(events.error_log, _WHAT)
    strictxml.require_root(events.root, "updates", _WHAT)
    for other in events.root.iterchildren("*"):
        if other.tag != "update":
            msg = f"{_WHAT}: line {other.sourceline}: expected <update>, found <{other.tag}>"
            raise Corrupt(msg)


def _check_update(element: etree._Element, seen: dict[str, object]) -> None:
    strictxml.refuse_entities(element, _WHAT)
    key, place = text_of(element, "id"), f"{_WHAT}: line {element.sourceline}"
    if not key or key.split() != [key]:
        msg = f"{place}: expected an <id> without spaces, found {key!r}"
        raise Corrupt(msg)
    if key in seen:
        msg = f"{place}: advisory {key} stands already in line {seen[key]}; give each an id of its own"
        raise Corrupt(msg)
    seen[key] = element.sourceline
    for package in element.iterfind("pkglist/collection/package"):
        if _nevra(package) is None:
            found = etree.tostring(package, encoding="unicode").split(">")[0]
            msg = (
                f"{_WHAT}: line {package.sourceline}: advisory {key}: expected a package with {', '.join(_FIELDS)} "
                f"and a number as epoch, found {found}>"
            )
            raise Corrupt(msg)


def _nevra(package: etree._Element) -> Nevra | None:
    """What a ``<package>`` names; None where it names nothing."""
    epoch = package.get("epoch") or "0"
    name, version, release, arch = (package.get(field, "") for field in _FIELDS)
    if not (name and version and release and arch and epoch.isdecimal() and epoch.isascii()):
        return None
    return Nevra(name=name, epoch=int(epoch), version=version, release=release, arch=arch)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A document in pieces: all up to the end of ``<updates>``, and each ``<update>…</update>``."""

    head: bytes
    records: Sequence[bytes]


def _cut(data: bytes) -> _Cut:
    head, start, records = b"", -1, []
    for token in _TOKEN.finditer(data):
        closes, tag = token[1], token[2]
        if tag == b"updates" and not head:
            head = data[: token.end()]
        elif tag == b"update" and not closes:
            start = token.start()
            if token[0].endswith(b"/>"):
                records.append(token[0])
        elif tag == b"update":
            records.append(data[start : token.end()])
    if not head:
        msg = f"{_WHAT}: expected <updates>, found none; restore it from a copy"
        raise Corrupt(msg)
    return _Cut(head=head[:-2] + b">" if head.endswith(b"/>") else head, records=records)


def _joined(present: bytes | None, old: _Cut, records: Sequence[bytes]) -> bytes | None:
    """The document of ``records`` (empty ones left out); ``present`` where they are those of ``old``."""
    if list(records) == list(old.records):
        return present
    left = [record for record in records if record]
    return b"".join([old.head, b"\n", *(b"  " + record + b"\n" for record in left), _TAIL]) if left else None


def _root(document: _Cut) -> etree._Element:
    return strictxml.parse(document.head + _TAIL, "updates", _WHAT)


def _element(document: _Cut, record: bytes) -> etree._Element:
    """A record parsed, under the head of its document, which may say what its prefixes mean."""
    (element,) = strictxml.parse(document.head + record + _TAIL, "updates", _WHAT).iterchildren("update")
    element.tail = None
    return element


def _text(element: etree._Element) -> bytes:
    return etree.tostring(element, encoding="unicode").encode()


def _paired(ids: Sequence[str], document: _Cut) -> list[tuple[str, bytes]]:
    """The ids with the texts of their advisories; ``Corrupt`` where lxml saw others than the cut did."""
    if len(ids) != len(document.records):
        msg = f"{_WHAT}: advisories are nested; expected each <update> right below <updates>"
        raise Corrupt(msg)
    return list(zip(ids, document.records, strict=True))


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


def _filled(document: _Cut, record: bytes, find: Find) -> bytes:
    element = _element(document, record)
    references = [(package, _nevra(package)) for package in element.iterfind("pkglist/collection/package")]
    listed = find([nevra for _, nevra in references if nevra])
    changed = [_mended(package, listed.get(nevra) if nevra else None) for package, nevra in references]
    return _text(element) if any(changed) else record


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

    def of(self, document: _Cut, record: bytes) -> bytes:
        """The record after it; empty where its last reference went."""
        element = _element(document, record)
        changed = False
        for package in element.findall("pkglist/collection/package"):
            changed |= self._moved(package)
        if not changed:
            return record
        left = element.find("pkglist/collection/package") is not None
        return _text(element) if left else b""

    def _moved(self, package: etree._Element) -> bool:
        nevra = _nevra(package)
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
