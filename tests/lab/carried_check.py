"""What is wrong with carried documents: groups, module streams, advisories. Strict, and without repod's code."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from lxml import etree

from tests.lab.listing import Listed
from tests.lab.place import parse

_REQUIREMENTS = {"mandatory", "default", "optional", "conditional"}
_ADVISORIES = {"security", "bugfix", "enhancement", "newpackage"}


def check_carried(documents: Mapping[str, bytes], packages: Mapping[str, Listed]) -> Iterator[str]:
    """Faults of the plain ``documents`` (by their type in repomd) beside ``packages`` (by NEVRA)."""
    for kind, data in documents.items():
        if kind == "modules":
            yield from _modules(data)
        elif kind in {"group", "group_gz", "group_zst", "group_xz", "updateinfo"}:
            try:
                root = parse(data)
            except etree.XMLSyntaxError as error:
                yield f"{kind} is not XML: {error}"
                continue
            yield from _updateinfo(root, packages) if kind == "updateinfo" else _comps(root)


def _comps(root: etree._Element) -> Iterator[str]:
    if root.tag != "comps":
        yield f"group: the root is {root.tag}, not comps"
    for kind in ("group", "environment", "category"):
        yield from _unique(f"group: {kind}", (row.findtext("id") or "" for row in root.findall(kind)))
    for row in root.findall("group/packagelist/packagereq"):
        if row.get("type", "mandatory") not in _REQUIREMENTS or not (row.text or "").strip():
            yield f"group: packagereq {row.text!r} of type {row.get('type')!r}"
    for name in root.findall("group"):
        if not name.findtext("name"):
            yield f"group: {name.findtext('id')} has no name"


def _unique(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if not name.strip():
            yield f"{what} without an id"
        elif count > 1:
            yield f"{what} {name} is there {count} times"


def _modules(data: bytes) -> Iterator[str]:
    try:
        documents = list(yaml.safe_load_all(data))
    except yaml.YAMLError as error:
        yield f"modules is not YAML: {' '.join(str(error).split())}"
        return
    streams = []
    for number, document in enumerate(documents, 1):
        if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
            yield f"modules: document {number} is no module document"
        elif not document.get("document") or not isinstance(document.get("version"), int):
            yield f"modules: document {number} does not say which document it is, and its version"
        else:
            streams.append(_identity(document))
    yield from (f"modules: {what} is there {count} times" for what, count in Counter(streams).items() if count > 1)


def _identity(document: Mapping[str, Any]) -> str:
    data = document["data"]
    keys = ("name", "module", "stream", "version", "context", "arch", "modified")
    return ":".join([str(document["document"]), *(str(data.get(key, "")) for key in keys)])


def _updateinfo(root: etree._Element, packages: Mapping[str, Listed]) -> Iterator[str]:
    if root.tag != "updates" or any(row.tag != "update" for row in root):
        yield f"updateinfo: {root.tag} holds {sorted({str(row.tag) for row in root})}"
    yield from _unique("updateinfo: advisory", (row.findtext("id") or "" for row in root))
    for advisory in root:
        name = advisory.findtext("id")
        if advisory.get("type") not in _ADVISORIES:
            yield f"updateinfo: {name} is of type {advisory.get('type')!r}"
        for reference in advisory.findall("pkglist/collection/package"):
            yield from _reference(f"updateinfo: {name}", reference, packages)


def _reference(what: str, row: etree._Element, packages: Mapping[str, Listed]) -> Iterator[str]:
    name, epoch, version, release, arch = (row.get(key, "") for key in ("name", "epoch", "version", "release", "arch"))
    nevra = f"{name}-{epoch + ':' if epoch not in {'', '0'} else ''}{version}-{release}.{arch}"
    if not all((name, version, release, arch)):
        yield f"{what} refers to {nevra!r}"
    listed = packages.get(nevra)
    if listed is None:
        return
    sums = [(element.get("type"), element.text) for element in row.findall("sum")]
    if sums != [("sha256", listed.pkgid)]:
        yield f"{what} gives {nevra} the sums {sums}; it is listed with sha256 {listed.pkgid}"
