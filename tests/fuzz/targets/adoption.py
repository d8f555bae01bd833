"""Repositories of other tools that are adopted: refused with all faults, or taken over so that all is read back."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import createrepo_c

from repod.adoption import place, spots
from repod.elsewhere import Listed
from repod.errors import Corrupt, NotFound, Unavailable
from repod.package import Package, sha256, store_path
from repod.repodata import foreign, text
from tests.fuzz import mutate
from tests.fuzz.core import Finding, Opened, Target, kind_of, said_well
from tests.fuzz.targets.documents import _PACKERS
from tests.lab import forms, papers
from tests.lab.entries import made
from tests.lab.rpms import tool

_MARK = b"\n%%%% "
_NEVRAS = ("hello-1.0-1.noarch", "lib++-2:1.0~rc1^git-1.x86_64", "python3-a-1-1.noarch")
_RECORDS = ("primary", "filelists", "other", "group", "modules", "updateinfo")


class Elsewhere:
    """``Source``: files in a folder, and nothing behind any ``xml:base``."""

    name = "elsewhere"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, href: str, base: str = "") -> int | None:
        return self.path(href, base).stat().st_size

    def open(self, href: str, base: str = "") -> Iterator[bytes]:
        yield self.path(href, base).read_bytes()

    def path(self, href: str, base: str = "") -> Path:
        path = self._folder / href.replace("/", "_")[:100].replace("\0", "")
        if base or not path.is_file():
            raise NotFound(f"{href!r} is not there")
        return path


def parts(data: bytes) -> dict[str, bytes]:
    """The texts of an input by their names."""
    return dict(_named(part) for part in (b"\n" + data).split(_MARK) if part.strip())


def _named(part: bytes) -> tuple[str, bytes]:
    name, _, rest = part.partition(b"\n")
    return name.decode(errors="replace").strip(), rest


def joined(found: dict[str, bytes]) -> bytes:
    """The input that holds these texts."""
    return b"".join(_MARK + name.encode() + b"\n" + rest for name, rest in found.items()).removeprefix(b"\n")


def _put(folder: Path, found: dict[str, bytes]) -> None:
    """Documents with an index that says the truth of them, as far as it is the index of ``_index``."""
    index = found.get("repomd", b"")
    for name in _RECORDS:
        plain = found.get(name, b"")
        packing = next((ending for ending in _PACKERS if f"{name}.{ending}".encode() in index), "")
        packed = _PACKERS[packing](plain) if packing else plain
        (folder / f"repodata_{name}{f'.{packing}' if packing else ''}").write_bytes(packed)
        for mark, value in (
            ("sum", hashlib.sha256(packed).hexdigest()),
            ("size", str(len(packed))),
            ("opensum", hashlib.sha256(plain).hexdigest()),
            ("opensize", str(len(plain))),
        ):
            index = index.replace(f"@{mark}-{name}@".encode(), value.encode())
    (folder / "repodata_repomd.xml").write_bytes(index)


class Adoption:
    """A repository read and taken over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: list[tuple[list[bytes], bytes]] = []

    def run(self, data: bytes) -> str:
        """The documents of a repository, one behind the other."""
        elsewhere, work = self._folder / "elsewhere", self._folder / "work"
        for folder in (elsewhere, work):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        _put(elsewhere, parts(data))
        try:
            found = foreign.read(Elsewhere(elsewhere), work)
        except (Corrupt, NotFound, Unavailable) as error:
            said_well(str(error), 0)
            return f"refused: {kind_of(str(error).partition(': ')[2])}"
        for note in found.notes:
            said_well(note)
        listed = list(found.listed())
        columns = self._entries(found, listed)
        if len(self._kept) < 60:
            self._kept.append((columns, data))
        return f"taken: {min(len(listed), 4)} packages, {len(found.carried)} documents, {len(found.notes)} notes"

    @staticmethod
    def _entries(found: foreign.repository.Foreign, listed: list[Listed]) -> list[bytes]:
        wanted: list[Package] = []

        def become(one: Listed) -> Package:
            href = place(one.href, one.nevra)
            if store_path(href) != href or href.startswith((".repod", "repodata", "generations")):
                raise Finding(f"taken over to {href!r}")
            list(spots(one))
            wanted.append(Package(nevra=one.nevra, pkgid=sha256("a" * 64), size=one.size, href=href))
            return wanted[-1]

        entries = list(found.entries(become))
        if [entry.package for entry in entries] != wanted or len(wanted) != len(listed):
            raise Finding("its packages are not taken over one by one")
        rows = [text.row(entry) for entry in entries]
        columns = [b"".join(row.texts[number] for row in rows) for number in range(4)]
        if rows and text.prove(columns) != wanted:
            raise Finding("its packages read back as others")
        return columns[:3]

    def settle(self) -> None:
        """Whether createrepo_c and libsolv read what was taken over."""
        kept, self._kept = self._kept, []
        for columns, data in kept:
            count = columns[0].count(b"<package ")
            paths = []
            for kind, column in zip(text.KINDS, columns, strict=True):
                path = self._folder / f"{kind}.xml"
                path.write_bytes(text.head(kind, count) + column + text.tail(kind))
                paths.append(str(path))
            read = len(list(createrepo_c.PackageIterator(*paths, warningcb=partial(_warned, data))))
            if read != count:
                raise Finding(f"createrepo_c reads {read} packages of {count}", data)
            with Path(paths[0]).open("rb") as file:
                done = subprocess.run([tool("rpmmd2solv")], stdin=file, capture_output=True, check=False, timeout=60)
            if done.returncode or done.stderr:
                raise Finding(f"rpmmd2solv: {done.returncode} {done.stderr[:200]!r}", data)


