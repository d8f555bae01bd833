"""What is told of one package is what rpm says of its file, whoever built it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from repod.errors import Corrupt, NotFound
from repod.office import Details
from repod.package import Nevra
from tests.cases.place import Place
from tests.lab import rpms
from tests.lab.clients import run
from tests.lab.keys import Key
from tests.lab.rpmbuild import rpmbuild

_ENTRIES = 12


@pytest.fixture
def place(tmp_path: Path, key: Key) -> Place:
    return Place(tmp_path / "place", key)


def told(place: Place, *packages: Path) -> Sequence[Details]:
    """The details of each of the packages, published and listed."""
    nevras = [_query(package, "%{NAME}-%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}.%{ARCH}") for package in packages]
    place.publish(*packages)
    place.loop.follow()
    assert place.log.errors == []
    return [place.catalog.details(Nevra.parse(nevra)) for nevra in nevras]


def _query(package: Path, form: str) -> str:
    done = run(["rpm", "--dbpath", package.parent / "rpmdb", "-qp", "--qf", form, package], package.parent)
    assert done.rc == 0, done.out
    # Debian's rpm has its doubts about being used at all, and says so first.
    return done.out.rpartition("\n\n")[2].strip()


def _lines(package: Path, *words: str) -> Sequence[str]:
    done = run(["rpm", "--dbpath", package.parent / "rpmdb", "-qp", *words, package], package.parent)
    assert done.rc == 0, done.out
    return [line.strip() for line in done.out.splitlines() if line.strip()]


def test_a_package_with_everything_is_told_as_rpm_tells_it(place: Place, tmp_path: Path) -> None:
    (package,) = rpmbuild(
        tmp_path,
        name="full",
        epoch=2,
        summary='A <b>"quoted"</b> & é package',
        requires=["bash >= 4", "(python3 or python2)", "foo(bar)(64bit)", "x = 3:1-2"],
        provides=["virt = 1.2", "service"],
        files={"/etc/full/a.conf": b"12345", "/usr/bin/full": b"#!/bin/sh\n"},
        scriptlets={"post": "echo hi"},
        changelog=rpms.changelog(_ENTRIES),
        preamble="Obsoletes: old < 2\nConflicts: bad <= 1:1\nRecommends: rec > 5\nSuggests: sug\nGroup: Apps\n"
        "URL: http://x.example/\nVendor: Acme\nPackager: me <m@x.example>\n",
    )
    provides, requires = _lines(package, "--provides"), _lines(package, "--requires")
    size = int(_query(package, "%{SIZE}"))
    with place:
        (details,) = told(place, package)
    assert (details.summary, details.description) == ('A <b>"quoted"</b> & é package', "Built for a test.")
    assert (details.license, details.url, details.vendor) == ("MIT", "http://x.example/", "Acme")
    assert (details.packager, details.group) == ("me <m@x.example>", "Apps")
    assert (details.buildhost, details.source) == ("lab.example.com", "full-1.0-1.src.rpm")
    assert (details.built, details.installed_size) == ("2023-11-14T22:13:20Z", size)
    assert sorted(details.provides) == sorted(provides)
    # What rpm itself provides is of no use to who looks for packages: metadata leave it out.
    assert sorted(details.requires) == sorted({line for line in requires if not line.startswith("rpmlib(")})
    assert list(details.conflicts) == ["bad <= 1:1"]
    assert list(details.obsoletes) == ["old < 2"]
    assert list(details.recommends) == ["rec > 5"]
    assert list(details.suggests) == ["sug"]
    assert list(details.files) == ["/etc/full/a.conf", "/usr/bin/full"]
    assert details.file_count == 2
    said = [(one["author"], one["date"], one["text"]) for one in details.changelog]
    assert len(said) == 10, "as many entries as [[repository]] changelogs says"
    assert said[0] == ("Lab Builder <lab@example.com>", said[0][1], f"- change number {_ENTRIES}")
    assert [date for _, date, _ in said] == sorted((date for _, date, _ in said), reverse=True)


def test_a_package_by_nfpm_is_told_with_its_directories_marked(place: Place, tmp_path: Path) -> None:
    package = rpms.nfpm(
        tmp_path,
        "tool",
        contents={"/usr/bin/tool": b"x", "/usr/share/tool/doc": b"y"},
        depends=["libc >= 2.34", "bash"],
        vendor="Acme",
        homepage="https://tool.example/",
        scriptlets={"postinstall": "true"},
    )
    files = _lines(package, "--list")
    with place:
        (details,) = told(place, package)
    assert [file.rstrip("/") for file in details.files] == files
    assert "/usr/bin/tool" in details.files
    assert {"libc >= 2.34", "bash"} <= set(details.requires)
    assert (details.url, details.vendor) == ("https://tool.example/", "Acme")


def test_a_directory_of_a_package_ends_with_a_slash(place: Place, tmp_path: Path) -> None:
    folder = {"src": "", "dst": "/var/lib/tool", "type": "dir"}
    package = rpms.nfpm(tmp_path, "tool", contents={}, overrides={"rpm": {"contents": [folder]}})
    with place:
        (details,) = told(place, package)
    assert list(details.files) == ["/var/lib/tool/"]


def test_of_very_many_files_the_first_are_told_and_all_are_counted(place: Place, tmp_path: Path) -> None:
    many = {f"/usr/share/many/{number:05}": b"" for number in range(10_020)}
    with place:
        (details,) = told(place, rpms.quick(tmp_path, "many", files=many))
    assert details.file_count == 10_020
    assert list(details.files) == sorted(many)[:10_000]


def test_a_package_that_is_not_listed_is_not_found_and_one_whose_file_is_damaged_says_so(
    place: Place, tmp_path: Path
) -> None:
    with place:
        told(place, rpms.quick(tmp_path))
        with pytest.raises(NotFound, match=r"no package hello-2-1\.noarch is listed"):
            place.catalog.details(Nevra.parse("hello-2-1.noarch"))
        file = place.store / "Packages/h/hello-1.0-1.noarch.rpm"
        file.write_bytes(b"\xed\xab\xee\xdb" + bytes(8000))
        with pytest.raises(Corrupt, match=r"Packages/h/hello-1\.0-1\.noarch\.rpm"):
            place.catalog.details(Nevra.parse("hello-1.0-1.noarch"))
        file.unlink()
        with pytest.raises(Corrupt, match=r"hello-1\.0-1\.noarch is listed, and its file is missing"):
            place.catalog.details(Nevra.parse("hello-1.0-1.noarch"))
