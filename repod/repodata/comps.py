"""``comps.xml``: groups, environments, categories. It is replaced as a whole, byte for byte as it came."""

from collections.abc import Iterator

from lxml import etree

from repod.errors import Corrupt
from repod.repodata import kinds, strictxml
from repod.repodata.strictxml import text_of

TYPE = kinds.GROUP
"""What repomd calls the document."""

_WHAT = "comps.xml"
_IDENTIFIED = ("group", "environment", "category")
# Every element that libcomps, which dnf reads with, knows below the root; it passes over others in silence.
_KNOWN = (*_IDENTIFIED, "langpacks", "blacklist", "whiteout")
_KINDS = ("mandatory", "default", "optional", "conditional")


def check(data: bytes) -> bytes:
    """``data`` as it is, proven readable; ``Corrupt`` names the line and what was expected there.

    Ids are present and unique, members of groups are named, and nothing stands there that dnf
    would pass over.
    """
    root = strictxml.parse(data, "comps", _WHAT)
    faults = [*_elements(root), *(fault for group in root.iterfind("group") for fault in _members(group))]
    if faults:
        raise Corrupt(faults[0])
    return data


def _elements(root: etree._Element) -> Iterator[str]:
    seen: dict[tuple[str, str], object] = {}
    for element in root.iterchildren("*"):
        kind, place = str(element.tag), f"{_WHAT}: line {element.sourceline}"
        if kind not in _KNOWN:
            yield f"{place}: expected {', '.join(_KNOWN)}, found <{kind}>"
        if kind not in _IDENTIFIED:
            continue
        name = text_of(element, "id")
        if not name:
            yield f"{place}: <{kind}> has no <id>; give it one"
        elif (kind, name) in seen:
            yield f"{place}: {kind} {name!r} stands already in line {seen[kind, name]}; give each an id of its own"
        seen[kind, name] = element.sourceline


def _members(group: etree._Element) -> Iterator[str]:
    for member in group.iterfind("packagelist/packagereq"):
        place = f"{_WHAT}: line {member.sourceline}: a package of group {text_of(group, 'id')!r}"
        kind = member.get("type", "mandatory")
        if not (member.text or "").strip():
            yield f"{place} has no name"
        if kind not in _KINDS:
            yield f"{place}: expected type {', '.join(_KINDS)}, found {kind!r}"
        if kind == "conditional" and not member.get("requires"):
            yield f"{place} is conditional and does not say on what; expected requires=NAME"
