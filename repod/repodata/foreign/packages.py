"""The packages of foreign documents: proven by lxml, then read and written anew by createrepo_c.

lxml comes first because createrepo_c is not to be trusted with just any text: documents with
another root element than it expects make it spin for ever (primary) or list nothing (other).
"""

import hashlib
import itertools
import string
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import createrepo_c
from lxml import etree

from repod.elsewhere import Listed
from repod.errors import Corrupt
from repod.numerals import EPOCH, number
from repod.package import Entry, Nevra, Package
from repod.repodata import text
from repod.repodata.foreign.index import ALGORITHMS

_ROOTS: Mapping[str, tuple[str, str]] = {
    "primary": ("metadata", text.COMMON),
    "filelists": ("filelists", "http://linux.duke.edu/metadata/filelists"),
    "other": ("otherdata", "http://linux.duke.edu/metadata/other"),
}
_STRICT: Mapping[str, Any] = {"resolve_entities": False, "no_network": True, "load_dtd": False}
_SHOWN = 5
_PROVEN_AT_ONCE = 256
_DUMPS = (createrepo_c.xml_dump_primary, createrepo_c.xml_dump_filelists, createrepo_c.xml_dump_other)


def prove(paths: Sequence[Path]) -> int:
    """The number of packages in the plain texts of primary, filelists and other at ``paths``.

    Each must be XML with the root and namespace of its kind, and list the same packages, else ``Corrupt`` says all
    that is wrong, a line each. Hosts do not mind in which order, and createrepo_c does: a document with another one
    than primary is written anew, in that.
    """
    faults: list[str] = []
    listed: list[list[str]] = []
    for kind, path in zip(text.KINDS, paths, strict=True):
        try:
            listed.append(list(_identities(kind, path)))
        except Corrupt as error:
            faults.append(str(error))
    if faults:
        raise Corrupt("\n".join(faults))
    primary, *others = listed
    for kind, other in zip(text.KINDS[1:], others, strict=True):
        if len(other) != len(primary):
            faults.append(f"{kind} lists {len(other)} packages and primary {len(primary)}")
        elif sorted(other) != sorted(primary):
            at = next(i for i, pair in enumerate(zip(primary, other, strict=True)) if pair[0] != pair[1])
            faults.append(f"package {at + 1} is {primary[at]} in primary and {other[at]} in {kind}")
    if faults:
        raise Corrupt("\n".join(faults))
    for kind, path, other in zip(text.KINDS[1:], paths[1:], others, strict=True):
        if other != primary:
            _arrange(kind, path, primary)
    return len(primary)


def _arrange(kind: str, path: Path, order: Sequence[str]) -> None:
    """Write a sound document anew, with its packages in this order."""
    tag, namespace = _ROOTS[kind]
    places = defaultdict[str, deque[tuple[int, int]]](deque)
    loose, arranged = (path.with_name(f"{path.name}.{end}") for end in ("loose", "arranged"))
    # Not in memory: what lists the files of some ten thousand packages does not fit.
    with loose.open("wb+") as file, arranged.open("wb") as out:
        for identity, element in _packages(kind, path):
            data = etree.tostring(element, encoding="utf-8", with_tail=False)
            places[identity].append((file.tell(), len(data)))
            file.write(data)
        out.write(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<{tag} xmlns="{namespace}" packages="{len(order)}">\n'.encode()
        )
        for identity in order:
            place, size = places[identity].popleft()
            file.seek(place)
            out.write(file.read(size) + b"\n")
        out.write(f"</{tag}>\n".encode())
    arranged.replace(path)
    loose.unlink()


def _identities(kind: str, path: Path) -> Iterator[str]:
    return (identity for identity, _ in _packages(kind, path))


def _packages(kind: str, path: Path) -> Iterator[tuple[str, etree._Element]]:
    """The packages of a document, in their order, each as a text that is equal for equal ones, and for now.

    ``Corrupt`` where the document is not sound.
    """
    tag, namespace = _ROOTS[kind]
    count = 0
    try:
        promised = _head(kind, path)
        with path.open("rb") as file:
            for _, element in etree.iterparse(file, events=("end",), tag=f"{{{namespace}}}package", **_STRICT):
                count += 1
                yield _identity(kind, element, f"{{{namespace}}}"), element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise Corrupt(f"{kind} is not XML: {' '.join(str(error).split())}") from error
    if promised not in {None, str(count)}:
        raise Corrupt(f"{kind}: its <{tag}> promises {promised} packages, it lists {count}")


def _identity(kind: str, element: etree._Element, namespace: str) -> str:
    version = element.find(f"{namespace}version")
    parts = [version.get(key, "") for key in ("epoch", "ver", "rel")] if version is not None else ["", "", ""]
    if kind == "primary":
        name, arch, pkgid = (element.findtext(f"{namespace}{tag}") or "" for tag in ("name", "arch", "checksum"))
    else:
        name, arch, pkgid = (element.get(key, "") for key in ("name", "arch", "pkgid"))
    return f"{name}-{parts[0] or 0}:{parts[1]}-{parts[2]}.{arch} ({pkgid})"


