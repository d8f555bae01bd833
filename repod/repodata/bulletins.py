"""``updateinfo.xml`` as text: read strictly once, and cut into its advisories and joined again without parsing."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from repod.errors import Corrupt
from repod.numerals import EPOCH, number
from repod.package import Nevra
from repod.repodata import strictxml
from repod.repodata.strictxml import text_of

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<updates>'
TAIL = b"</updates>\n"
EMPTY = HEAD + TAIL
WHAT = "updateinfo.xml"
ATTRIBUTES = rb"""(?:[^>"']|"[^"]*"|'[^']*')*"""
# In sound XML without a DTD nothing else can look like these tags.
_TOKEN = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!DOCTYPE"
    + ATTRIBUTES
    + rb">|<(/?)(updates?)(?=[\s/>])"
    + ATTRIBUTES
    + rb">",
    re.DOTALL,
)
_FIELDS = ("name", "version", "release", "arch")


def check(data: bytes) -> bytes:
    """``data`` as it is, proven to hold advisories; ``Corrupt`` names the line and what was expected there.

    Each has an id of its own, each package name, version, release, arch, and an epoch that is a
    number or absent.
    """
    seen: dict[str, object] = {}
    for element in updates(data):
        _check_update(element, seen)
    paired(list(seen), cut(data))
    return data


def ids_of(data: bytes) -> list[str]:
    """The ids of the advisories in document order."""
    return [text_of(element, "id") for element in updates(data)]


def updates(data: bytes) -> Iterator[etree._Element]:
    """Every ``<update>`` in order, each cleared when the next is asked for; ``Corrupt`` as ``check``."""
    strictxml.guard(data, WHAT)
    events = etree.iterparse(io.BytesIO(data), events=("end",), tag="update", **strictxml.OPTIONS)
    try:
        for _, element in events:
            parent = element.getparent()
            if parent is not None and parent.getparent() is None:
                yield element
                element.clear()
    except etree.XMLSyntaxError as error:
        raise strictxml.broken(error, WHAT) from error
    strictxml.refuse_warnings(events.error_log, WHAT)
    strictxml.require_root(events.root, "updates", WHAT)
    for other in events.root.iterchildren("*"):
        if other.tag != "update":
            msg = f"{WHAT}: line {other.sourceline}: expected <update>, found <{other.tag}>"
            raise Corrupt(msg)


def _check_update(element: etree._Element, seen: dict[str, object]) -> None:
    strictxml.refuse_entities(element, WHAT)
    key, place = text_of(element, "id"), f"{WHAT}: line {element.sourceline}"
    if not key or key.split() != [key]:
        msg = f"{place}: expected an <id> without spaces, found {key!r}"
        raise Corrupt(msg)
    if key in seen:
        msg = f"{place}: advisory {key} stands already in line {seen[key]}; give each an id of its own"
        raise Corrupt(msg)
    seen[key] = element.sourceline
    for package in element.iterfind("pkglist/collection/package"):
        if nevra_of(package) is None:
            found = etree.tostring(package, encoding="unicode").split(">")[0]
            msg = (
                f"{WHAT}: line {package.sourceline}: advisory {key}: expected a package with {', '.join(_FIELDS)} "
                f"and a number as epoch, found {found}>"
            )
            raise Corrupt(msg)


def nevra_of(package: etree._Element) -> Nevra | None:
    """What a ``<package>`` names; None where it names nothing."""
    epoch = number(package.get("epoch") or "0", EPOCH)
    name, version, release, arch = (package.get(field, "") for field in _FIELDS)
    if not (name and version and release and arch) or epoch is None:
        return None
    return Nevra(name=name, epoch=epoch, version=version, release=release, arch=arch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A document in pieces: all up to the end of ``<updates>``, and each ``<update>…</update>``."""

    head: bytes
    records: Sequence[bytes]


def cut(data: bytes) -> Cut:
    """The pieces of a document; ``Corrupt`` where it has no ``<updates>``."""
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
        msg = f"{WHAT}: expected <updates>, found none; restore it from a copy"
        raise Corrupt(msg)
    return Cut(head=head[:-2] + b">" if head.endswith(b"/>") else head, records=records)


def joined(present: bytes | None, old: Cut, records: Sequence[bytes]) -> bytes | None:
    """The document of ``records`` (empty ones left out); ``present`` where they are those of ``old``."""
    if list(records) == list(old.records):
        return present
    left = [record for record in records if record]
    return b"".join([old.head, b"\n", *(b"  " + record + b"\n" for record in left), TAIL]) if left else None


def root_of(document: Cut) -> etree._Element:
    """The ``<updates>`` of a document, without its advisories."""
    return strictxml.parse(document.head + TAIL, "updates", WHAT)


def element_of(document: Cut, record: bytes) -> etree._Element:
    """A record parsed, under the head of its document, which may say what its prefixes mean."""
    (element,) = strictxml.parse(document.head + record + TAIL, "updates", WHAT).iterchildren("update")
    element.tail = None
    return element


def text_of_element(element: etree._Element) -> bytes:
    """An element written out."""
    return etree.tostring(element, encoding="unicode").encode()


def paired(ids: Sequence[str], document: Cut) -> list[tuple[str, bytes]]:
    """The ids with the texts of their advisories; ``Corrupt`` where lxml saw others than the cut did."""
    if len(ids) != len(document.records):
        msg = f"{WHAT}: advisories are nested; expected each <update> right below <updates>"
        raise Corrupt(msg)
    return list(zip(ids, document.records, strict=True))
