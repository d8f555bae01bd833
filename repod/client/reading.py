"""What the files of a repository say, as a client understands them: index, primary, mirrorlist and metalink."""

import bz2
import hashlib
import lzma
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard
from lxml import etree

from repod.errors import Corrupt
from repod.numerals import EPOCH, number
from repod.package import Nevra

_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"
_RPM = "{http://linux.duke.edu/metadata/rpm}"
_METALINK = "{http://www.metalinker.org/}"
_CHECKSUMS = {"sha256", "sha384", "sha512", "sha1"}
_WINDOW = 128 << 20
_PACKED = 8 << 10  # what 8 KiB give is at most some MiB
_FED = 64 << 10
_SAFE: Any = {"resolve_entities": False, "no_network": True, "load_dtd": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """``repomd.xml``: its revision, as text, and where primary lies, with its checksum."""

    revision: str
    href: str
    algorithm: str
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A package as primary has it. ``header``: where in the file its main header begins and ends."""

    nevra: Nevra
    pkgid: str
    href: str
    size: int
    header: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metalink:
    """Where ``repomd.xml`` lies, best first, and the SHA-256 of each that is to be taken for it, alternates too."""

    urls: Sequence[str]
    checksums: Collection[str]


def index(data: bytes) -> Index:
    """``Corrupt`` where it is no ``repomd.xml``."""
    root = _parsed(data, "repomd.xml")
    for record in root.iterfind(f"{_REPO}data[@type='primary']"):
        location, checksum = record.find(f"{_REPO}location"), record.find(f"{_REPO}checksum")
        if location is None or checksum is None:
            continue
        algorithm = checksum.get("type") or ""
        if algorithm not in _CHECKSUMS:
            msg = f"repomd.xml: expected one of {', '.join(sorted(_CHECKSUMS))} for primary, found {algorithm!r}"
            raise Corrupt(msg)
        return Index(
            revision=(root.findtext(f"{_REPO}revision") or "").strip(),
            href=location.get("href") or "",
            algorithm=algorithm,
            checksum=(checksum.text or "").strip(),
        )
    msg = "repomd.xml names no primary"
    raise Corrupt(msg)


def mirrors(data: bytes) -> Sequence[str]:
    """The base URLs of a mirrorlist."""
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def metalink(data: bytes) -> Metalink:
    """``Corrupt`` where it is none."""
    root = _parsed(data, "metalink.xml")
    found = root.iterfind(f".//{_METALINK}resources/{_METALINK}url")
    urls = sorted(found, key=lambda url: -(number(url.get("preference")) or 0))
    hashes = root.iterfind(f".//{_METALINK}verification/{_METALINK}hash[@type='sha256']")
    return Metalink(
        urls=[(url.text or "").strip() for url in urls], checksums={(one.text or "").strip() for one in hashes}
    )


def proven(pieces: Iterable[bytes], what: Index) -> Iterator[bytes]:
    """The same bytes; ``Corrupt`` at their end where they are not those of the index."""
    hasher = hashlib.new(what.algorithm, usedforsecurity=False)
    for piece in pieces:
        hasher.update(piece)
        yield piece
    if hasher.hexdigest() != what.checksum:
        msg = f"{what.href}: expected {what.algorithm} {what.checksum}, as repomd.xml says, found {hasher.hexdigest()}"
        raise Corrupt(msg)


def unpacked(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The text in ``pieces``, packed as the ending of ``name`` says; members and frames may follow each other."""
    make = _UNPACKERS.get(name.rpartition(".")[2])
    if make is None:
        yield from pieces
        return
    opener, begun = make(), False
    try:
        for piece in _cut(pieces, _PACKED):
            rest = piece
            while rest:
                if opener.eof:
                    opener = make()
                yield opener.decompress(rest)
                begun, rest = True, opener.unused_data if opener.eof else b""
    except (zlib.error, lzma.LZMAError, OSError, zstandard.ZstdError) as error:
        raise Corrupt(f"{name}: cannot be unpacked ({error})") from error
    if not begun or not opener.eof:
        raise Corrupt(f"{name}: it ends early")


_UNPACKERS: Mapping[str, Callable[[], Any]] = {
    "gz": lambda: zlib.decompressobj(31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
    "zst": lambda: zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj(),
}


def packages(text: Iterable[bytes], names: Collection[str]) -> Iterator[Listed]:
    """Those of primary that have one of these names; ``Corrupt`` at its end where it is not whole."""
    parser = etree.XMLPullParser(("end",), tag=f"{_COMMON}package", huge_tree=True, **_SAFE)
    try:
        for piece in _cut(text, _FED):
            parser.feed(piece)
            events: Any = parser.read_events()
            for _, element in events:
                if element.findtext(f"{_COMMON}name") in names:
                    yield _listed(element)
                _forget(element)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise Corrupt(f"primary is not sound XML: {' '.join(str(error.msg).split())}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Corrupt(f"primary has a package that cannot be understood ({error})") from error


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of at most ``size``: what becomes of one lies in memory at once."""
    for piece in pieces:
        for at in range(0, len(piece), size):
            yield piece[at : at + size]


def _listed(element: Any) -> Listed:
    version = element.find(f"{_COMMON}version")
    span = element.find(f"{_COMMON}format/{_RPM}header-range")
    return Listed(
        nevra=Nevra(
            name=element.findtext(f"{_COMMON}name"),
            epoch=_number(version.get("epoch") or "0", EPOCH),
            version=version.get("ver"),
            release=version.get("rel"),
            arch=element.findtext(f"{_COMMON}arch"),
        ),
        pkgid=element.findtext(f"{_COMMON}checksum").strip(),
        href=element.find(f"{_COMMON}location").get("href"),
        size=_number(element.find(f"{_COMMON}size").get("package")),
        header=(_number(span.get("start")), _number(span.get("end"))),
    )


def _number(text: str | None, most: int = (1 << 63) - 1) -> int:
    found = number(text, most)
    if found is None:
        msg = f"expected a number up to {most}, found {text!r}"
        raise ValueError(msg)
    return found


def _forget(element: Any) -> None:
    """Let go of an element that was read, and of all before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


def _parsed(data: bytes, what: str) -> Any:
    try:
        return etree.fromstring(data, etree.XMLParser(**_SAFE))
    except etree.XMLSyntaxError as error:
        raise Corrupt(f"{what} is not sound XML: {' '.join(str(error.msg).split())}") from error
