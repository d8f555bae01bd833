"""Groups, module streams and advisories that strangers upload, packed or not."""

import bz2
import gzip
import lzma
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import createrepo_c
import zstandard

from repod.doors import Edit, Unreadable
from repod.package import REASONS, Nevra, Package
from repod.repodata import advisory, bulletins, carried, comps, modules, updateinfo
from repod.repodata.strictyaml import split
from tests.fuzz import mutate
from tests.fuzz.core import Finding, Opened, Target, kind_of, said_well
from tests.lab import foreign, forms, papers
from tests.lab.entries import made
from tests.lab.rpms import tool

_BUILDS = {
    nevra: made(nevra).package
    for nevra in map(Nevra.parse, ("hello-1.0-1.noarch", "pkg00002-1.0-1.noarch", "a-1-1.x86_64"))
}
_PACKERS = {
    "gz": lambda data: gzip.compress(data, 1, mtime=0),
    "bz2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
}
_ADVISORY = b"""id = "FIX-1"
type = "security"
title = "a fix"
issued = 2026-01-31
packages = ["hello-1.0-1.noarch", {nevra = "a-2:1-1.x86_64", reboot_suggested = true}]
severity = "important"
[[references]]
href = "https://example.com/CVE-2026-1"
type = "cve"
"""
_JSON = b"""{"id": "FIX-2", "type": "bugfix", "title": "t", "issued": "2026-01-31T12:00:00Z",
"packages": ["hello-1.0-1.noarch"]}"""
_SOLVERS = {"group": "comps2solv", "updateinfo": "updateinfoxml2solv"}
_PRESENT: Mapping[str, bytes] = {
    comps.TYPE: papers.comps("hello"),
    modules.TYPE: foreign.MODULES.encode(),
    updateinfo.TYPE: advisory.read("x.toml", papers.advisory("OLD-1", "hello-1.0-1.noarch")),
}


def _find(nevras: Sequence[Nevra]) -> Mapping[Nevra, Package]:
    return {nevra: _BUILDS[nevra] for nevra in nevras if nevra in _BUILDS}


def _named(name: str) -> Sequence[Package]:
    return [package for nevra, package in _BUILDS.items() if nevra.name == name]


