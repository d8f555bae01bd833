"""An independent, strict reader of repositories: lxml, the standard library, gpgv and rpmkeys.

It shares no code with repod and repairs nothing: whatever is not exactly right is a fault.
"""

import base64
import hashlib
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from tests.lab.carried_check import check_carried
from tests.lab.clients import rpmkeys_check
from tests.lab.listing import REPO, Listed, read_filelists, read_other, read_primary
from tests.lab.place import UP, Place, check_href, compare, decompress, parse
from tests.lab.rpms import tool

_NUMBER = re.compile(r"[0-9]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DOCUMENTS = ("primary", "filelists", "other")
_ARMOR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


@dataclass(slots=True)
class Report:
    """What a repository holds (by NEVRA), and everything that is wrong with it.

    ``documents``: the plain text of every document, by its type.
    """

    faults: list[str] = field(default_factory=list)
    packages: dict[str, Listed] = field(default_factory=dict)
    revision: str = ""
    documents: dict[str, bytes] = field(default_factory=dict)


def check(repo: Path | str, key: bytes | None = None) -> Report:
    """Read the repository at a directory or http URL and list every fault.

    With ``key`` (an armored certificate) the index and every package must be signed by it.
    """
    with tempfile.TemporaryDirectory(prefix="checker-") as work:
        return read(Place(repo, Path(work)), Path(work), key)


Proven = set[tuple[str, str, int]]
"""Packages that were read and found right: path from the repository's root, SHA-256, bytes."""


def read(place: Place, work: Path, key: bytes | None, proven: Proven | None = None) -> Report:
    """``check`` of a place, be it a live or a frozen view; ``work`` is a folder for what it needs.

    What is ``proven`` already is not read again, and what is read joins it.
    """
    report = Report()
    index = place.file("repodata/repomd.xml")
    if index is None:
        report.faults.append("repodata/repomd.xml is not there")
        return report
    report.faults += _check_records(place, index.read_bytes(), report)
    if key is not None:
        report.faults += _check_signature(place, index, key, work)
    report.faults += _check_documents(report)
    carried = {kind: data for kind, data in report.documents.items() if kind not in _DOCUMENTS}
    report.faults += check_carried(carried, report.packages)
    report.faults += _check_packages(place, report.packages.values(), key, set() if proven is None else proven)
    return report


def assert_sound(repo: Path | str, key: bytes | None = None) -> dict[str, Listed]:
    """The packages of a repository by NEVRA; ``AssertionError`` with all faults if there are any."""
    report = check(repo, key)
    assert not report.faults, f"{repo} is not sound:\n" + "\n".join(report.faults)
    return report.packages


def _check_records(place: Place, repomd: bytes, report: Report) -> Iterator[str]:
    try:
        root = parse(repomd)
    except etree.XMLSyntaxError as error:
        yield f"repomd.xml is not XML: {error}"
        return
    if root.tag != f"{REPO}repomd":
        yield f"repomd.xml has the root {root.tag}"
    report.revision = root.findtext(f"{REPO}revision") or ""
    if not _NUMBER.fullmatch(report.revision):
        yield f"repomd.xml: revision {report.revision!r} is not a number"
    for record in root.findall(f"{REPO}data"):
        kind = record.get("type", "")
        if kind in report.documents:
            yield f"repomd.xml names {kind} twice"
        report.documents[kind] = b""
        yield from _check_record(place, record, kind, report)
    for kind in _DOCUMENTS:
        if kind not in report.documents:
            yield f"repomd.xml does not name {kind}"


def _check_record(place: Place, record: etree._Element, kind: str, report: Report) -> Iterator[str]:
    location = record.find(f"{REPO}location")
    href = location.get("href", "") if location is not None else ""
    yield from check_href(href, kind)
    # A carried document may lie there uncompressed, and then its open text is nothing of its own.
    is_open = kind in _DOCUMENTS or any(record.find(f"{REPO}open-{name}") is not None for name in ("size", "checksum"))
    said = {}
    for name in ("checksum", "open-checksum")[: 1 + is_open]:
        element = record.find(f"{REPO}{name}")
        said[name] = (element.text or "") if element is not None else ""
        if element is None or element.get("type") != "sha256" or not _SHA256.fullmatch(said[name]):
            yield f"{kind}: {name} is not a sha256"
    for name in ("size", "timestamp", "open-size")[: 2 + is_open]:
        said[name] = record.findtext(f"{REPO}{name}") or ""
        if not _NUMBER.fullmatch(said[name]):
            yield f"{kind}: {name} {said[name]!r} is not a whole number"
    file = place.file(href)
    if file is None:
        yield f"{kind}: {href} is not there"
        return
    data = file.read_bytes()
    if not Path(href).name.startswith(said["checksum"]):
        yield f"{kind}: {href} is not named by its checksum"
    yield from compare(kind, said["checksum"], said["size"], data)
    try:
        report.documents[kind] = decompress(href, data, opaque=kind not in _DOCUMENTS)
    except ValueError as error:
        yield f"{kind}: {href} does not decompress: {error}"
        return
    if is_open:
        yield from compare(f"{kind} (open)", said["open-checksum"], said["open-size"], report.documents[kind])


def _check_documents(report: Report) -> Iterator[str]:
    readers = {"primary": read_primary, "filelists": read_filelists, "other": read_other}
    listed: dict[str, list[Listed]] = {}
    for kind, reader in readers.items():
        try:
            root = parse(report.documents.get(kind, b""))
        except etree.XMLSyntaxError as error:
            yield f"{kind} is not XML: {error}"
            continue
        said, found = root.get("packages"), [reader(element) for element in root]
        listed[kind] = found
        if said != str(len(found)):
            yield f"{kind} says packages={said!r} and holds {len(found)}"
        yield from (f"{kind}: {fault}" for package in found for fault in package.faults)
    primary = listed.get("primary", [])
    yield from _duplicates("NEVRA", (package.nevra for package in primary))
    yield from _duplicates("pkgid", (package.pkgid for package in primary))
    yield from _duplicates("href", (package.href for package in primary))
    report.packages = {package.nevra: package for package in primary}
    for kind in ("filelists", "other"):
        if kind in listed:
            yield from _join(primary, listed[kind], kind)


def _duplicates(what: str, values: Iterable[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value} is listed {count} times"


def _join(primary: list[Listed], found: list[Listed], kind: str) -> Iterator[str]:
    by_pkgid = {package.pkgid: package for package in found}
    order = [package.pkgid for package in primary]
    if sorted(order) != sorted(package.pkgid for package in found):
        yield f"{kind} and primary do not hold the same pkgids"
    elif order != [package.pkgid for package in found]:
        yield f"{kind} and primary do not hold their packages in the same order"
    for package in primary:
        other = by_pkgid.get(package.pkgid)
        if other is None:
            continue
        if other.nevra != package.nevra:
            yield f"{kind} calls {package.pkgid} {other.nevra}, primary {package.nevra}"
        if kind == "other":
            package.changelogs = other.changelogs
            continue
        package.files = other.files
        for row in set(package.primary_files) - set(other.files):
            yield f"{package.nevra}: primary lists {row}, filelists does not"


def _check_packages(place: Place, packages: Iterable[Listed], key: bytes | None, proven: Proven) -> Iterator[str]:
    files = {}
    for package in packages:
        yield from check_href(package.href, package.nevra, UP if place.view else "")
        one = (place.resolved(package.href), package.pkgid, package.size_package)
        if one in proven:
            continue
        file = place.file(package.href)
        if file is None:
            yield f"{package.nevra}: {package.href} is not there"
            continue
        files[file] = package
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != package.pkgid:
            yield f"{package.nevra}: primary says sha256 {package.pkgid}, {package.href} has {found}"
        if file.stat().st_size != package.size_package:
            yield f"{package.nevra}: primary says {package.size_package} bytes, there are {file.stat().st_size}"
        proven.add(one)
    if files and key is not None:
        for file, verdict in rpmkeys_check(key, *files).items():
            if not verdict.ok:
                yield f"{files[file].nevra}: rpmkeys says {verdict.text}"


def _check_signature(place: Place, index: Path, key: bytes, work: Path) -> Iterator[str]:
    signature = place.file("repodata/repomd.xml.asc")
    if signature is None:
        yield "repodata/repomd.xml.asc is not there"
        return
    if not signature.read_bytes().startswith(b"-----BEGIN PGP SIGNATURE-----"):
        yield "repomd.xml.asc is not an armored signature"
    ring = work / "trusted.gpg"
    ring.write_bytes(b"".join(_dearmored(block) for block in _ARMOR.findall(key)))
    words = [tool("gpgv"), "--homedir", str(work), "--keyring", str(ring), str(signature), str(index)]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        yield f"repomd.xml.asc is no good signature of repomd.xml: {done.stderr.strip()}"


def _dearmored(block: bytes) -> bytes:
    lines = block.replace(b"\r", b"").split(b"\n\n", 1)[-1].splitlines()
    return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")))
