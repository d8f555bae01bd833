"""Cases about what HTTP servers, mirrors and clients make of a repository."""

import gzip
import hashlib
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
from lxml import etree

from repod.hostfiles import repo_file
from tests.cases.place import MakePlace, Place
from tests.lab import rpms
from tests.lab.checker import assert_sound, check
from tests.lab.clients import Dnf, Zypper
from tests.lab.daemon import Repod
from tests.lab.keys import Key, make_key
from tests.lab.listing import REPO
from tests.lab.wait import until

PACKAGE = "Packages/l/libx++-1.0-1.noarch.rpm"


@pytest.fixture
def repod(tmp_path: Path, key_file: Path, built: Path) -> Iterator[Repod]:
    """A daemon that serves one package."""
    with Repod(tmp_path, key_file) as daemon:
        rpms.quick(built, "libx++").rename(daemon.inbox() / "x.rpm")
        until(lambda: daemon.find_events("package published"), 60, "the package")
        yield daemon


def fetch(repod: Repod, path: str) -> tuple[Message, bytes]:
    """Headers and body, asked for as by a client that takes compressed answers."""
    url = f"{repod.repo_url()}/{urllib.parse.quote(path)}"
    asked = urllib.request.Request(url, headers={"Accept-Encoding": "gzip, deflate, zstd"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer.headers, answer.read()


def records(repomd: bytes) -> list[etree._Element]:
    """The records of an index."""
    return etree.fromstring(repomd).findall(f"{REPO}data")


def href(record: etree._Element) -> str:
    """Where a record's document lies."""
    location = record.find(f"{REPO}location")
    assert location is not None
    return location.get("href", "")


def test_c116_what_changes_is_asked_for_again_and_what_cannot_is_kept(repod: Repod) -> None:
    """Index, signature, key, statement and .repo file: ``no-cache``. Documents and packages: for ever, immutable."""
    fixed = ["repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key", "repodata/statement.json"]
    for path in (*fixed, "RPM-GPG-KEY-test", "test.repo"):
        assert fetch(repod, path)[0]["Cache-Control"] == "no-cache", path
    documents = [href(record) for record in records((repod.store() / fixed[0]).read_bytes())]
    for path in (*documents, PACKAGE):
        kept = fetch(repod, path)[0]["Cache-Control"]
        assert {"immutable", "max-age=31536000"} <= set(kept.split(", ")), path


def test_c118_a_compressed_document_is_served_as_the_file_it_is(repod: Repod) -> None:
    """No Content-Encoding, whatever the client takes: the body has the checksum that the index states."""
    for record in records(fetch(repod, "repodata/repomd.xml")[1]):
        headers, body = fetch(repod, href(record))
        assert headers["Content-Encoding"] is None
        assert headers["Content-Type"] == "application/gzip"
        assert hashlib.sha256(body).hexdigest() == record.findtext(f"{REPO}checksum")


@pytest.mark.parametrize("path", ["Packages/f/future-2.0-1.noarch.rpm", "media.1/media", "..%2f..%2fx", ""])
def test_no_cache_keeps_that_a_file_is_not_there(repod: Repod, path: str) -> None:
    """Else a CDN says so of a package that was asked for a moment before it came, for as long as it likes."""
    url = f"{repod.repo_url()}/{path}" if path else f"{repod.url}/repos/none/repodata/repomd.xml"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10)
    with refused.value as answer:
        assert (answer.code, answer.headers["Cache-Control"]) == (404, "no-store")


def test_slashes_too_many_and_one_too_few_are_as_good(repod: Repod, tmp_path: Path) -> None:
    """A baseurl that was put together of parts, and one that a person typed."""
    for path in ("//repos/test/repodata/repomd.xml", "/repos//test//repodata//repomd.xml", "/repos/test"):
        with urllib.request.urlopen(repod.url + path, timeout=10) as answer:
            assert answer.status == 200, path
    repo = repo_file("test", f"{repod.url}//repos/test//", metalink=False)
    for host in (Dnf(tmp_path / "dnf", repo), Zypper(tmp_path / "zypper", repo)):
        with host:
            done = host.install("libx++")
            assert (done.rc, host.installed()) == (0, ["libx++-1.0-1.noarch"]), done.out


def test_c120_metadata_never_go_back_in_time(
    make_place: MakePlace, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is set back by an hour between two publishes; revision and all timestamps do not go back."""
    yesterday = time.strftime("%Y%m%dT%H%M%S!", time.gmtime(time.time() - 86400))
    place = make_place(signed_with=make_key(options=("--faked-system-time", yesterday)))
    place.publish(rpms.quick(built, version="1"))
    before = _times(place.live())
    place.close()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    place.open()
    place.publish(rpms.quick(built, version="2"))
    after = _times(place.live())
    assert after[0] > before[0]
    assert all(new >= max(before[1:]) for new in after[1:])
    assert len(place.sound()) == 2


def _times(repomd: bytes) -> list[int]:
    """Revision and timestamps."""
    revision = etree.fromstring(repomd).findtext(f"{REPO}revision") or ""
    return [int(revision), *(int(record.findtext(f"{REPO}timestamp") or "") for record in records(repomd))]


def test_c122_a_mirror_that_stays_inside_its_folder_copies_everything(
    make_place: MakePlace, built: Path, tmp_path: Path, key: Key
) -> None:
    """All hrefs are plain relative paths, so a copy by hrefs alone, none leading out, is a sound repository."""
    place = make_place(duplicates="replace")
    place.publish(rpms.quick(built, "libx++", "1~rc1^git", epoch=3), rpms.quick(built, "hello"))
    place.publish(rpms.quick(built, "hello", files={"/other": b"build"}))
    mirror = (tmp_path / "mirror").resolve()
    hrefs = [href(record) for record in records(place.live())]
    hrefs += [package.href for package in place.sound().values()]
    for path in (*hrefs, "repodata/repomd.xml", "repodata/repomd.xml.asc"):
        target = (mirror / path).resolve()
        assert target.is_relative_to(mirror)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place.store / path, target)
    assert sorted(assert_sound(mirror, key.public)) == ["hello-1.0-1.noarch", "libx++-3:1~rc1^git-1.noarch"]


def test_c123_a_repository_moved_elsewhere_works_with_a_new_baseurl(place: Place, built: Path, tmp_path: Path) -> None:
    """Nothing in it holds its own place: a copy under another path serves dnf and zypper."""
    place.publish(rpms.quick(built))
    moved = tmp_path / "moved to/another place"
    shutil.copytree(place.store, moved, ignore=shutil.ignore_patterns(".repod"))
    repo = repo_file("test", f"file://{urllib.parse.quote(str(moved))}/", metalink=False)
    shutil.move(place.store, tmp_path / "gone")
    try:
        for host in (Dnf(tmp_path / "dnf", repo), Zypper(tmp_path / "zypper", repo)):
            with host:
                done = host.install("hello")
                assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out
    finally:
        shutil.move(tmp_path / "gone", place.store)


def test_c124_each_record_has_one_format_that_every_client_reads(place: Place, built: Path) -> None:
    """One record per type, gzip for all; what each decodes to is what one plain reader of gzip sees."""
    place.publish(*(rpms.quick(built, f"p{number}") for number in range(120)))
    found = records(place.live())
    assert sorted(record.get("type", "") for record in found) == ["filelists", "other", "primary"]
    documents = check(place.store).documents
    for record in found:
        assert href(record).endswith(".xml.gz")
        assert gzip.decompress((place.store / href(record)).read_bytes()) == documents[record.get("type", "")]
