"""Every reader of rpm-md that we know, as a function from a view to a listing.

Each raises ``AssertionError`` where it complains, and gives the facts that it knows; so one
listing can be compared with another by ``views.differences``.
"""

import ast
import calendar
import gzip
import hashlib
import json
import posixpath
import re
import shutil
import sqlite3
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import createrepo_c
import yaml

from tests.lab import oracle, plugins
from tests.lab.clients import Dnf, Zypper, createrepo_c_list
from tests.lab.listing import Listed, read_filelists, read_other, read_primary
from tests.lab.place import decompress, parse
from tests.lab.rpms import run_builder, tool
from tests.lab.views import Facts, Listing, View, nevra, parsed, records, stated

Reader = Callable[[View, Path], Listing]
"""Reads a view; the path is an empty folder for what it needs."""

_TAGS = (
    *("name", "epoch", "version", "release", "arch", "location", "chksum", "downloadsize", "installsize"),
    *("sourcerpm", "summary", "description", "license", "url", "vendor"),
    *("provides", "requires", "conflicts", "obsoletes", "files"),
)
_LISTS = ("provides", "requires", "conflicts", "obsoletes", "files")


def dnf(view: View, work: Path) -> Listing:
    """``dnf repoquery``, asking for every tag, and once more for the changelogs."""
    with Dnf(work / "host", view.repo_file(work)) as host:
        form = "@@" + "\x1f".join(f"%{{{tag}}}" for tag in _TAGS) + "\x1e"
        out = _output(host, "--refresh", "repoquery", "--available", "--qf", form)
        rows = (dict(zip(_TAGS, row.split("\x1f"), strict=True)) for row in re.findall("@@(.*?)\x1e", out, re.DOTALL))
        found = dict(_of_dnf(view, row) for row in rows)
        for name, entries in _dnf_changes(_output(host, "repoquery", "--available", "--changelogs")).items():
            found[name]["changes"] = entries
    return found


def _output(host: Dnf | Zypper, *words: str) -> str:
    done = host.run(*words)
    assert done.rc == 0, f"{' '.join(words[:3])} ended with {done.rc}:\n{done.out}"
    return done.out


def _of_dnf(view: View, row: dict[str, str]) -> tuple[str, Facts]:
    kind, digest = ast.literal_eval(row["chksum"])
    assert kind == 2, f"dnf knows the checksum of {row['name']} as of kind {kind}, not as SHA-256"
    return nevra(*(row[tag] for tag in ("name", "epoch", "version", "release", "arch"))), {
        "pkgid": digest.hex(),
        "href": view.href(row["location"]),
        "size": int(row["downloadsize"]),
        "installed": int(row["installsize"]),
        "source": row["sourcerpm"].removeprefix("(none)"),
        **{key: row[key].removeprefix("(none)") for key in ("summary", "description", "license", "url", "vendor")},
        **{key: sorted({_plain(line) for line in row[key].splitlines()}) for key in _LISTS},
    }


def _plain(relation: str) -> str:
    """A relation as rpm writes it: libsolv shouts in those with conditions, and leaves their brackets out."""
    rich = re.sub(r" (AND|OR|IF|UNLESS|ELSE|WITH|WITHOUT) ", lambda word: word[0].lower(), relation)
    return relation if rich == relation or relation.startswith("(") else f"({rich})"


def _dnf_changes(out: str) -> dict[str, list[tuple[str, int, str]]]:
    """Changelogs by NEVRA, as far as dnf shows them: of the time of an entry, the day."""
    found = {}
    for block in re.split(r"^Changelog for ", out, flags=re.MULTILINE)[1:]:
        name, _, text = block.partition("\n")
        entries = re.findall(r"^\* (\w+ \w+ \d+ \d+) (.*)\n((?:(?!\* ).*\n)*)", text, re.MULTILINE)
        found[name] = sorted((author, _day(day), body.strip("\n")) for day, author, body in entries)
    return found


