"""One repository as one client sees it, and what a reader says of it, in a form that can be compared."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import createrepo_c

from tests.lab.listing import REPO, Listed, Relation
from tests.lab.place import parse

Facts = dict[str, Any]
"""What a reader knows of a package: some of the keys that ``stated`` gives."""

Listing = dict[str, Facts]
"""Facts by NEVRA."""

_SENSES = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A live or frozen view of a repository.

    ``root`` is the repository's directory, ``folder`` where the view lies in it (empty: live).
    ``way`` is the key of a ``.repo`` file by which clients find it, ``address`` its value;
    ``key`` what the index is signed with.
    """

    root: Path
    folder: str = ""
    way: str = "baseurl"
    address: str
    key: bytes | None = None

    @property
    def path(self) -> Path:
        """The directory that holds the view's ``repodata``."""
        return self.root / self.folder

    def href(self, raw: str) -> str:
        """Where a location href of the view leads, seen from the repository's root."""
        return posixpath.normpath(posixpath.join(self.folder, raw))

    def repo_file(self, folder: Path) -> str:
        """A ``.repo`` file named ``lab``; the key is put into ``folder``."""
        # dnf hides packages of other module streams; here it is to show all that it read.
        lines = ["[lab]", "name=lab", "enabled=1", "gpgcheck=0", "module_hotfixes=1", f"{self.way}={self.address}"]
        if self.key is not None:
            folder.mkdir(parents=True, exist_ok=True)
            key = folder / "RPM-GPG-KEY-lab"
            key.write_bytes(self.key)
            lines += ["repo_gpgcheck=1", f"gpgkey=file://{key}"]
        return "\n".join(lines) + "\n"


def all_views(root: Path, url: str, number: int, key: bytes) -> dict[str, View]:
    """Every way to a repository at ``url`` (without a slash at its end); ``number``: its newest generation."""
    frozen = f"generations/{number}"
    return {
        "live": View(root=root, address=f"{url}/", key=key),
        "frozen": View(root=root, folder=frozen, address=f"{url}/{frozen}/", key=key),
        "mirrorlist": View(root=root, folder=frozen, way="mirrorlist", address=f"{url}/mirrorlist", key=key),
        "metalink": View(root=root, folder=frozen, way="metalink", address=f"{url}/metalink.xml", key=key),
    }


class Record(NamedTuple):
    """What repomd.xml says of one document: checksum, size in bytes, place."""

    checksum: str
    size: int
    href: str


def records(folder: Path) -> dict[str, Record]:
    """The records of ``folder/repodata/repomd.xml`` by their type."""
    root = parse((folder / "repodata/repomd.xml").read_bytes())
    return {
        row.get("type", ""): Record(
            row.findtext(f"{REPO}checksum") or "",
            int(row.findtext(f"{REPO}size") or -1),
            next(place.get("href", "") for place in row.iterfind(f"{REPO}location")),
        )
        for row in root.iterfind(f"{REPO}data")
    }


def nevra(name: str, epoch: str | int | None, version: str, release: str, arch: str) -> str:
    """A NEVRA; an epoch of 0 is left out."""
    return f"{name}-{f'{epoch}:' if epoch not in {None, '', '0', 0} else ''}{version}-{release}.{arch}"


def relations(rows: Iterable[Relation]) -> list[str]:
    """Relations as rpm writes them, sorted, each once."""
    return sorted({_relation(*row[:5]) for row in rows})


def _relation(name: str, flags: str, epoch: str, version: str, release: str) -> str:
    if not flags:
        return name
    epoch = f"{epoch}:" if epoch not in {"", "0"} else ""
    return f"{name} {_SENSES[flags]} {epoch}{version}{f'-{release}' if release else ''}"


def stated(view: View, packages: Mapping[str, Listed]) -> Listing:
    """What the documents of a view say, as the checker read them."""
    return {
        row.nevra: {
            "pkgid": row.pkgid,
            "href": view.href(row.href),
            "size": row.size_package,
            "installed": row.size_installed,
            "built": row.time_build,
            "source": row.texts["sourcerpm"],
            **{key: row.texts[key] for key in ("summary", "description", "license", "url", "vendor")},
            **{kind: relations(row.relations[kind]) for kind in ("provides", "requires", "conflicts", "obsoletes")},
            "files": sorted(path for _, path in row.files),
            "changelogs": sorted(row.changelogs),
            "changes": sorted((author, time // 86400, text) for author, time, text in row.changelogs),
        }
        for row in packages.values()
    }


def parsed(view: View, packages: Iterable[createrepo_c.Package]) -> Listing:
    """The same, as createrepo_c read it."""
    return dict(_parsed(view, packages))


def _parsed(view: View, packages: Iterable[createrepo_c.Package]) -> Iterator[tuple[str, Facts]]:
    for row in packages:
        yield (
            nevra(row.name, row.epoch, row.version, row.release, row.arch),
            {
                "pkgid": row.pkgId,
                "href": view.href(row.location_href),
                "size": row.size_package,
                "installed": row.size_installed,
                "built": row.time_build,
                "source": row.rpm_sourcerpm or "",
                "summary": row.summary or "",
                "description": row.description or "",
                "license": row.rpm_license or "",
                "url": row.url or "",
                "vendor": row.rpm_vendor or "",
                **{
                    kind: relations(tuple(part or "" for part in rel[:5]) for rel in getattr(row, kind))
                    for kind in ("provides", "requires", "conflicts", "obsoletes")
                },
                "files": sorted(
                    re.sub("/+", "/", f"{folder}/{leaf}") for _, folder, leaf in (f[:3] for f in row.files)
                ),
                "changelogs": sorted((author, time, text) for author, time, text in row.changelogs),
            },
        )


def differences(wanted: Listing, found: Listing) -> list[str]:
    """Where ``found`` is not what is ``wanted``: packages, and those facts that ``found`` has."""
    faults = [f"{name} is not listed" for name in sorted(wanted.keys() - found.keys())]
    faults += [f"{name} is listed and not there" for name in sorted(found.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & found.keys()):
        faults += [
            f"{name}: {key} is {value!r}, expected {wanted[name].get(key)!r}"
            for key, value in found[name].items()
            if value != wanted[name].get(key)
        ]
    return faults
