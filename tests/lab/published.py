"""A repository as hosts read it: signed packages, a signed index, plain HTTP, by createrepo_c alone."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rpm_rs

from repod.client.fleet import Wanted
from repod.package import Nevra
from tests.lab import forms, rpms
from tests.lab.httpd import serving
from tests.lab.keys import Key


@dataclass(kw_only=True)
class Published:
    """``folder`` is served at ``url``. ``id``: its id on hosts."""

    folder: Path
    url: str
    key: Key
    id: str = "lab-prod"

    def add(self, *packages: Path, sign: bool = True) -> None:
        """List packages, beside what is there."""
        for package in packages:
            made = self.folder / package.name
            shutil.copy(package, made)
            if sign:
                rpm_rs.Package.resign_in_place(str(made), rpm_rs.Signer(self.key.secret))
        self.index()

    def quick(self, name: str = "hello", version: str = "1.0", release: str = "1", **more: object) -> Wanted:
        """List a package made here; the record of it."""
        work = self.folder.parent / "built"
        work.mkdir(exist_ok=True)
        made = rpms.quick(work, name, version, release, **more)  # type: ignore[arg-type]
        self.add(made)
        return recorded(self.folder / made.name)

    def drop(self, *builds: Wanted) -> None:
        """List them no longer."""
        for build in builds:
            (self.folder / build.nevra.filename).unlink()
        self.index()

    def index(self) -> None:
        """Write the documents anew, and sign the index."""
        words = [rpms.tool("createrepo_c"), "--quiet", "--general-compress-type=gz", str(self.folder)]
        subprocess.run(words, check=True, capture_output=True)
        forms.sign(self.folder / "repodata/repomd.xml", self.key)
        (self.folder / "key.asc").write_bytes(self.key.public)
        (self.folder / "repodata/repomd.xml.key").write_bytes(self.key.public)

    def repo(self, *lines: str, key: str = "") -> str:
        """A ``.repo`` file. ``key``: where its key is, empty: nowhere."""
        keys = [f"gpgkey={key}"] if key else []
        rest = ["enabled=1", "gpgcheck=1", "repo_gpgcheck=1", *keys, *lines]
        return "\n".join([f"[{self.id}]", "name=Lab", f"baseurl={self.url}/", *rest, ""])


def recorded(package: Path) -> Wanted:
    """What the record of a package has: read from the file itself by rpm."""
    form = "%{NAME}|%{EPOCHNUM}|%{VERSION}|%{RELEASE}|%{ARCH}|%{SHA256HEADER}"
    words: Sequence[str] = ["rpm", "-qp", "--nosignature", "--qf", form, str(package)]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    name, epoch, version, release, arch, digest = out.split("|")
    nevra = Nevra(name=name, epoch=int(epoch), version=version, release=release, arch=arch)
    return Wanted(nevra=nevra, header_sha256=digest)


@contextmanager
def published(folder: Path, key: Key, identity: str = "lab-prod") -> Iterator[Published]:
    """An empty repository."""
    place = folder / "www"
    place.mkdir(parents=True)
    with serving(place) as url:
        site = Published(folder=place, url=url, key=key, id=identity)
        site.index()
        yield site
