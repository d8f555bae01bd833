"""Where the files of a repository lie, and what can be said of one file by itself."""

import hashlib
import lzma
import posixpath
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from lxml import etree

from tests.lab.rpms import tool

UP = "../../"
"""How a frozen view's primary reaches the packages: ``generations/N/`` and no further."""


class Place:
    """A directory, or an http URL whose files are copied to ``work``; ``view`` is a folder in it."""

    def __init__(self, base: Path | str, work: Path, view: str = "") -> None:
        self.view = view
        self._base = str(base).rstrip("/")
        self._work = work
        self._http = self._base.startswith(("http://", "https://"))

    def inside(self, view: str) -> "Place":
        """The folder ``view`` of the same repository."""
        return Place(self._base, self._work, view)

    def resolved(self, href: str) -> str:
        """Where ``href`` leads from the view, seen from the repository: by the text alone, as clients do."""
        return posixpath.normpath(posixpath.join(self.view, href))

    def file(self, href: str) -> Path | None:
        """The file that ``href`` (raw) names as seen from the view, or None where there is none."""
        href = self.resolved(href)
        if href.startswith(("/", "../")):
            return None
        if not self._http:
            path = Path(self._base, href)
            return path if path.is_file() and not path.is_symlink() else None
        copy = self._work / hashlib.sha256(href.encode()).hexdigest()
        # Encoded once, as dnf does it: the server must decode once.
        url = f"{self._base}/{urllib.parse.quote(href, safe='/~')}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                copy.write_bytes(answer.read())
        except (urllib.error.URLError, OSError):
            return None
        return copy


def parse(data: bytes) -> etree._Element:
    """The root of an XML text; nothing is repaired, resolved or fetched."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, recover=False, dtd_validation=False, huge_tree=True
    )
    return etree.fromstring(data, parser)


def check_href(href: str, what: str, up: str = "") -> Iterator[str]:
    """Faults of an href that must be ``up`` and then a plain relative path."""
    if not href.startswith(up):
        yield f"{what}: href {href!r} does not begin with {up}"
    parts = href.removeprefix(up).split("/")
    if any(part in {"", ".", ".."} for part in parts) or "://" in href or "\\" in href:
        yield f"{what}: href {href!r} is not a plain relative path"
    if re.search(r"%[0-9A-Fa-f]{2}", href):
        yield f"{what}: href {href!r} is percent-encoded; it must be raw"


def compare(what: str, checksum: str, size: str, data: bytes, where: str = "repomd.xml") -> Iterator[str]:
    """Faults of a file of which ``where`` states checksum (SHA-256, hex) and size (bytes)."""
    if size != str(len(data)):
        yield f"{what}: {where} says {size} bytes, there are {len(data)}"
    found = hashlib.sha256(data).hexdigest()
    if checksum != found:
        yield f"{what}: {where} says sha256 {checksum}, it is {found}"


def decompress(name: str, data: bytes, *, opaque: bool = False) -> bytes:
    """All members, streams or frames of a document; ``ValueError`` at anything that is left over.

    ``opaque``: a name that says nothing of compression is that of a plain file.
    """
    if name.endswith(".gz"):
        return _members(data, lambda: zlib.decompressobj(31))
    if name.endswith(".xz"):
        return _members(data, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ))
    if name.endswith(".zst"):
        done = subprocess.run([tool("zstd"), "-dcq"], input=data, capture_output=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr.decode(errors="replace"))
        return done.stdout
    if opaque or name.endswith((".xml", ".yaml", ".yml")):
        return data
    msg = "its name does not say how it is compressed"
    raise ValueError(msg)


def _members(data: bytes, begin: Callable[[], "zlib._Decompress | lzma.LZMADecompressor"]) -> bytes:
    plain = []
    while True:
        member = begin()
        try:
            plain.append(member.decompress(data))
        except (zlib.error, lzma.LZMAError) as error:
            raise ValueError(str(error)) from error
        if not member.eof:
            msg = "the last member is cut short"
            raise ValueError(msg)
        data = member.unused_data
        if not data:
            return b"".join(plain)
