"""Strict reading of XML that strangers wrote: UTF-8, no entities, no network, bounded depth and text."""

import re
from collections.abc import Iterable
from typing import Any

from lxml import etree

from repod.errors import Corrupt

_ENCODING = re.compile(rb"""\A<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
# What may stand before a DOCTYPE, piece by piece: as one expression, comments could be grouped in 2^n ways.
_PROLOG = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
# A DOCTYPE may name a file, which is never read; what stands in brackets defines entities.
_SUBSET = re.compile(rb"""<!DOCTYPE(?:[^>\["']|"[^"]*"|'[^']*')*\[""")
_BOM = b"\xef\xbb\xbf"
OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "encoding": "utf-8",
}
"""Of lxml's parsers. ``encoding`` overrides what the document says, so that no other can hide markup."""


def guard(data: bytes, what: str) -> None:
    """Refuse, before anything parses it, what could mean more than its text; ``Corrupt`` says why.

    ``what`` names the document in messages.
    """
    plain(data, what)
    declared = _ENCODING.match(data.removeprefix(_BOM))
    if declared and declared[1].lower() not in {b"utf-8", b"utf8", b"us-ascii", b"ascii"}:
        found = declared[1].decode("ascii", "replace")
        msg = f"{what}: line 1: expected encoding UTF-8, found {found!r}; convert it, with iconv say"
        raise Corrupt(msg)
    if _SUBSET.match(data, _prolog(data)):
        msg = f"{what}: its DOCTYPE defines entities or elements; expected none; remove the part in brackets"
        raise Corrupt(msg)


def _prolog(data: bytes) -> int:
    """Where the prolog ends and a DOCTYPE or the root begins."""
    place = len(_BOM) if data.startswith(_BOM) else 0
    while match := _PROLOG.match(data, place):
        place = match.end()
    return place


def plain(data: bytes, what: str) -> str:
    """``data`` as text; ``Corrupt`` with the line where it is not UTF-8."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"{what}: line {line}: expected UTF-8, found the byte 0x{data[error.start]:02x}; convert it"
        raise Corrupt(msg) from error
    if "\0" in text:
        msg = f"{what}: line {text.count(chr(10), 0, text.index(chr(0))) + 1}: holds a NUL; expected UTF-8 text"
        raise Corrupt(msg)
    return text


def parse(data: bytes, root: str, what: str) -> etree._Element:
    """The root element, which must be ``root``; ``Corrupt`` with line and reason where it is not sound."""
    guard(data, what)
    parser = etree.XMLParser(**OPTIONS)
    try:
        element = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise broken(error, what) from error
    refuse_entities(element, what)
    refuse_warnings(parser.error_log, what)
    require_root(element, root, what)
    return element


def require_root(element: etree._Element, root: str, what: str) -> None:
    """``Corrupt`` where ``element`` is not ``root``."""
    if element.tag != root:
        msg = f"{what}: line {element.sourceline}: expected <{root}>, found <{element.tag}>; is it another document?"
        raise Corrupt(msg)


def refuse_entities(element: etree._Element, what: str) -> None:
    """``Corrupt`` where a reference to an entity stands in ``element``."""
    for entity in element.iter(etree.Entity):
        msg = f"{what}: line {entity.sourceline}: expected text, found the entity {entity.text}; write it out"
        raise Corrupt(msg)


def refuse_warnings(log: Iterable[Any], what: str) -> None:
    """``Corrupt`` where a parser warned: beside a DOCTYPE an unknown entity in an attribute is no more than that."""
    for entry in log:
        if "ENTITY" in entry.type_name:
            msg = f"{what}: line {entry.line}: {entry.message}"
            raise Corrupt(msg)


def broken(error: etree.XMLSyntaxError, what: str) -> Corrupt:
    """What to raise where lxml says that a document is not XML."""
    said = str(error.msg).replace("\n", "")
    return Corrupt(f"{what}: line {error.lineno or 1}: not sound XML: {said}")


def text_of(element: etree._Element, tag: str) -> str:
    """The stripped text of the first child ``tag``; empty where there is none."""
    return (element.findtext(tag) or "").strip()
