"""Cases about what the documents hold."""

import gzip
import hashlib
import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rpm_rs
from lxml import etree
from watchdog.events import FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

from repod.config import parse
from repod.doors import Change
from repod.errors import Misconfigured
from repod.package import Nevra
from repod.profiles import PROFILES
from tests.cases.place import MakePlace, Place
from tests.lab import entries, forms, headers, rpms
from tests.lab.checker import check
from tests.lab.clients import Dnf, Zypper
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.listing import REPO
from tests.lab.papers import papers
from tests.lab.wait import until

HELLO = "Packages/h/hello-1.0-1.noarch.rpm"


def test_c057_a_stored_package_replaced_by_hand_is_never_taken_for_the_published_one(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """Same size, same time, other bytes: ``verify`` names it and fails, and it cannot come in as a duplicate.

    The published version keeps its checksum; that it has one content for ever is what clients check.
    """
    repod = Repod(tmp_path, key_file)
    rpms.quick(repod.inbox(), files={"/a": b"A"})
    assert repod.once().rc == 0
    stored = repod.store() / HELLO
    before = stored.stat()
    other = rpms.quick(built, files={"/a": b"B"})
    rpm_rs.Package.resign_in_place(str(other), rpm_rs.Signer(key.secret))
    assert other.stat().st_size == before.st_size
    shutil.copyfile(other, stored)
    repod.unsound.add("test")
    os.utime(stored, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = repod.cli("verify", "test")
    assert found.rc == 1
    assert f"fault     {HELLO}" in found.out
    assert hashlib.sha256(other.read_bytes()).hexdigest() in found.out
    other.rename(repod.inbox() / "other.rpm")
    ended = repod.once()
    assert ended.rc == 4
    assert "verify" in ended.err
    assert (repod.inbox() / "other.rpm").exists()


def test_c059_groups_modules_and_advisories_outlive_every_publish(place: Place, built: Path) -> None:
    """One more package: the same three records with the same checksums, and their files are there."""
    place.publish(rpms.quick(built))
    place.deliver(papers("hello-1.0-1.noarch"))
    before = _records(place)
    assert {"group", "modules", "updateinfo"} < before.keys()
    place.publish(rpms.quick(built, "other"))
    place.restart().publish(rpms.quick(built, "third"))
    after = _records(place)
    assert before["primary"] != after["primary"]
    for kind in ("group", "modules", "updateinfo"):
        assert after[kind] == before[kind]
        href, checksum = after[kind]
        assert hashlib.sha256((place.store / href).read_bytes()).hexdigest() == checksum
    assert len(place.sound()) == 3


def _records(place: Place) -> dict[str, tuple[str, str]]:
    """The records of the live index: type to href and checksum."""
    return {
        str(record.get("type")): (
            str(next(record.iter(f"{REPO}location")).get("href")),
            str(record.findtext(f"{REPO}checksum")),
        )
        for record in etree.fromstring(place.live()).iter(f"{REPO}data")
    }


def test_a_package_of_a_module_that_no_document_names_is_told_of(tmp_path: Path, key_file: Path, built: Path) -> None:
    """dnf refuses all that it was to install with it. With the module's document in the inbox it is installed."""
    label = headers.text(5096, "greeting:1.0:20230101:c0ffee00")
    package = headers.edit(rpms.quick(built), built / "hello.rpm", label)
    (built / "greeting.modules.yaml").write_text(forms.MODULES)
    with Repod(tmp_path, key_file) as repod, Dnf(tmp_path / "dnf") as host:
        package.rename(repod.inbox() / package.name)
        until(lambda: repod.find_events("package of a module without the module"), 20, "the warning")
        said = "dnf installs nothing together with it"
        assert said in repod.cli("verify", "test").out
        host.subscribe(repod.repo_file())
        refused = host.install("hello")
        assert (refused.rc, host.installed()) == (1, [])
        assert "No available modular metadata for modular package" in refused.out
        (built / "greeting.modules.yaml").rename(repod.inbox() / "greeting.modules.yaml")
        until(lambda: repod.find_events("document published"), 20, "the document")
        assert said not in repod.cli("verify", "test").out
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out


def test_c061_clients_of_el7_get_documents_that_they_can_unpack(make_place: MakePlace, built: Path) -> None:
    """Primary, filelists and other are gzip, groups are for them plain, and zstd cannot be asked for."""
    place = make_place(profile="el7")
    place.publish(rpms.quick(built))
    found = {record.get("type"): record.find(f"{REPO}location") for record in etree.fromstring(place.live())}
    documents = {kind: str(place_of.get("href")) for kind, place_of in found.items() if place_of is not None}
    assert sorted(map(str, documents)) == ["filelists", "other", "primary"]
    for href in documents.values():
        assert href.endswith(".xml.gz")
        assert etree.fromstring(gzip.decompress((place.store / href).read_bytes())).get("packages") == "1"
    assert PROFILES["el7"].form("group", "gz") == ""
    text = '[signing]\nkey = "k"\n[[repository]]\nname = "a"\ninbox = "i"\nstore = "s"\nprofile = "el7"\n'
    with pytest.raises(Misconfigured, match="profile el7 cannot read zstd metadata: yum stops at it"):
        parse(text + 'compression = "zstd"', place.base)


def test_c062_without_md5_and_sha1_everything_works_and_sha1_cannot_be_asked_for(
    tmp_path: Path, key_file: Path, key: Key
) -> None:
    """As on a FIPS host: packages are published, all checksums are SHA-256; sha1 in the settings is refused."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import hashlib\n"
        "def refuse(*_, **__):\n"
        "    raise ValueError('disabled for FIPS')\n"
        "hashlib.md5 = hashlib.sha1 = refuse\n"
    )
    root = Path(__file__).parents[2]
    repod = Repod(tmp_path, key_file, env={"PYTHONPATH": f"{site}:{root}"})
    rpms.nfpm(repod.inbox())
    ended = repod.once()
    assert ended.rc == 0, ended.err
    report = check(repod.store(), key.public)
    assert (report.faults, len(report.packages)) == ([], 1)
    assert b'"md5"' not in (repod.store() / "repodata/repomd.xml").read_bytes()
    text = '[signing]\nkey = "k"\n[[repository]]\nname = "a"\ninbox = "i"\nstore = "s"\n'
    for key_word in ('checksum = "sha1"', 'acceptance.file_digest = "sha1"'):
        with pytest.raises(Misconfigured, match=r"not a setting of repod|'any' or 'sha256', found 'sha1'"):
            parse(text + key_word, tmp_path)


def test_c063_a_plus_in_a_name_is_served_to_dnf_and_zypper(tmp_path: Path, key_file: Path, built: Path) -> None:
    """The href is raw; dnf asks for %2B and zypper for +, and both get the file over plain HTTP."""
    with Repod(tmp_path, key_file) as repod:
        rpms.quick(built, "libx++").rename(repod.inbox() / "libx.rpm")
        until(lambda: repod.find_events("package published"), 60, "the package")
        (listed,) = check(repod.store()).packages.values()
        assert listed.href == "Packages/l/libx++-1.0-1.noarch.rpm"
        for host in (Dnf(tmp_path / "dnf", repod.repo_file()), Zypper(tmp_path / "zypper", repod.repo_file())):
            with host:
                done = host.install("libx++")
                assert (done.rc, host.installed()) == (0, ["libx++-1.0-1.noarch"]), done.out


def test_c065_an_epoch_is_in_the_version_and_not_in_the_name(tmp_path: Path, key_file: Path, built: Path) -> None:
    """Version 2:1.0 lies in ``ep-1.0-1``; without an epoch it is 0; dnf installs it."""
    with Repod(tmp_path, key_file) as repod:
        rpms.quick(built, "ep", arch="x86_64", epoch=2).rename(repod.inbox() / "a.rpm")
        rpms.quick(built, "plain").rename(repod.inbox() / "b.rpm")
        until(lambda: len(repod.find_events("package published")) == 2, 60, "both packages")
        packages = check(repod.store()).packages
        assert packages["ep-2:1.0-1.x86_64"].href == "Packages/e/ep-1.0-1.x86_64.rpm"
        assert packages["ep-2:1.0-1.x86_64"].epoch == "2"
        assert packages["plain-1.0-1.noarch"].epoch == "0"
        with Dnf(tmp_path / "dnf", repod.repo_file()) as host:
            done = host.run("--forcearch=x86_64", "--refresh", "install", "ep")
            assert (done.rc, host.installed()) == (0, ["ep-2:1.0-1.x86_64"]), done.out


def test_c066_the_newest_changelog_entries_are_kept(make_place: MakePlace, built: Path) -> None:
    """Of 5,000 entries the 10 newest are in ``other``, or as many as the repository says, for each package."""
    package = rpms.quick(built, changelog=rpms.changelog(5000))
    few = make_place(changelogs=3)
    few.copy(package)
    few.drain()
    place = make_place()
    place.publish(package, rpms.quick(built, "short", changelog=rpms.changelog(4)))
    for count, found in ((3, few.sound()), (10, place.sound())):
        texts = [text for _, _, text in found["hello-1.0-1.noarch"].changelogs]
        assert sorted(texts) == sorted(f"- change number {5000 - age}" for age in range(count))
    assert len(place.sound()["short-1.0-1.noarch"].changelogs) == 4


def test_c068_memory_does_not_grow_with_the_number_of_publishes(place: Place, built: Path) -> None:
    """2,000 packages, then 100 publishes of one more: after the tenth and after the last, less than 50 MB apart."""
    many = [made.entry for made in entries.many(2000)]
    place.wired.publisher.publish(Change(entries=many), actor="test", why="many")
    memory = []
    for number in range(100):
        place.publish(rpms.quick(built, "one-more", str(number)))
        memory.append(_resident())
    assert place.wired.publisher.open("test").packages == 2100
    assert memory[-1] - memory[9] < 50e6


def _resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("restarted", [False, True], ids=["warm", "restarted"])
def test_c070_lost_documents_are_made_anew_from_the_cache(restarted: bool, place: Place, built: Path) -> None:
    """Primary and filelists of the live repository are gone: the next publish is whole again, with one warning."""
    place.publish(*(rpms.quick(built, f"p{number}") for number in range(150)))
    for kind in ("primary", "filelists"):
        (found,) = [path for path in _documents(place, kind) if path.name.encode() in place.live()]
        found.unlink()
    if restarted:
        place.restart()
    place.publish(rpms.quick(built))
    assert len(place.sound()) == 151
    assert len(place.log.warned("repodata mended")) == 1


def test_c070_documents_that_are_gone_with_the_cache_are_made_anew_from_the_packages(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """Primary, filelists and the cache are gone: the next RPM is published, with one warning."""
    repod = Repod(tmp_path, key_file)
    rpms.quick(repod.inbox(), changelog=rpms.changelog(12))
    rpms.nfpm(repod.inbox())
    assert repod.once().rc == 0
    live = (repod.store() / "repodata/repomd.xml").read_text()
    gone = [path for path in repod.store().glob("repodata/*.xml.gz") if path.name in live and "other" not in path.name]
    gone += repod.store().glob("generations/2/repodata/*.xml.gz")
    before = {path: path.read_bytes() for path in gone}
    for path in gone:
        path.unlink()
    shutil.rmtree(repod.base / "state/cache")
    rpms.quick(built, "late").rename(repod.inbox() / "late.rpm")
    ended = repod.once()
    assert ended.rc == 0, ended.err
    warned = [line for line in ended.err.splitlines() if '"level": "warning"' in line]
    assert len(warned) == 1
    assert "made anew from the packages" in warned[0]
    report = check(repod.store(), key.public)
    assert report.faults == []
    assert sorted(report.packages) == ["hello-1.0-1.noarch", "late-1.0-1.noarch", "nfhello-1.2.3-1.noarch"]
    assert {path: path.read_bytes() for path in before} == before


def _documents(place: Place, kind: str) -> list[Path]:
    return list((place.store / "repodata").glob(f"*-{kind}.xml.gz"))


def test_c072_of_two_files_with_one_nevra_the_published_one_is_listed_and_both_are_named(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """A second file put into the store by hand: one entry, before and after a restart; the warning names both paths."""
    repod = Repod(tmp_path, key_file)
    rpms.quick(repod.inbox(), files={"/a": b"A"})
    assert repod.once().rc == 0
    second = "Packages/by-hand/hello.rpm"
    (repod.store() / "Packages/by-hand").mkdir()
    rpms.quick(built, files={"/a": b"B"}).rename(repod.store() / second)
    for _ in range(2):
        found = repod.cli("verify", "test", "--json")
        assert found.rc == 0
        (row,) = json.loads(found.out)
        assert (row["severity"], row["path"]) == ("note", second)
        assert f"a second file of hello-1.0-1.noarch, which is listed as {HELLO}" in row["what"]
        shutil.rmtree(repod.base / "state/cache")
        assert repod.once().rc == 0
        (listed,) = check(repod.store(), key.public).packages.values()
        assert listed.href == HELLO


def test_c074_a_run_without_a_change_changes_nothing(place: Place, built: Path) -> None:
    """Turns, restarts and publishes of what is there already: same names, same bytes, same generation."""
    package = rpms.quick(built)
    place.copy(package)
    place.drain()
    before = _tree(place.store)
    place.turn()
    place.restart()
    place.copy(package)
    place.drain()
    place.wired.publisher.publish(Change(removed=[Nevra.parse("never-1-1.noarch")]), actor="test", why="nothing")
    assert _tree(place.store) == before


def _tree(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_c075_order_and_times_of_arrival_do_not_matter(make_place: MakePlace, key: Key, built: Path) -> None:
    """The same 50 packages in two orders, with other times: the same documents, the file time in primary apart."""
    packages = [rpms.quick(built, f"p{number % 30}", str(number)) for number in range(50)]
    for package in packages:
        rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(key.secret))
    texts = []
    for order, age in ((packages, 0), (packages[::-1], 86400)):
        place = make_place()
        for chunk in (order[:20], order[20:]):
            for package in chunk:
                os.utime(package, (time.time() - age, time.time() - age))
                place.copy(package)
            place.drain()
        assert len(place.sound()) == 50
        documents = check(place.store).documents
        texts.append({kind: re.sub(rb'<time file="\d+"', b"", text) for kind, text in documents.items()})
    assert texts[0] == texts[1]


def test_c078_every_generation_is_true_of_its_files(make_place: MakePlace, built: Path) -> None:
    """50 publishes at random, adding, replacing and removing: an independent checker finds no fault after any."""
    place = make_place(duplicates="replace")
    draw = random.Random(78)
    there: set[str] = set()
    for number in range(50):
        if there and draw.random() < 0.3:
            gone = draw.sample(sorted(there), min(len(there), 2))
            there -= set(gone)
            nevras = [Nevra.parse(nevra) for nevra in gone]
            place.wired.publisher.publish(Change(removed=nevras), actor="test", why="removed")
        else:
            names = draw.sample("abcdefgh", draw.randint(1, 3))
            place.publish(*(rpms.quick(built, name, files={"/n": b"%d" % number}) for name in names))
            there |= {f"{name}-1.0-1.noarch" for name in names}
        report = check(place.store)
        assert (report.faults, set(report.packages)) == ([], there)
    assert set(place.sound()) == there


def test_c080_a_package_of_very_many_files_is_read_once(make_place: MakePlace, built: Path) -> None:
    """200,000 paths: taken in within 60 s and 1.5 GB; the next publish of another package does not open it."""
    files = {f"/usr/share/many/{number % 500}/file-{number}": b"" for number in range(200_000)}
    place = make_place({"workers": {"count": 1, "timeout": 60.0, "memory": 1_500_000_000}})
    place.publish(rpms.quick(built, "many", files=files, compression="none"))
    with _opens(place.store) as opened:
        place.publish(rpms.quick(built))
        (place.store / HELLO).read_bytes()
        until(lambda: Path(HELLO).name in opened, 60, "all that was opened before to be told")
    assert "many-1.0-1.noarch.rpm" not in opened
    assert len(place.sound()["many-1.0-1.noarch"].files) == 200_000


@contextmanager
def _opens(folder: Path) -> Iterator[list[str]]:
    """Names of the files below ``folder`` that anybody opens, as the kernel tells."""
    opened: list[str] = []

    class Note(FileSystemEventHandler):
        def dispatch(self, event: FileSystemEvent) -> None:
            opened.append(Path(os.fsdecode(event.src_path)).name)

    observer = InotifyObserver()
    observer.schedule(Note(), str(folder), recursive=True, event_filter=[FileOpenedEvent])
    observer.start()
    try:
        yield opened
    finally:
        observer.stop()
        observer.join()