class Documents:
    """What a worker does with an uploaded document, and what then is made of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: list[tuple[str, bytes, bytes]] = []

    def run(self, data: bytes) -> str:
        """The first line is the name, the rest the file."""
        name, _, rest = data.partition(b"\n")
        plain = name.decode(errors="replace")
        try:
            edit = carried.read(plain, rest)
        except Unreadable as error:
            for fault in error.faults:
                if fault.code not in REASONS:
                    raise Finding(f"an undocumented reason: {fault}") from error
                said_well(fault.text)
            return f"refused: {plain[-12:]}: {kind_of(error.faults[0].text.partition(': ')[2])}"
        except ValueError as error:
            if str(error).startswith("not the name of a document"):
                return "no document"
            raise
        return f"taken: {edit.type}: {self._applied(edit, data)}"

    def _applied(self, edit: Edit, data: bytes) -> str:
        alone = edit.apply(None, _find)
        beside = edit.apply(_PRESENT[edit.type], _find)
        if alone is None or beside is None:
            raise Finding("an upload that leaves no document")
        for text in (alone, beside):
            if edit.apply(text, _find) != text:
                raise Finding("the same upload again changes the document")
            self._followed(edit.type, text)
        self._kept_apart(edit.type, alone, beside)
        if len(self._taken) < 200 and len(alone) < 1 << 20:
            self._taken.append((edit.type, beside, data))
        return _many(edit.type, alone)

    @staticmethod
    def _kept_apart(kind: str, alone: bytes, beside: bytes) -> None:
        """What was there before, and what is new, stand in the document both, each as it was."""
        if kind == updateinfo.TYPE:
            old, new, both = (updateinfo.texts(text) for text in (_PRESENT[kind], alone, beside))
        elif kind == modules.TYPE:
            old, new, both = (_modules(text) for text in (_PRESENT[kind], alone, beside))
        else:
            return
        if both != {**old, **new}:
            raise Finding(f"merged: expected {sorted({**old, **new})[:5]}, found {sorted(both)[:5]}")

    @staticmethod
    def _followed(kind: str, text: bytes) -> None:
        """A publish that adds and removes: the document stays one, or goes."""
        carried.names(kind, text)
        packages = list(_BUILDS.values())
        for added, removed in ((packages, []), ([], packages[:1]), (packages[1:], packages)):
            after = carried.follow(kind, text, added=added, removed=removed, find=_find, named=_named)
            if after is not None:
                _CHECKS[kind](after)

    def settle(self) -> None:
        """Whether libsolv and createrepo_c read what was taken."""
        taken, self._taken = self._taken, []
        for kind, text, data in taken:
            with tempfile.TemporaryDirectory(dir=self._folder) as work:
                path = Path(work) / "document.xml"
                path.write_bytes(text)
                if kind in _SOLVERS:
                    words = [tool(_SOLVERS[kind])]
                    done = subprocess.run(words, input=text, capture_output=True, check=False, timeout=60)
                    if done.returncode or done.stderr:
                        raise Finding(
                            f"{words[0]} says of what was let in: {done.returncode} {done.stderr[:200]!r}", data
                        )
                if kind == updateinfo.TYPE:
                    found = [update.id for update in createrepo_c.UpdateInfo(str(path)).updates]
                    if found != bulletins.ids_of(text):
                        raise Finding(f"createrepo_c reads other advisories: {found[:5]}", data)


_CHECKS = {
    comps.TYPE: comps.check,
    modules.TYPE: lambda text: list(modules._documents(text)),
    updateinfo.TYPE: bulletins.check,
}


def _modules(text: bytes) -> dict[Sequence[str], str]:
    return {document.key: document.part.text for document in modules._documents(text)}


def _many(kind: str, text: bytes) -> str:
    if kind == modules.TYPE:
        return str(min(len(split(text, "modules.yaml")), 5))
    return str(min(len(bulletins.ids_of(text)), 5)) if kind == updateinfo.TYPE else str(text.count(b"<group>"))


def mutated(draw: Random, data: bytes) -> bytes:
    """A mutant by the kind of the document; what is packed is a mutant within its packing, or of it."""
    name, _, rest = data.partition(b"\n")
    _, _, ending = name.decode(errors="replace").rpartition(".")
    if draw.random() < 0.02:
        return mutate.token(draw, name) + b"\n" + rest
    if ending in _PACKERS:
        return name + b"\n" + mutate.raw(draw, rest)
    how = {"xml": mutate.xml, "yaml": mutate.text, "toml": mutate.toml, "json": mutate.as_json}.get(ending, mutate.raw)
    made = how(draw, rest)
    if draw.random() < 0.05:
        packing = draw.choice(list(_PACKERS))
        return name + b"." + packing.encode() + b"\n" + _PACKERS[packing](made)
    return name + b"\n" + made


def _seeds() -> Iterator[bytes]:
    advisories = advisory.read("x.toml", papers.advisory("NEW-1", "hello-1.0-1.noarch", "b-1-1.noarch"))
    for name, text in (
        ("comps.xml", forms.COMPS.encode()),
        ("comps.xml", foreign.COMPS.encode()),
        ("modules.yaml", forms.MODULES.encode()),
        ("modules.yaml", foreign.MODULES.encode()),
        ("updateinfo.xml", advisories),
        ("x.toml", _ADVISORY),
        ("x.json", _JSON),
    ):
        yield name.encode() + b"\n" + text
    for packing, pack in _PACKERS.items():
        yield f"updateinfo.xml.{packing}\n".encode() + pack(advisories)
        # A bomb: bounded before it is there.
        yield f"comps.xml.{packing}\n".encode() + pack(bytes(300 << 20) if packing == "zst" else bytes(20 << 20))


@contextmanager
def _open(folder: Path) -> Iterator[Opened]:
    documents = Documents(folder)
    yield Opened(run=documents.run, settle=documents.settle)


DOCUMENTS = Target(
    name="documents",
    what="comps, modules, updateinfo, advisories: refused in a line, or carried so that others read them",
    seeds=_seeds,
    mutate=mutated,
    open=_open,
    seconds=10,
    memory=1 << 30,
)
