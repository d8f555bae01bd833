"""What primary, filelists and other say of one package, field by field, strictly read with lxml."""

import re
from dataclasses import dataclass, field

from lxml import etree

REPO = "{http://linux.duke.edu/metadata/repo}"
COMMON = "{http://linux.duke.edu/metadata/common}"
RPM = "{http://linux.duke.edu/metadata/rpm}"
FILELISTS = "{http://linux.duke.edu/metadata/filelists}"
OTHER = "{http://linux.duke.edu/metadata/other}"

_RELATIONS = (
    "provides",
    "requires",
    "conflicts",
    "obsoletes",
    "suggests",
    "enhances",
    "recommends",
    "supplements",
)
_PLAIN = re.compile(r"[0-9]+")

File = tuple[str, str]
"""Kind (``file``, ``dir``, ``ghost``) and path."""
Relation = tuple[str, str, str, str, str, str]
"""Name, flags, epoch, version, release, pre; what is absent is empty."""


@dataclass(slots=True)
class Listed:
    """One package as the documents list it. Sizes are bytes, times seconds since 1970."""

    nevra: str
    pkgid: str
    name: str
    arch: str
    epoch: str
    version: str
    release: str
    href: str = ""
    base: str = ""
    size_package: int = -1
    size_installed: int = -1
    size_archive: int = -1
    time_file: int = -1
    time_build: int = -1
    header_start: int = -1
    header_end: int = -1
    texts: dict[str, str] = field(default_factory=dict)
    relations: dict[str, list[Relation]] = field(default_factory=dict)
    primary_files: list[File] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    changelogs: list[tuple[str, int, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def number(self, element: etree._Element | None, attribute: str) -> int:
        """A whole number from an attribute; anything else is a fault and -1."""
        text = element.get(attribute, "") if element is not None else ""
        if _PLAIN.fullmatch(text):
            return int(text)
        self.faults.append(f"{self.nevra}: {attribute} is {text!r}, not a whole number")
        return -1


def _listed(name: str, arch: str, pkgid: str, version: etree._Element | None) -> Listed:
    epoch, ver, rel = (version.get(key, "") if version is not None else "" for key in ("epoch", "ver", "rel"))
    prefix = f"{epoch}:" if epoch not in {"", "0"} else ""
    listed = Listed(f"{name}-{prefix}{ver}-{rel}.{arch}", pkgid, name, arch, epoch, ver, rel)
    if not _PLAIN.fullmatch(epoch) or not (name and ver and rel and arch):
        listed.faults.append(f"name, epoch, version, release, arch are {name, epoch, ver, rel, arch}")
    if not re.fullmatch(r"[0-9a-f]{64}", pkgid):
        listed.faults.append(f"{listed.nevra}: pkgid {pkgid!r} is not a sha256")
    return listed


def read_primary(element: etree._Element) -> Listed:
    """A ``package`` of primary."""
    checksum = element.find(f"{COMMON}checksum")
    name, arch = element.findtext(f"{COMMON}name") or "", element.findtext(f"{COMMON}arch") or ""
    pkgid = (checksum.text or "") if checksum is not None else ""
    listed = _listed(name, arch, pkgid, element.find(f"{COMMON}version"))
    if element.tag != f"{COMMON}package" or element.get("type") != "rpm":
        listed.faults.append(f"{listed.nevra}: element {element.tag} of type {element.get('type')}")
    if checksum is None or checksum.get("type") != "sha256" or checksum.get("pkgid") != "YES":
        listed.faults.append(f"{listed.nevra}: its checksum is not marked sha256 and pkgid")
    location = element.find(f"{COMMON}location")
    if location is not None:
        listed.href = location.get("href", "")
        listed.base = location.get("{http://www.w3.org/XML/1998/namespace}base", "")
    if listed.base:
        listed.faults.append(f"{listed.nevra}: xml:base {listed.base!r} ties the repository to one place")
    size, times = element.find(f"{COMMON}size"), element.find(f"{COMMON}time")
    listed.size_package = listed.number(size, "package")
    listed.size_installed = listed.number(size, "installed")
    listed.size_archive = listed.number(size, "archive")
    listed.time_file = listed.number(times, "file")
    listed.time_build = listed.number(times, "build")
    for key in ("summary", "description", "packager", "url"):
        listed.texts[key] = element.findtext(f"{COMMON}{key}") or ""
    _read_format(element.find(f"{COMMON}format"), listed)
    return listed


def _read_format(element: etree._Element | None, listed: Listed) -> None:
    if element is None:
        listed.faults.append(f"{listed.nevra}: it has no format element")
        return
    for key in ("license", "vendor", "group", "buildhost", "sourcerpm"):
        listed.texts[key] = element.findtext(f"{RPM}{key}") or ""
    ranges = element.find(f"{RPM}header-range")
    listed.header_start, listed.header_end = listed.number(ranges, "start"), listed.number(ranges, "end")
    if not 0 < listed.header_start < listed.header_end <= max(listed.size_package, 0):
        found = f"{listed.header_start}-{listed.header_end}"
        listed.faults.append(f"{listed.nevra}: header-range {found} does not lie in the file")
    for kind in _RELATIONS:
        listed.relations[kind] = [
            (
                entry.get("name", ""),
                entry.get("flags", ""),
                entry.get("epoch", ""),
                entry.get("ver", ""),
                entry.get("rel", ""),
                entry.get("pre", ""),
            )
            for entry in element.findall(f"{RPM}{kind}/{RPM}entry")
        ]
    listed.primary_files = _files(element, COMMON)


def _files(element: etree._Element, space: str) -> list[File]:
    return [(file.get("type", "file"), file.text or "") for file in element.findall(f"{space}file")]


def read_filelists(element: etree._Element) -> Listed:
    """A ``package`` of filelists."""
    listed = _of_pkgid(element, FILELISTS)
    listed.files = _files(element, FILELISTS)
    return listed


def read_other(element: etree._Element) -> Listed:
    """A ``package`` of other."""
    listed = _of_pkgid(element, OTHER)
    for entry in element.findall(f"{OTHER}changelog"):
        row = (entry.get("author", ""), listed.number(entry, "date"), entry.text or "")
        listed.changelogs.append(row)
    return listed


def _of_pkgid(element: etree._Element, space: str) -> Listed:
    version = element.find(f"{space}version")
    listed = _listed(element.get("name", ""), element.get("arch", ""), element.get("pkgid", ""), version)
    if element.tag != f"{space}package":
        listed.faults.append(f"{listed.nevra}: element {element.tag}")
    return listed
