"""The raw strings of an RPM header, and whether metadata can represent them.

The format is that of rpm's header: a 16-byte intro (magic, index count, data size),
16 bytes per index entry (tag, type, offset, count), then the data. rpm-rs and createrepo_c
hand out strings already decoded; only the raw bytes show what they would have hidden.
"""

import re
import struct
from collections.abc import Container, Iterator, Mapping

import rpm_rs

from repod.package import Fault
from repod.rpmfile.rich import is_rich

_TYPES = {6, 8, 9}  # STRING, STRING_ARRAY, I18NSTRING
_TAG = rpm_rs.Tag
_NAMES = (
    "NAME VERSION RELEASE ARCH BUILDHOST VENDOR LICENSE PACKAGER GROUP URL SOURCERPM "
    "PROVIDENAME PROVIDEVERSION REQUIRENAME REQUIREVERSION CONFLICTNAME CONFLICTVERSION "
    "OBSOLETENAME OBSOLETEVERSION RECOMMENDNAME RECOMMENDVERSION SUGGESTNAME SUGGESTVERSION "
    "SUPPLEMENTNAME SUPPLEMENTVERSION ENHANCENAME ENHANCEVERSION BASENAMES DIRNAMES CHANGELOGNAME"
)
_LINES = "SUMMARY DESCRIPTION CHANGELOGTEXT"
# Every tag whose text goes into metadata; scriptlets, for one, may hold what they like.
_ONE_LINE: Mapping[int, str] = {int(getattr(_TAG, name)): name.lower() for name in _NAMES.split()}
_MANY_LINES: Mapping[int, str] = {int(getattr(_TAG, name)): name.lower() for name in _LINES.split()}
_TEXT: Mapping[int, str] = {**_ONE_LINE, **_MANY_LINES}

_REQUIRED, _OF_VERSION = int(_TAG.REQUIRENAME), int(_TAG.REQUIREVERSION)
# What changes which packages a host installs or removes: tags of name and version, side by side.
_BINDING: Mapping[str, tuple[int, int]] = {
    f"{word.lower()}s": (int(getattr(_TAG, f"{word}NAME")), int(getattr(_TAG, f"{word}VERSION")))
    for word in ("REQUIRE", "CONFLICT", "OBSOLETE")
}
_LACKED = "metadata cannot hold it; a macro that is not defined?"
_UNREAD = "rpm cannot read this rich dependency, so no host could install the package"
_MODULE = 5096  # MODULARITYLABEL
_EPOCH = re.compile(rb"[0-9]*:|[^:]*\Z")
_FEATURE = re.compile(rb"rpmlib\(([A-Za-z0-9]{1,60})\)")

# What XML 1.0 cannot hold (section 2.2), and the line ends that an attribute would lose.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")


def strings(header: bytes, only: Container[int] | None = None) -> Iterator[tuple[int, bytes]]:
    """Tag and raw bytes of every string of a main header, in the index's order; of those tags ``only``, if given.

    Raises ``ValueError`` where the index reaches outside the data.
    """
    count, length = struct.unpack_from(">II", header, 8)
    start = 16 + 16 * count
    if start + length > len(header):
        msg = f"header index promises {start + length} bytes, the header has {len(header)}"
        raise ValueError(msg)
    for index in range(count):
        tag, kind, offset, number = struct.unpack_from(">IIII", header, 16 + 16 * index)
        if kind not in _TYPES or (only is not None and tag not in only):
            continue
        at = start + offset
        for _ in range(number):
            end = header.find(b"\0", at, start + length)
            if end < 0:
                msg = f"string of header tag {tag} has no end"
                raise ValueError(msg)
            yield tag, header[at:end]
            at = end + 1


def features(header: bytes) -> Iterator[str]:
    """What the package needs of rpm itself, each with the version of rpm that brought it. ``ValueError`` as above."""
    found: Mapping[int, list[bytes]] = {_REQUIRED: [], _OF_VERSION: []}
    for tag, raw in strings(header, found):
        found[tag].append(raw)
    for name, version in zip(found[_REQUIRED], found[_OF_VERSION], strict=False):
        match = _FEATURE.fullmatch(name)
        if match:
            yield f"{match[1].decode()} {version.decode(errors='replace')[:40]}"


def unheld(header: bytes) -> Iterator[str]:
    """Relations with which rpm refuses a transaction that dnf has chosen, the first of a kind, and why.

    createrepo_c leaves out one whose epoch is no number, mostly a macro that was not expanded. What begins with a
    parenthesis is a rich dependency to rpm, and where it is none, it is never met. ``ValueError`` as above.
    """
    found: dict[int, list[bytes]] = {tag: [] for tags in _BINDING.values() for tag in tags}
    for tag, raw in strings(header, found):
        found[tag].append(raw)
    for what, (names, versions) in _BINDING.items():
        for name, version in zip(found[names], found[versions], strict=False):
            if not _EPOCH.match(version):
                yield f"{what} {_shown(name)} of version {_shown(version)}, whose epoch is no number: {_LACKED}"
                break
            # rpm looks for the name of what is obsoleted as it is.
            if what != "obsoletes" and name[:1] == b"(" and not is_rich(name.decode(errors="replace")):
                yield f"{what} {_shown(name)}: {_UNREAD}"
                break


def _shown(raw: bytes) -> str:
    return raw.decode(errors="replace")[:100]


def modules(header: bytes) -> Iterator[str]:
    """The build of a module that the package says it belongs to, ``NAME:STREAM:VERSION:CONTEXT``; mostly none."""
    for _, raw in strings(header, {_MODULE}):
        yield _shown(raw)


def text_faults(header: bytes) -> Iterator[Fault]:
    """Why metadata could not represent the header: at most one fault per field."""
    seen = set[int]()
    for tag, raw in strings(header):
        if tag not in _TEXT or tag in seen:
            continue
        problem = _text_problem(raw, _CONTROL if tag in _ONE_LINE else _NOT_XML)
        if problem:
            seen.add(tag)
            yield Fault(code="text", text=f"{_TEXT[tag]} {problem}; rebuild the package with clean UTF-8 text")
    yield from _path_faults(header, int(_TAG.DIRNAMES), int(_TAG.BASENAMES))


def _text_problem(raw: bytes, forbidden: re.Pattern[str]) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start}: {raw[:60]!r})"
    match = forbidden.search(text)
    return f"holds the character U+{ord(match[0]):04X} at {match.start()}" if match else ""


def _path_faults(header: bytes, dirnames: int, basenames: int) -> Iterator[Fault]:
    for tag, raw in strings(header):
        if tag == dirnames:
            bad = raw != b"" and (not raw.startswith(b"/") or b".." in raw.split(b"/"))
        elif tag == basenames:
            bad = b"/" in raw or raw in {b".", b".."}
        else:
            continue
        if bad:
            yield Fault(code="path", text=f"file list holds the unsafe path {raw[:200]!r}; expected absolute paths")
            return
