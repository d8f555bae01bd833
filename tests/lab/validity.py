"""Whether a store shows whole repositories at this very moment: rule 1, checked after every write.

The live view, every frozen view that has an index, and what points at the newest one.
"""

import hashlib
import posixpath
import re
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from xml.etree import ElementTree as ET

from repod.doors import Store
from repod.errors import NotFound
from repod.package import StorePath
from tests.lab import stated
from tests.lab.fakes import dearmor, verifies
from tests.lab.faulty import Plan, Step
from tests.lab.place import decompress

REPO = "{http://linux.duke.edu/metadata/repo}"
COMMON = "{http://linux.duke.edu/metadata/common}"
METALINK = "{http://www.metalinker.org/}"
LIVE = StorePath("repodata/repomd.xml")
ASC = StorePath("repodata/repomd.xml.asc")
HEAD = StorePath(".repod/head.json")
_looking = threading.Lock()
_VIEW = re.compile(r"(generations/([0-9]+)/)repodata/repomd\.xml")


def _read(store: Store, path: str) -> bytes | None:
    try:
        return store.read(StorePath(path)).data
    except NotFound:
        return None


def revision(store: Store) -> int:
    """The number of the live view's generation; 0 where there is none."""
    return _revision(_read(store, LIVE))


@lru_cache(2000)
def _revision(index: bytes | None) -> int:
    return int(ET.fromstring(index).findtext(f"{REPO}revision") or "") if index else 0


def pointer(store: Store) -> int:
    """The number the pointer says; 0 where there is none."""
    head = _read(store, HEAD)
    return int(re.findall(rb'"generation": (\d+)', head)[0]) if head else 0


def listed(store: Store) -> dict[str, str]:
    """What a client sees: place to checksum of every package, all proven to be there."""
    return view(store, "")


def frozen(store: Store) -> dict[int, dict[str, str]]:
    """What every frozen view that has an index lists, by number, all proven to be there.

    Places are the packages' own, seen from the root of the store.
    """
    found = {}
    for match in filter(None, (_VIEW.fullmatch(stored.path) for stored in store.list("generations/"))):
        assert _revision(_read(store, match[0])) == int(match[2])
        found[int(match[2])] = view(store, match[1])
    return found


def view(store: Store, base: str) -> dict[str, str]:
    """What the view at ``base`` (with a slash at its end, or empty: the live one) lists, all proven to be there."""
    index = _read(store, base + LIVE)
    found: dict[str, str] = {}
    for kind, place, checksum in _documents(index) if index else ():
        data = _proven(store, base + place, checksum)
        if kind == "primary":
            found = dict(_packages(place, data, base))
    for package, checksum in found.items():
        _proven(store, package, checksum)
    return found


# The same bytes are looked at after each of some hundred writes.
@lru_cache(2000)
def _documents(index: bytes) -> Sequence[tuple[str, str, str]]:
    """Type, place and checksum of each document that an index names."""
    records = [record for record in ET.fromstring(index) if record.tag == f"{REPO}data"]
    return [(record.get("type") or "", href(record), record.findtext(f"{REPO}checksum") or "") for record in records]


@lru_cache(2000)
def _packages(place: str, data: bytes, base: str) -> Sequence[tuple[str, str]]:
    return list(packages(decompress(place, data), base))


@lru_cache(2000)
def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def href(record: ET.Element) -> str:
    """Where an index says that a document lies."""
    location = record.find(f"{REPO}location")
    assert location is not None
    return location.attrib["href"]


def packages(data: bytes, base: str) -> Iterator[tuple[str, str]]:
    root = ET.fromstring(data)
    assert root.get("packages") == str(len(root))
    assert len({package.findtext(f"{COMMON}checksum") for package in root}) == len(root), "a package is listed twice"
    for package in root:
        place = package.find(f"{COMMON}location")
        assert place is not None
        href = place.attrib["href"]
        assert href.startswith("../../") == bool(base), f"{base or 'the live view'} lists {href}"
        yield posixpath.normpath(base + href), package.findtext(f"{COMMON}checksum") or ""


def _proven(store: Store, href: str, checksum: str) -> bytes:
    data = _read(store, href)
    assert data is not None, f"{href} is named and not there"
    assert _digest(data) == checksum, f"{href} is not what is said of it"
    return data


def pointed(store: Store) -> list[int]:
    """Which generations mirrorlist and metalink name; 0 where they are not there.

    Their frozen views have index and signature, and metalink knows the index, and the live one too.
    """
    mirrors, metalink = _read(store, "mirrorlist"), _read(store, "metalink.xml")
    numbers = [0, 0]
    if mirrors:
        numbers[0] = int(re.fullmatch(rb"\S+/generations/(\d+)/\n", mirrors)[1])  # type: ignore[index]
    if metalink:
        root = ET.fromstring(metalink)
        url = next(root.iter(f"{METALINK}url")).text or ""
        numbers[1] = int(re.fullmatch(r"\S+/generations/(\d+)/repodata/repomd\.xml", url)[1])  # type: ignore[index]
        hashes = [element.text or "" for element in root.iter(f"{METALINK}hash")]
        _proven(store, f"generations/{numbers[1]}/{LIVE}", hashes[0])
        live = _read(store, LIVE)
        assert live is None or hashlib.sha256(live).hexdigest() in hashes[1:], "metalink knows no live index"
    for number in filter(None, numbers):
        for part in (LIVE, ASC):
            assert _read(store, f"generations/{number}/{part}"), f"{number} is pointed at and has no {part}"
    return numbers


def _look(store: Store, highest: list[int]) -> None:
    listed(store)
    frozen(store)
    # The pointer last: what follows it may move with it while this looks.
    ahead = [revision(store), *pointed(store), stated.number(store)]
    now = [pointer(store), *ahead]
    assert all(new >= old for new, old in zip(now, highest, strict=True)), f"moved back from {highest} to {now}"
    assert max(now) <= now[0], f"ahead of the pointer: {now}"
    highest[:] = now


def watching(inner: Store, highest: list[int], then: Plan) -> Plan:
    """A plan that checks all views after every write, that nothing moves back, and then does ``then``.

    ``highest``: pointer, live view, mirrorlist, metalink and statement that were ever seen; all plans over
    one store share it.
    """

    def plan(step: Step) -> None:
        if step.name in {"write", "add", "copy", "remove"} and step.moment == "after":
            with _looking:  # one writes beside another
                _look(inner, highest)
        then(step)

    return plan


def assert_settled(store: Store, key: bytes) -> None:
    """All views are the pointer's, signed and stated, and list the same; the generations have no gap."""
    number = pointer(store)
    assert [revision(store), *pointed(store)] == [number] * 3
    for base in ("", f"generations/{number}/"):
        index, signature = _read(store, base + LIVE), _read(store, base + ASC)
        assert index is not None
        assert signature is not None
        assert verifies(key, index, dearmor(signature))
    stated.assert_said(store, key, number)
    records = {
        int(stored.path.rpartition("/")[2].removesuffix(".json")) for stored in store.list(".repod/generations/")
    }
    assert records == set(range(1, number + 1))
    assert frozen(store)[number] == listed(store)