def _warned(data: bytes, _kind: int, message: str) -> bool:
    raise Finding(f"createrepo_c warns of what was taken over: {message}", data)


def mutated(draw: Random, data: bytes) -> bytes:
    """One text of it is another one; the index goes on to tell the truth where it was not the one."""
    found = parts(data)
    if not found:
        return mutate.raw(draw, data)
    name = draw.choice(list(found))
    how = mutate.text if name == "modules" else mutate.xml
    found[name] = how(draw, found[name])
    if name in text.KINDS and draw.random() < 0.5:  # the same change in all, so that they fit together
        of, to = draw.choice(
            ((b"noarch", mutate.odd(draw)), (b"hello", mutate.odd(draw)), (b'epoch="0"', b'epoch="9"'))
        )
        found |= {kind: found[kind].replace(of, to) for kind in text.KINDS if kind in found}
    return joined(found)


def _index(packing: str) -> bytes:
    rows = [
        f'<data type="{name}"><checksum type="sha256">@sum-{name}@</checksum>'
        f'<open-checksum type="sha256">@opensum-{name}@</open-checksum>'
        f'<location href="repodata/{name}{packing}"/><timestamp>1700000000</timestamp>'
        f"<size>@size-{name}@</size><open-size>@opensize-{name}@</open-size></data>"
        for name in _RECORDS
    ]
    namespace = 'xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm"'
    return f'<?xml version="1.0"?>\n<repomd {namespace}><revision>1</revision>{"".join(rows)}</repomd>'.encode()


def _seeds() -> Iterator[bytes]:
    entries = [made(nevra).entry for nevra in _NEVRAS]
    texts = [
        b"".join(column) for column in zip(*((one.primary, one.filelists, one.other) for one in entries), strict=True)
    ]
    documents = {
        kind: text.head(kind, len(entries)) + column + text.tail(kind)
        for kind, column in zip(text.KINDS, texts, strict=True)
    }
    carried = {
        "group": forms.COMPS.encode(),
        "modules": forms.MODULES.encode(),
        "updateinfo": re.sub(rb"\s+", b" ", _updateinfo()),
    }
    for packing in ("", ".gz", ".zst", ".xz"):
        yield joined({"repomd": _index(packing)} | documents | carried)


def _updateinfo() -> bytes:
    from repod.repodata import advisory  # noqa: PLC0415 - here alone

    return advisory.read("x.toml", papers.advisory("NEW-1", *_NEVRAS))


@contextmanager
def _open(folder: Path) -> Iterator[Opened]:
    adoption = Adoption(folder)
    yield Opened(run=adoption.run, settle=adoption.settle)


ADOPTION = Target(
    name="adoption",
    what="repomd, primary, filelists, other and carried documents of foreign repositories",
    seeds=_seeds,
    mutate=mutated,
    open=_open,
    seconds=10,
)
