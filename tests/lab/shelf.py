"""A repository directory with documents beside its packages, made by createrepo_c and modifyrepo_c."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import createrepo_c

from repod.package import Nevra, Package, sha256, store_path
from tests.lab.clients import createrepo_c_list
from tests.lab.rpms import run_builder, tool


class Shelf:
    """The directory, and its content as ``find`` and ``named`` show it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._packages: dict[Nevra, Package] = {}

    def publish(self, **documents: bytes | None) -> None:
        """Make metadata of the RPMs there are, with ``documents`` by their record in repomd."""
        shutil.rmtree(self.folder / "repodata", ignore_errors=True)
        run_builder([tool("createrepo_c"), "--general-compress-type=gz", str(self.folder)], self.folder)
        for record, data in documents.items():
            if data is not None:
                path = self.folder.parent / f"{record}-{hashlib.sha256(data).hexdigest()[:8]}"
                path.write_bytes(data)
                words = [f"--mdtype={record}", "--compress-type=gz", str(path), str(self.folder / "repodata")]
                run_builder([tool("modifyrepo_c"), *words], self.folder)
        self.read()

    def read(self) -> None:
        """Take the RPMs there are as the content."""
        if not (self.folder / "repodata").exists():
            run_builder([tool("createrepo_c"), str(self.folder)], self.folder)
        self._packages = {package.nevra: package for package in map(_package, createrepo_c_list(self.folder))}

    def find(self, nevras: Iterable[Nevra]) -> Mapping[Nevra, Package]:
        """See ``repod.doors.Find``."""
        return {nevra: self._packages[nevra] for nevra in nevras if nevra in self._packages}

    def named(self, name: str) -> list[Package]:
        """See ``repod.repodata.updateinfo.Named``."""
        return [package for nevra, package in self._packages.items() if nevra.name == name]

    def repo(self) -> str:
        """The ``.repo`` file of the directory."""
        return f"[shelf]\nname=shelf\nbaseurl=file://{self.folder}\ngpgcheck=0\nmetadata_expire=0\n"


def _package(found: createrepo_c.Package) -> Package:
    nevra = Nevra(
        name=found.name, epoch=int(found.epoch), version=found.version, release=found.release, arch=found.arch
    )
    return Package(
        nevra=nevra, pkgid=sha256(found.pkgId), size=found.size_package, href=store_path(found.location_href)
    )
