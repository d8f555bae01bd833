"""Whether a store shows a whole repository at this very moment: rule 1, checked after every write."""

import gzip
import hashlib
import re
from xml.etree import ElementTree as ET

from repod.doors import Store
from repod.errors import NotFound
from repod.package import StorePath
from tests.lab.fakes import dearmor, verifies
from tests.lab.faulty import Plan, Step

REPO = "{http://linux.duke.edu/metadata/repo}"
COMMON = "{http://linux.duke.edu/metadata/common}"
LIVE = StorePath("repodata/repomd.xml")
ASC = StorePath("repodata/repomd.xml.asc")
HEAD = StorePath(".repod/head.json")


def _read(store: Store, path: str) -> bytes | None:
    try:
        return store.read(StorePath(path)).data
    except NotFound:
        return None


def revision(store: Store) -> int:
    """The number of the live view's generation; 0 where there is none."""
    live = _read(store, LIVE)
    return int(ET.fromstring(live).findtext(f"{REPO}revision") or "") if live else 0


def pointer(store: Store) -> int:
    """The number the pointer says; 0 where there is none."""
    head = _read(store, HEAD)
    return int(re.findall(rb'"generation": (\d+)', head)[0]) if head else 0


def listed(store: Store) -> dict[str, str]:
    """What a client sees: place to checksum of every package, all proven to be there."""
    live = _read(store, LIVE)
    found: dict[str, str] = {}
    for record in ET.fromstring(live) if live else ():
        if record.tag != f"{REPO}data":
            continue
        location = record.find(f"{REPO}location")
        assert location is not None
        data = _proven(store, location.attrib["href"], record.findtext(f"{REPO}checksum") or "")
        if record.get("type") != "primary":
            continue
        root = ET.fromstring(gzip.decompress(data))
        assert root.get("packages") == str(len(root))
        for package in root:
            place = package.find(f"{COMMON}location")
            assert place is not None
            found[place.attrib["href"]] = package.findtext(f"{COMMON}checksum") or ""
        assert len(found) == len(root), "a place is listed twice"
    for href, checksum in found.items():
        _proven(store, href, checksum)
    return found


def _proven(store: Store, href: str, checksum: str) -> bytes:
    data = _read(store, href)
    assert data is not None, f"{href} is named and not there"
    assert hashlib.sha256(data).hexdigest() == checksum, f"{href} is not what is said of it"
    return data


def watching(inner: Store, highest: list[int], then: Plan) -> Plan:
    """A plan that checks the repository after every write, that nothing moves back, and then does ``then``.

    ``highest``: pointer and live view that were ever seen; all plans over one store share it.
    """

    def plan(step: Step) -> None:
        if step.name in {"write", "add", "remove"} and step.moment == "after":
            listed(inner)
            now = [pointer(inner), revision(inner)]
            assert now >= highest, f"moved back from {highest} to {now}"
            assert now[1] >= highest[1], "the live view moved back"
            assert now[1] <= now[0], "the live view is ahead of the pointer"
            highest[:] = now
        then(step)

    return plan


def assert_settled(store: Store, key: bytes) -> None:
    """The live view is the pointer's, signed; the generations have no gap."""
    number = pointer(store)
    assert revision(store) == number
    live, signature = _read(store, LIVE), _read(store, ASC)
    assert live is not None
    assert signature is not None
    assert verifies(key, live, dearmor(signature))
    records = {
        int(stored.path.rpartition("/")[2].removesuffix(".json")) for stored in store.list(".repod/generations/")
    }
    assert records == set(range(1, number + 1))
    listed(store)
