"""What primary says of packages for people: read from a generation's documents, or from a package's own head."""

import re
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import unescape

from lxml import etree

from repod.doors import Store
from repod.generation import Generation
from repod.listings import Listed
from repod.numerals import number
from repod.package import Entry, Nevra, Package, sha256, store_path
from repod.repodata import listing, text

_BATCH = 128  # packages: some milliseconds of work
# What createrepo_c writes up to the location; it escapes what would look like a tag inside text.
_LISTED = re.compile(
    text.IDENTITY.pattern
    + rb'\n  <checksum type="sha256" pkgid="YES">([0-9a-f]{64})</checksum>\n  <summary(?:/>|>([^<]*)</summary>)'
    rb'\n  <description.*?\n  <time file="[0-9]*" build="([0-9]+)"/>'
    rb'\n  <size package="([0-9]+)"[^>]*/>\n  <location href="([^"&]+)"/>',
    re.DOTALL,
)


class StoredSummaries:
    """``Listings`` of one store."""

    def __init__(self, store: Store, describe: Callable[[Package], Entry]) -> None:
        """``describe`` makes the metadata of a stored package from its head."""
        self._store = store
        self._describe = describe

    def listed(self, generation: Generation) -> Iterator[Sequence[Listed]]:
        """See ``Listings.listed``."""
        batch = list[Listed]()
        for run in listing.runs(self._store, generation, text.KINDS[0]):
            for entry in text.split(run):
                batch.append(_listed(entry))
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        yield batch

    def one(self, package: Package) -> Listed:
        """See ``Listings.one``."""
        return _listed(self._describe(package).primary)


def _listed(entry: bytes) -> Listed:
    match = _LISTED.match(entry)
    if match is None or b"&#" in (match[7] or b""):
        return _parsed(text.element("primary", entry))
    name, arch, epoch, version, release, checksum, summary, time, size, href = map(bytes.decode, match.groups(b""))
    nevra = Nevra(name=name, epoch=int(epoch), version=version, release=release, arch=arch)
    package = Package(nevra=nevra, pkgid=sha256(checksum), size=int(size), href=store_path(href))
    summary = unescape(summary, {"&quot;": '"', "&apos;": "'"})
    return Listed(package=package, summary=summary, built=int(time))


def _parsed(element: etree._Element) -> Listed:
    time = element.find(f"{{{text.COMMON}}}time")
    built = time.get("build", "0") if time is not None else "0"
    return Listed(
        package=text.package_of(element),
        summary=element.findtext(f"{{{text.COMMON}}}summary") or "",
        built=number(built) or 0,
    )