def _head(kind: str, path: Path) -> str | None:
    """The number of packages that the root element promises; ``Corrupt`` where it is not the root of its kind."""
    tag, namespace = _ROOTS[kind]
    with path.open("rb") as file:
        _, root = next(iter(etree.iterparse(file, events=("start",), **_STRICT)))
    if root.tag != f"{{{namespace}}}{tag}" or root.prefix or root.getroottree().docinfo.doctype:
        shown = f"{root.prefix}:" if root.prefix else ""
        # As text: what a lenient parser lets through as a name, lxml's QName refuses.
        found, _, local = str(root.tag).removeprefix("{").rpartition("}")
        raise Corrupt(
            f"{kind}: expected <{tag} xmlns={namespace!r}> and no DOCTYPE, "
            f"found <{shown}{local} xmlns={found or None!r}>"
        )
    promised: str | None = root.get("packages")
    return promised


@dataclass(slots=True)
class _Warnings:
    """What createrepo_c does not take from a document, and what is wrong in it."""

    unknown: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def __call__(self, kind: int, message: str) -> bool:
        """What createrepo_c calls; it goes on with True."""
        if kind == createrepo_c.XML_WARNING_UNKNOWNTAG:
            self.unknown.add(message)
        else:
            self.faults.append(message)
        return True


class Packages:
    """The packages of proven documents."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """``paths``: the plain texts of primary, filelists and other; ``Corrupt`` where they are not sound."""
        self._count = prove(paths)
        self._paths = [str(path) for path in paths]

    def examine(self) -> tuple[list[str], list[str]]:
        """Read all: what would not come through whole (faults), and what is left out (notes)."""
        warnings = _Warnings()
        faults: list[str] = []
        count = 0
        for package in self._read(warnings):
            count += 1
            try:
                _listed(package)
            except ValueError as error:
                faults.append(f"primary: {package.nevra()}: {error}")
        if count != self._count:
            faults.append(f"createrepo_c reads {count} packages where {self._count} are listed")
        if not faults:
            faults = [f"createrepo_c cannot take it over whole: {fault}" for fault in warnings.faults]
        notes = [
            f"not taken over: {message} of the documents: createrepo_c does not know it" for message in warnings.unknown
        ]
        return _few(faults), sorted(notes)

    def listed(self) -> Iterator[Listed]:
        """See ``Foreign.listed``."""
        return (_listed(package) for package in self._read(_Warnings()))

    def entries(self, become: Callable[[Listed], Package | None]) -> Iterator[Entry]:
        """See ``Foreign.entries``."""
        made = (_entry(package, become) for package in self._read(_Warnings()))
        kept = (entry for entry in made if entry is not None)
        while batch := list(itertools.islice(kept, _PROVEN_AT_ONCE)):
            _prove(batch)
            yield from batch

    def _read(self, warnings: _Warnings) -> Iterator[Any]:
        try:
            yield from createrepo_c.PackageIterator(*self._paths, warningcb=warnings)
        except createrepo_c.CreaterepoCError as error:
            raise Corrupt(f"createrepo_c cannot read the documents: {error}") from error


def _few(faults: Sequence[str]) -> list[str]:
    """The first of many faults of one kind, and how many more there are."""
    more = [f"and {len(faults) - _SHOWN} more like this"] if len(faults) > _SHOWN else []
    return [*faults[:_SHOWN], *more]


def _listed(package: Any) -> Listed:
    """``ValueError`` where it is none that a repository can list."""
    algorithm = ALGORITHMS.get(package.checksum_type or "")
    if algorithm is None:
        msg = f"expected a checksum by {', '.join(ALGORITHMS)}, found {package.checksum_type!r}"
        raise ValueError(msg)
    checksum = (package.pkgId or "").lower()
    if len(checksum) != 2 * hashlib.new(algorithm).digest_size or set(checksum) - set(string.hexdigits):
        msg = f"expected a {algorithm} checksum, found {package.pkgId!r}"
        raise ValueError(msg)
    if not package.location_href:
        msg = "expected a location with href"
        raise ValueError(msg)
    return Listed(
        nevra=_nevra(package),
        algorithm=algorithm,
        checksum=checksum,
        size=package.size_package,
        href=package.location_href,
        base=package.location_base or "",
        built=package.time_build,
        filed=package.time_file,
    )


def _nevra(package: Any) -> Nevra:
    epoch = number(package.epoch or "0", EPOCH)
    if epoch is None:
        msg = f"expected a number as epoch, up to {EPOCH}, found {package.epoch!r}"
        raise ValueError(msg)
    nevra = Nevra(
        name=package.name or "",
        epoch=epoch,
        version=package.version or "",
        release=package.release or "",
        arch=package.arch or "",
    )
    if "/" in str(nevra) or Nevra.parse(str(nevra)) != nevra:
        msg = "expected a NEVRA whose parts can be told apart, without a slash"
        raise ValueError(msg)
    _ = nevra.location  # ``ValueError`` where it could not have a place in a store
    return nevra


def _entry(package: Any, become: Callable[[Listed], Package | None]) -> Entry | None:
    ours = become(_listed(package))
    if ours is None:
        return None
    package.pkgId, package.checksum_type = ours.pkgid, "sha256"
    package.location_href, package.location_base = ours.href, None
    primary, filelists, other = (dump(package).strip().encode() + b"\n" for dump in _DUMPS)
    return Entry(package=ours, primary=primary, filelists=filelists, other=other)


def _prove(entries: Sequence[Entry]) -> None:
    """What was written must be read back as the packages it was written for."""
    texts = (b"".join(texts) for texts in zip(*(text.row(entry).texts for entry in entries), strict=True))
    found = text.prove(list(texts))
    for entry, package in zip(entries, found, strict=True):
        if package != entry.package:
            raise Corrupt(f"{entry.package.nevra}: its entry reads back as {package}")
