"""Repositories that other tools made: real createrepo_c and modifyrepo_c over small RPMs of this machine.

What createrepo_c cannot be told to write (back-slashes, broken texts, documents without
compression) is edited into its documents, whose checksums modifyrepo_c then makes right.
"""

import bz2
import gzip
import hashlib
import lzma
import random
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import createrepo_c
import zstandard

from tests.lab.daemon import Repod
from tests.lab.rpms import changelog, quick, run_builder, tool

COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group>
    <id>tools</id>
    <name>Tools</name>
    <name xml:lang="de">Werkzeuge &amp; mehr</name>
    <description>What one needs.</description>
    <default>true</default>
    <uservisible>true</uservisible>
    <packagelist>
      <packagereq type="mandatory">pkg00001</packagereq>
    </packagelist>
  </group>
</comps>
"""
MODULES = """---
document: modulemd
version: 2
data:
  name: tools
  stream: "1"
  version: 1
  context: c0ffee42
  arch: noarch
  summary: Tools
  description: >-
    Tools in a stream
  license:
    module:
    - MIT
  artifacts:
    rpms:
    - pkg00002-0:1.0-1.noarch
...
"""


def adopting(repod: Repod) -> Repod:
    """The same, which no longer wants each package of ``test`` to be signed with its own key: adopted ones are not.

    A test checks by itself what is to be sound, without the key.
    """
    repod.unsound.add("test")
    return repod


def packages(folder: Path, count: int) -> list[Path]:
    """``count`` small RPMs with files, dependencies and changelogs, in folders by their number."""
    ranges = [(folder, start, min(start + 250, count)) for start in range(0, count, 250)]
    with ProcessPoolExecutor() as pool:
        return [path for paths in pool.map(_some, ranges) for path in paths]


def _some(job: tuple[Path, int, int]) -> list[Path]:
    folder, start, end = job
    return [_one(folder, number) for number in range(start, end)]


def _one(folder: Path, number: int) -> Path:
    draw = random.Random(number)
    name = f"pkg{number:05}" + draw.choice(("", "", "-devel", "++"))
    place = folder / f"{number % 10}"
    place.mkdir(parents=True, exist_ok=True)
    return quick(
        place,
        name,
        draw.choice(("1.0", "1.0~rc1", "2^git1")),
        str(draw.randint(1, 9)),
        draw.choice(("noarch", "x86_64")),
        epoch=draw.choice((0, 0, 3)),
        files={f"/usr/share/{name}/{n} ü & <x>": b"" for n in range(draw.randint(1, 6))} | {f"/usr/bin/{name}": b"#!"},
        requires=["/bin/sh", "libc.so.6", f"pkg{number // 2:05} >= 1.0"],
        provides=[f"virtual({number}) = 1"],
        changelog=changelog(draw.randint(0, 12)),
        summary=draw.choice(("Plain", "Ümläute & <tags>", "漢字")),
    )


def advisories(count: int, rpms: Sequence[Path], *, sums: bool = True) -> bytes:
    """An updateinfo.xml of ``count`` advisories, each for one of ``rpms``, with its checksum where ``sums`` says so."""
    info = createrepo_c.UpdateInfo()
    for number in range(count):
        package = createrepo_c.package_from_rpm(str(rpms[number % len(rpms)]))
        record = createrepo_c.UpdateRecord()
        record.id, record.title = f"LAB-2023:{number:04}", f"Update {number} <&>"
        record.type = ("security", "bugfix", "enhancement")[number % 3]
        record.status, record.version, record.severity, record.fromstr = "final", "1", "Important", "lab@example.com"
        record.description = f"What was wrong: {number} ü"
        collection = createrepo_c.UpdateCollection()
        collection.shortname, collection.name = "lab", "Lab"
        one = createrepo_c.UpdateCollectionPackage()
        one.name, one.epoch, one.version = package.name, package.epoch, package.version
        one.release, one.arch, one.filename = package.release, package.arch, rpms[number % len(rpms)].name
        if sums:
            one.sum, one.sum_type = package.pkgId, createrepo_c.SHA256
        collection.append(one)
        record.append_collection(collection)
        info.append(record)
    text: str = info.xml_dump()
    return text.encode()


def createrepo(folder: Path, *options: str, compression: str = "gz", checksum: str = "sha256") -> Path:
    """Documents for the RPMs in ``folder``, by createrepo_c."""
    words = ["--quiet", f"--general-compress-type={compression}", f"--checksum={checksum}"]
    run_builder([tool("createrepo_c"), *words, *options, "."], folder)
    return folder


def carry(folder: Path, kind: str, name: str, data: bytes, *options: str) -> None:
    """Add a document called ``name`` as record ``kind``, or replace it, by modifyrepo_c."""
    with TemporaryDirectory(prefix="carry-") as work:
        file = Path(work, name)
        file.write_bytes(data)
        words = [tool("modifyrepo_c"), f"--mdtype={kind}", *options, str(file), str(folder / "repodata")]
        run_builder(words, folder)


def put(folder: Path, kind: str, name: str, data: bytes) -> None:
    """Make ``data`` the file of a record as it is; modifyrepo_c would unpack it first."""
    index = folder / "repodata/repomd.xml"
    repomd = createrepo_c.Repomd(str(index))
    file = folder / "repodata" / name
    file.write_bytes(data)
    record = createrepo_c.RepomdRecord(kind, str(file))
    record.fill(createrepo_c.SHA256)
    record.location_href = f"repodata/{name}"
    made = createrepo_c.Repomd()
    for each in [*(one for one in repomd.records if one.type != kind), record]:
        made.set_record(each)
    index.write_text(made.xml_dump())


def document(folder: Path, kind: str) -> Path:
    """The file of a record."""
    repomd = createrepo_c.Repomd(str(folder / "repodata/repomd.xml"))
    (href,) = [record.location_href for record in repomd.records if record.type == kind]
    return folder / str(href)


def plain(folder: Path, kind: str) -> bytes:
    """The plain text of a record's document."""
    path = document(folder, kind)
    unpack: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.decompress,
        ".xz": lzma.decompress,
        ".bz2": bz2.decompress,
        ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }
    return unpack.get(path.suffix, bytes)(path.read_bytes())


