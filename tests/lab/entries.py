"""Packages without RPM files: metadata entries as createrepo_c writes them, in microseconds.

The "file" of such a package is a line of text; its checksum and size are true, so that a
repository made of them can be checked byte by byte. Equal arguments give equal packages.

Words in that line tell of relations: ``source=X.src.rpm`` what it was built from (and then there is
nothing in the entry that nobody asked for), ``requires=NAME`` that it needs that name in its own EVR.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import createrepo_c

from repod.package import Entry, Nevra, Package, StorePath, sha256

_NAMES = ("alpha", "beta", "gamma-libs", "lib++", "x", "zlib", "python3-a", "Ω-less", "perl(A)")
_WORDS = ("fix", "<b>bold</b>", "&", '"quoted"', "it's", "ünïcode", "漢字", "line\n", "", "  - more", "]]>", "&amp;")
_SOURCE = re.compile(rb"\bsource=(\S+\.src\.rpm)")
_REQUIRES = re.compile(rb"\brequires=([\w.+-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A package: its entry, the bytes of its "file", and what createrepo_c knows of it."""

    entry: Entry
    file: bytes
    described: createrepo_c.Package

    @property
    def package(self) -> Package:
        """The package as a repository lists it."""
        return self.entry.package

    @property
    def nevra(self) -> Nevra:
        """What identifies it."""
        return self.entry.package.nevra


def made(nevra: Nevra | str, content: str = "", href: StorePath | None = None) -> Made:
    """The package ``nevra``; another ``content`` is another build, ``href`` another place."""
    nevra = Nevra.parse(nevra) if isinstance(nevra, str) else nevra
    return described(nevra, f"{nevra} {content}\n".encode(), href)


def described(nevra: Nevra, file: bytes, href: StorePath | None = None) -> Made:
    """The package ``nevra`` whose "file" has these bytes."""
    package = createrepo_c.Package()
    package.name, package.epoch, package.version = nevra.name, str(nevra.epoch), nevra.version
    package.release, package.arch = nevra.release, nevra.arch
    package.pkgId, package.checksum_type = hashlib.sha256(file).hexdigest(), "sha256"
    package.size_package = len(file)
    package.location_href = href or nevra.location
    source = _SOURCE.search(file)
    if source:
        _relate(package, source[1].decode(), [name.decode() for name in _REQUIRES.findall(file)])
    else:
        _fill(package, random.Random(file))
    return Made(entry=_entry(package, nevra, href or nevra.location, len(file)), file=file, described=package)


def many(count: int, seed: int = 0) -> list[Made]:
    """``count`` different packages, in no order."""
    draw = random.Random(seed)
    nevras = dict[Nevra, None]()
    while len(nevras) < count:
        version = ".".join(draw.choices("0123", k=2)) + draw.choice(("", "", "~rc1", "^git2", "+x"))
        name = f"{draw.choice(_NAMES)}{draw.choice(('', '', '-devel', draw.randint(0, count)))}"
        nevra = Nevra(
            name=name,
            epoch=draw.choice((0, 0, 0, 2)),
            version=version,
            release=str(draw.randint(1, 12)),
            arch=draw.choice(("noarch", "x86_64")),
        )
        nevras[nevra] = None
    return [made(nevra, str(seed)) for nevra in nevras]


def _fill(package: createrepo_c.Package, draw: random.Random) -> None:
    def words(count: int) -> str:
        return "A " + " ".join(draw.choices(_WORDS, k=count))

    package.summary, package.description, package.url = words(4), words(draw.randint(0, 20)), "https://example.com/?a&b"
    package.rpm_license, package.rpm_vendor, package.rpm_sourcerpm = "MIT", words(2), f"{package.name}.src.rpm"
    package.time_file, package.time_build = 1_700_000_000, 1_600_000_000
    package.rpm_header_start, package.rpm_header_end = 1, package.size_package
    package.requires = [(f"dep<{n}>", "GE", "0", "1.0", "1", False) for n in range(draw.randint(0, 3))]
    package.provides = [(package.name, "EQ", package.epoch, package.version, package.release, False)]
    folders = ("/usr/bin/", "/etc/a&b/", "/usr/share/doc/")
    package.files = [("", draw.choice(folders), f"file {n}'é") for n in range(draw.randint(0, 6))]
    package.changelogs = [(f"Me <me{n}@x>", 1_600_000_000 + n, words(8)) for n in range(draw.randint(0, 4))]


def _relate(package: createrepo_c.Package, source: str, requires: Sequence[str]) -> None:
    package.summary = package.description = f"Built from {source}"
    package.rpm_license, package.rpm_sourcerpm = "MIT", "" if package.arch == "src" else source
    package.time_file, package.time_build = 1_700_000_000, 1_600_000_000
    package.rpm_header_start, package.rpm_header_end = 1, package.size_package
    evr = (package.epoch, package.version, package.release)
    package.requires = [(name, "EQ", *evr, False) for name in requires]
    package.provides = [(package.name, "EQ", *evr, False)]
    package.files = [("", "/usr/share/doc/", package.name)]


def _entry(package: createrepo_c.Package, nevra: Nevra, href: StorePath, size: int) -> Entry:
    return Entry(
        package=Package(nevra=nevra, pkgid=sha256(package.pkgId), size=size, href=href),
        primary=createrepo_c.xml_dump_primary(package).encode(),
        filelists=createrepo_c.xml_dump_filelists(package).encode(),
        other=createrepo_c.xml_dump_other(package).encode(),
    )


def entries(packages: Sequence[Made]) -> list[Entry]:
    """The entries of ``packages``."""
    return [one.entry for one in packages]
