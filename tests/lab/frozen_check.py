"""The frozen views of a repository and the small objects that point at the newest one, checked strictly."""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from tests.lab.checker import Proven, Report, read
from tests.lab.place import UP, Place, compare, parse

METALINK = "{http://www.metalinker.org/}"
_MM0 = "{http://fedorahosted.org/mirrormanager}"
_MIRROR = re.compile(r"(?:https?|s3|file)://\S+/generations/([1-9][0-9]*)/")
_HASHES = {"md5", "sha1", "sha256", "sha384", "sha512"}


def check_frozen(repo: Path | str, number: int, key: bytes | None = None) -> Report:
    """Read the frozen view of generation ``number`` of the repository at a directory or http URL.

    It must be a repository of its own, but for the packages, which lie where the live view has them.
    """
    with tempfile.TemporaryDirectory(prefix="checker-") as work:
        return _frozen(Place(repo, Path(work)), number, Path(work), key, set())


def _frozen(place: Place, number: int, work: Path, key: bytes | None, proven: Proven) -> Report:
    report = read(place.inside(f"generations/{number}"), work, key, proven)
    if report.revision != str(number):
        report.faults.append(f"the frozen view {number} has the revision {report.revision!r}")
    return report


def check_whole(repo: Path | str, key: bytes | None = None) -> Report:
    """The live view, and every fault of it, of the newest frozen view, of mirrorlist and of metalink.

    All must speak of one generation and list the same packages. So it is at rest only.
    """
    with tempfile.TemporaryDirectory(prefix="checker-") as work:
        return _whole(Place(repo, Path(work)), Path(work), key, set())


def check_every(repo: Path, key: bytes | None = None) -> Report:
    """``check_whole``, and every fault of every older frozen view: so each publish is checked, though later."""
    with tempfile.TemporaryDirectory(prefix="checker-") as work:
        place, proven = Place(repo, Path(work)), Proven()
        report = _whole(place, Path(work), key, proven)
        for index in repo.glob("generations/*/repodata/repomd.xml"):
            number = index.parts[-3]
            if number != report.revision:
                faults = _frozen(place, int(number), Path(work), key, proven).faults
                report.faults += [f"generations/{number}: {fault}" for fault in faults]
    return report


def _whole(place: Place, work: Path, key: bytes | None, proven: Proven) -> Report:
    report = read(place, work, key, proven)
    if report.revision.isdecimal():
        number = int(report.revision)
        frozen = _frozen(place, number, work, key, proven)
        report.faults += [f"generations/{number}: {fault}" for fault in frozen.faults]
        report.faults += _differences(report, frozen)
        report.faults += _check_mirrorlist(place, number)
        report.faults += _check_metalink(place, number)
    return report


def assert_whole(repo: Path | str, key: bytes | None = None) -> Report:
    """``check_whole`` without a fault; ``AssertionError`` with all of them if there are any."""
    report = check_whole(repo, key)
    assert not report.faults, f"{repo} is not sound:\n" + "\n".join(report.faults)
    return report


def _differences(live: Report, frozen: Report) -> Iterator[str]:
    there = {nevra: (row.pkgid, f"{UP}{row.href}") for nevra, row in live.packages.items()}
    here = {nevra: (row.pkgid, row.href) for nevra, row in frozen.packages.items()}
    for nevra in sorted(there.keys() | here.keys()):
        if there.get(nevra) != here.get(nevra):
            yield f"{nevra}: the live view lists it as {there.get(nevra)}, the frozen view as {here.get(nevra)}"
    for kind in sorted(live.documents.keys() | frozen.documents.keys()):
        if kind != "primary" and live.documents.get(kind) != frozen.documents.get(kind):
            yield f"{kind} of the live view and of the frozen view differ"


def _check_mirrorlist(place: Place, number: int) -> Iterator[str]:
    file = place.file("mirrorlist")
    if file is None:
        yield "mirrorlist is not there"
        return
    text = file.read_text()
    lines = text.splitlines()
    if not lines or not text.endswith("\n"):
        yield "mirrorlist does not end with the end of a line"
    for line in lines:
        match = _MIRROR.fullmatch(line)
        if match is None:
            yield f"mirrorlist: {line!r} is not the URL of a frozen view"
        elif int(match[1]) != number:
            yield f"mirrorlist names generation {match[1]}, the live view is {number}"


def _check_metalink(place: Place, number: int) -> Iterator[str]:
    file, index = place.file("metalink.xml"), place.file(f"generations/{number}/repodata/repomd.xml")
    if file is None:
        yield "metalink.xml is not there"
        return
    try:
        root = parse(file.read_bytes())
    except etree.XMLSyntaxError as error:
        yield f"metalink.xml is not XML: {error}"
        return
    files = root.findall(f"{METALINK}files/{METALINK}file")
    if root.tag != f"{METALINK}metalink" or [row.get("name") for row in files] != ["repomd.xml"]:
        yield f"metalink.xml: {root.tag} with the files {[row.get('name') for row in files]}"
        return
    (row,) = files
    if index is not None:
        yield from _check_hashes(row, index.read_bytes())
    live = place.file("repodata/repomd.xml")
    known = {hash_.text for hash_ in row.iterfind(f"{_MM0}alternates//{METALINK}hash")}
    # librepo takes this file for what it must find beside it, where it reads a directory.
    if live is not None and hashlib.sha256(live.read_bytes()).hexdigest() not in known:
        yield "metalink.xml does not have the live index among its alternates"
    urls = [url.text or "" for url in row.findall(f"{METALINK}resources/{METALINK}url")]
    if not urls:
        yield "metalink.xml names no URL"
    for url in urls:
        match = _MIRROR.match(url)
        if match is None or match[0] + "repodata/repomd.xml" != url:
            yield f"metalink.xml: {url!r} is not the index of a frozen view"
        elif int(match[1]) != number:
            yield f"metalink.xml names generation {match[1]}, the live view is {number}"


def _check_hashes(row: etree._Element, index: bytes) -> Iterator[str]:
    said = {hash_.get("type", ""): hash_.text or "" for hash_ in row.findall(f"{METALINK}verification/{METALINK}hash")}
    size = row.findtext(f"{METALINK}size") or ""
    yield from compare("repomd.xml", said.get("sha256", ""), size, index, "metalink.xml")
    for kind in sorted(said.keys() - {"sha256"}):
        if kind not in _HASHES or said[kind] != hashlib.new(kind, index).hexdigest():
            yield f"metalink.xml: the {kind} of repomd.xml is not {said[kind]!r}"