def rewrite(folder: Path, kind: str, edit: Callable[[bytes], bytes], *options: str) -> None:
    """Replace a document by an edited one, with checksums that are right."""
    carry(folder, kind, f"{kind}.xml", edit(plain(folder, kind)), *options)


def dos_paths(folder: Path) -> None:
    """Write the hrefs with back-slashes."""

    def edit(text: bytes) -> bytes:
        lines = text.split(b"\n")
        return b"\n".join(line.replace(b"/", b"\\")[:-2] + b"/>" if b"<location" in line else line for line in lines)

    rewrite(folder, "primary", edit)


def uncompressed(folder: Path) -> None:
    """Documents as plain text."""
    for kind in ("primary", "filelists", "other"):
        rewrite(folder, kind, bytes, "--no-compress")


def sha1(folder: Path) -> None:
    """Everything by SHA-1, as createrepo of old wrote it and today's createrepo_c refuses to."""
    repomd = folder / "repodata/repomd.xml"
    new = {}
    for rpm in folder.rglob("*.rpm"):
        data = rpm.read_bytes()
        new[hashlib.sha256(data).hexdigest().encode()] = hashlib.sha1(data).hexdigest().encode()

    def edit(text: bytes) -> bytes:
        text = text.replace(b'type="sha256"', b'type="sha"')
        return re.sub(rb"[0-9a-f]{64}", lambda match: new[match[0]], text)

    for kind in ("primary", "filelists", "other"):
        rewrite(folder, kind, edit)
    index = repomd.read_text()
    for kind in ("primary", "filelists", "other"):
        path = document(folder, kind)
        for data in (path.read_bytes(), plain(folder, kind)):
            strong = f'"sha256">{hashlib.sha256(data).hexdigest()}<'
            index = index.replace(strong, f'"sha">{hashlib.sha1(data).hexdigest()}<')
    repomd.write_text(index)
