"""createrepo_c as oracle: the same files, the same fields."""

import tempfile
from pathlib import Path
from typing import Any

import createrepo_c

from tests.lab.clients import createrepo_c_list
from tests.lab.rpms import run_builder, tool

# Where a file lies and when it was stored are the repository's own business.
_OWN = {"location_href", "location_base", "time_file"}
FIELDS = sorted(
    name
    for name in dir(createrepo_c.Package)
    if not name.startswith("_") and not callable(getattr(createrepo_c.Package, name)) and name not in _OWN
)


def fields(package: createrepo_c.Package) -> dict[str, Any]:
    """Every field of a package as createrepo_c parsed it."""
    return {name: getattr(package, name) for name in FIELDS}


def createrepo(rpms: Path, repo: Path, *options: str) -> None:
    """Run the createrepo_c of the virtual environment over ``rpms``; the documents go below ``repo``."""
    # Debian's program of the same name is too old for zstd and newer fields.
    run_builder([tool("createrepo_c"), "--quiet", "--outputdir", str(repo), *options, str(rpms)], repo)


def compare_with_createrepo(rpms: Path, repo: Path, changelogs: int = 10) -> list[str]:
    """What a repository says of the files in ``rpms`` against what createrepo_c says, field by field.

    One line per difference; ``changelogs`` is the limit per package that both use.
    """
    with tempfile.TemporaryDirectory(prefix="oracle-") as work:
        createrepo(rpms, Path(work), "--changelog-limit", str(changelogs))
        wanted = {package.pkgId: package for package in createrepo_c_list(Path(work))}
    found = {package.pkgId: package for package in createrepo_c_list(repo)}
    faults = [f"{wanted[pkgid].nevra()} is not listed" for pkgid in wanted.keys() - found.keys()]
    faults += [f"{found[pkgid].nevra()} is listed and not there" for pkgid in found.keys() - wanted.keys()]
    for pkgid in wanted.keys() & found.keys():
        expected, seen = fields(wanted[pkgid]), fields(found[pkgid])
        faults += [
            f"{wanted[pkgid].nevra()}: {name} is {seen[name]!r}, createrepo_c says {expected[name]!r}"
            for name in FIELDS
            if seen[name] != expected[name]
        ]
    return sorted(faults)