def _day(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%a %b %d %Y")) // 86400


def zypper(view: View, work: Path) -> Listing:
    """``zypper search`` for the names, and the cache that it made for the rest."""
    with Zypper(work / "host", view.repo_file(work)) as host:
        _output(host, "refresh", "--force")
        out = _output(host, "search", "--details", "--type", "package")
        rows = [[cell.strip() for cell in line.split("|")] for line in out.splitlines() if line.count("|") == 5]
        found = {f"{row[1]}-{row[3]}.{row[4]}" for row in rows if row[2] == "package"}
        listing = _solv(view, host.root / "var/cache/zypp/solv/lab/solv")
    assert found == listing.keys(), f"zypper shows {sorted(found)}, and keeps {sorted(listing)}"
    return listing


def libsolv(view: View, work: Path) -> Listing:
    """``repo2solv`` over the directory, which reads packed documents itself."""
    run_builder([tool("repo2solv"), "-F", "-o", str(work / "solv"), str(view.path)], work)
    return _solv(view, work / "solv", files=True)


def rpmmd2solv(view: View, work: Path) -> Listing:
    """``rpmmd2solv`` over the open text of primary."""
    with (work / "solv").open("wb") as file:
        words = [tool("rpmmd2solv")]
        done = subprocess.run(words, input=_unpacked(view, "primary"), stdout=file, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return _solv(view, work / "solv")


def _solv(view: View, file: Path, *, files: bool = False) -> Listing:
    """A cache of libsolv. Its primary names some files only: ``files`` says that it holds all."""
    out = run_builder([tool("dumpsolv"), "-a", "-j", str(file)], file.parent)
    (repository,) = json.loads(out[out.index("{") :])["repositories"]
    # Groups, patterns and patches are solvables too, without a file.
    packages = [row for row in repository["solvables"] if "solvable:checksum" in row]
    return dict(_of_solv(view, row, files=files) for row in packages)


def _of_solv(view: View, row: dict[str, Any], *, files: bool) -> tuple[str, Facts]:
    def get(key: str) -> Any:
        return row.get(f"solvable:{key}")

    epoch, _, rest = get("evr").rpartition(":")
    version, _, release = rest.rpartition("-")
    full = f"{get('name')}-{rest}.{get('arch')}.rpm"
    leaf = get("mediafile") or full
    facts = {
        "pkgid": get("checksum")["value"],
        "href": view.href(f"{get('mediadir')}/{leaf}" if get("mediadir") else leaf),
        "size": get("downloadsize"),
        "installed": get("installsize"),
        "built": get("buildtime"),
        **{key: get(key) or "" for key in ("summary", "description", "license", "url", "vendor")},
        **{
            key: sorted({_plain(word) for word in get(key) or () if word != "solvable:prereqmarker"})
            for key in ("provides", "requires", "conflicts", "obsoletes")
        },
        **({"files": sorted(get("filelist") or ())} if files else {}),
    }
    return nevra(get("name"), epoch, version, release, get("arch")), facts


def createrepo_c_reads(view: View, _: Path) -> Listing:
    """createrepo_c's ``PackageIterator``; a warning of it is an error."""
    return parsed(view, createrepo_c_list(view.path))


def createrepo_c_update(view: View, work: Path) -> Listing:
    """``createrepo_c --update`` over a tree whose packages are empty files, so that it must keep the entries.

    Documents that it does not make itself keep their texts; it packs them anew.
    """
    tree = work / "tree"
    shutil.copytree(view.path / "repodata", tree / "repodata")
    for row in createrepo_c_list(view.path):
        file = tree / view.href(row.location_href)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    # It knows old entries by their hrefs again.
    prefix = ("--location-prefix=../../",) if view.folder else ()
    oracle.createrepo(tree, tree, "--update", "--skip-stat", "--changelog-limit=10", *prefix)
    kept, carried = _carried(tree), _carried(view.path)
    assert kept == carried, f"of other documents it made {kept}, they were {carried}"
    return parsed(view, createrepo_c_list(tree))


def _carried(folder: Path) -> dict[str, bytes | list[str]]:
    """What the documents say that are not made from packages."""
    texts: dict[str, bytes | list[str]] = {}
    for kind, record in records(folder).items():
        if kind not in {"primary", "filelists", "other"}:
            text = decompress(record.href, (folder / record.href).read_bytes(), opaque=True)
            # createrepo_c writes YAML in its own way and order.
            texts[kind] = sorted(map(repr, yaml.safe_load_all(text))) if kind == "modules" else text
    return texts


def _assert_kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    kept = {kind: after.get(kind) for kind in before}
    assert kept == before, f"of other documents it made {kept}, they were {before}"


def mergerepo_c(view: View, work: Path) -> Listing:
    """``mergerepo_c`` of the view and of an empty repository."""
    (work / "empty").mkdir()
    oracle.createrepo(work / "empty", work / "empty")
    words = ["--all", "--omit-baseurl", f"--repo={view.path}", f"--repo={work / 'empty'}", "-o", str(work / "new")]
    run_builder([tool("mergerepo_c"), *words], work)
    return parsed(view, createrepo_c_list(work / "new"))


def modifyrepo_c(view: View, work: Path) -> Listing:
    """``modifyrepo_c`` adds a record; all others stay as they are."""
    before = records(view.path)
    shutil.copytree(view.path / "repodata", work / "repodata")
    (work / "note.txt").write_text("a note\n")
    run_builder([tool("modifyrepo_c"), "--mdtype=note", str(work / "note.txt"), str(work / "repodata")], work)
    after = records(work)
    assert after.keys() == before.keys() | {"note"}
    _assert_kept(before, after)
    return parsed(view, createrepo_c_list(work))


def sqliterepo_c(view: View, work: Path) -> Listing:
    """``sqliterepo_c``, the form that yum read, and its primary database."""
    shutil.copytree(view.path / "repodata", work / "repodata")
    run_builder([tool("sqliterepo_c"), "--compress-type=gz", str(work)], work)
    packed = work / records(work)["primary_db"].href
    (work / "primary.sqlite").write_bytes(gzip.decompress(packed.read_bytes()))
    with sqlite3.connect(work / "primary.sqlite") as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM packages").fetchall()
    database.close()
    return {
        nevra(row["name"], row["epoch"], row["version"], row["release"], row["arch"]): {
            "pkgid": row["pkgId"],
            "href": view.href(row["location_href"]),
            "size": row["size_package"],
            "installed": row["size_installed"],
            "built": row["time_build"],
            "source": row["rpm_sourcerpm"] or "",
            **{key: row[key] or "" for key in ("summary", "description", "url")},
            "license": row["rpm_license"] or "",
            "vendor": row["rpm_vendor"] or "",
        }
        for row in rows
    }


def reposync(view: View, work: Path) -> Listing:
    """``dnf reposync --norepopath``: the files it fetched, where it put them, and their checksums.

    It does not write outside its own folder, where a frozen view's packages are (newer ones
    do with ``--safe-write-path``): of such a view it says the URLs, and those are fetched here.
    """
    target = work / "mirror" / view.folder
    target.mkdir(parents=True)
    words = ["--refresh", "reposync", "--repoid=lab", "--norepopath", "-p", str(target)]
    with Dnf(work / "host", view.repo_file(work)) as host:
        done = host.run(*words, "--download-metadata", plugins=plugins.dnf_plugins())
        if view.folder:
            assert "is outside of download path" in done.out
            done = host.run(*words, "--urls", plugins=plugins.dnf_plugins())
            for url in re.findall(r"^http://\S+\.rpm$", done.out, re.MULTILINE):
                path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
                _fetch(url, work / "mirror" / posixpath.normpath(path).lstrip("/"))
    assert done.rc == 0, done.out
    assert (target / "repodata/repomd.xml").read_bytes() == (view.path / "repodata/repomd.xml").read_bytes()
    _assert_kept(records(view.path), records(target))
    return dict(_of_file(file, work / "mirror") for file in (work / "mirror").rglob("*.rpm"))


def _fetch(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(url, timeout=30) as answer:
        path.write_bytes(answer.read())


def _of_file(file: Path, root: Path) -> tuple[str, Facts]:
    package = createrepo_c.package_from_rpm(str(file))
    pkgid = hashlib.sha256(file.read_bytes()).hexdigest()
    facts = {"pkgid": pkgid, "size": file.stat().st_size, "href": str(file.relative_to(root))}
    return nevra(package.name, package.epoch, package.version, package.release, package.arch), facts


def unpackers(view: View, _: Path) -> Listing:
    """gunzip or zstd, by the name of the document, and lxml."""
    return _of_texts(view, [_unpacked(view, kind) for kind in ("primary", "filelists", "other")])


def python_gzip(view: View, _: Path) -> Listing:
    """Python's gzip module, and lxml; for gzip only."""
    paths = [view.path / records(view.path)[kind].href for kind in ("primary", "filelists", "other")]
    return _of_texts(view, [gzip.decompress(path.read_bytes()) for path in paths])


def _unpacked(view: View, kind: str) -> bytes:
    path = view.path / records(view.path)[kind].href
    words = {".gz": ["gunzip", "-c"], ".zst": ["zstd", "-dcq"], ".xml": ["cat"]}[path.suffix]
    done = subprocess.run([tool(words[0]), *words[1:], str(path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def _of_texts(view: View, texts: Sequence[bytes]) -> Listing:
    primary, filelists, other = (parse(text) for text in texts)
    packages: dict[str, Listed] = {}
    for rows in zip(primary, filelists, other, strict=True):
        listed, more, last = read_primary(rows[0]), read_filelists(rows[1]), read_other(rows[2])
        assert listed.nevra == more.nevra == last.nevra
        listed.files, listed.changelogs = more.files, last.changelogs
        packages[listed.nevra] = listed
    return stated(view, packages)


READERS: dict[str, Reader] = {
    "dnf repoquery": dnf,
    "dnf reposync --norepopath": reposync,
    "zypper": zypper,
    "libsolv repo2solv": libsolv,
    "libsolv rpmmd2solv": rpmmd2solv,
    "createrepo_c PackageIterator": createrepo_c_reads,
    "createrepo_c --update": createrepo_c_update,
    "mergerepo_c": mergerepo_c,
    "modifyrepo_c": modifyrepo_c,
    "sqliterepo_c": sqliterepo_c,
    "gunzip, zstd": unpackers,
}
"""Readers of every form; ``python_gzip`` reads gzip alone."""

BY_ADDRESS = ("dnf repoquery", "dnf reposync --norepopath", "zypper")
"""Those that a ``.repo`` file tells where the repository is; the others read a directory."""
