"""The lab checks others, so it is checked first: a checker that finds nothing proves nothing."""

import functools
import gzip
import hashlib
import http.server
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import rpm_rs
from lxml import etree

from tests.lab import damage, forms, oracle, rpms
from tests.lab.checker import Report, assert_sound, check, decompress
from tests.lab.clients import createrepo_c_list
from tests.lab.keys import Key, make_key
from tests.lab.listing import REPO


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound, unsigned repository of three packages, made by createrepo_c."""
    base = tmp_path_factory.mktemp("sound")
    folder = base / "Packages"
    folder.mkdir(parents=True)
    rpms.quick(folder, "hello", "1.0", changelog=rpms.changelog(3))
    rpms.quick(folder, "hello", "1.1", requires=["lib++ >= 2:1.0"])
    rpms.quick(folder, "lib++", "1.0~rc1^git", epoch=2, arch="x86_64", files={"/etc/lib.conf": b"x\n"})
    oracle.createrepo(base, base, "--general-compress-type=gz", "--compress-type=gz")
    return base


@pytest.fixture
def repo(sound: Path, tmp_path: Path) -> Path:
    """A copy of the sound repository, for a test to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "repo"))


def _repomd(repo: Path) -> Path:
    return repo / "repodata" / "repomd.xml"


def _document(repo: Path, kind: str) -> Path:
    (found,) = (repo / "repodata").glob(f"*-{kind}.xml.*")
    return found


def _rewrite(repo: Path, kind: str, change: Callable[[bytes], bytes], pack: Callable[[bytes], bytes]) -> None:
    """Change a document and let repomd.xml agree, so that only the intended fault is there."""
    old = _document(repo, kind)
    plain = change(gzip.decompress(old.read_bytes()))
    packed = pack(plain)
    new = old.with_name(f"{hashlib.sha256(packed).hexdigest()}-{kind}.xml.gz")
    old.unlink()
    new.write_bytes(packed)
    tree = etree.parse(_repomd(repo))
    (record,) = (row for row in tree.getroot() if row.get("type") == kind)
    for name, value in {
        "checksum": hashlib.sha256(packed).hexdigest(),
        "open-checksum": hashlib.sha256(plain).hexdigest(),
        "size": len(packed),
        "open-size": len(plain),
    }.items():
        record.find(f"{REPO}{name}").text = str(value)
    record.find(f"{REPO}location").set("href", f"repodata/{new.name}")
    tree.write(_repomd(repo))


def _swap(kind: str, old: str, new: str, pack: Callable[[bytes], bytes] = gzip.compress) -> Callable[[Path], None]:
    def change(plain: bytes) -> bytes:
        changed = re.sub(old.encode(), new.encode(), plain, count=1, flags=re.DOTALL)
        assert changed != plain or old == new
        return changed

    return lambda repo: _rewrite(repo, kind, change, pack)


def _swap_repomd(old: str, new: str) -> Callable[[Path], None]:
    def change(repo: Path) -> None:
        text = _repomd(repo).read_text()
        changed = re.sub(old, new, text, count=1, flags=re.DOTALL)
        assert changed != text
        _repomd(repo).write_text(changed)

    return change


def _package(repo: Path, name: str = "hello-1.0-1.noarch.rpm") -> Path:
    return repo / "Packages" / name


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no repomd.xml": (lambda repo: _repomd(repo).unlink(), "repomd.xml is not there"),
    "repomd.xml is cut": (lambda repo: _repomd(repo).write_bytes(b"<repomd>"), "repomd.xml is not XML"),
    "revision is a word": (_swap_repomd(r"<revision>.*?</", "<revision>new</"), "is not a number"),
    "a size in repomd is wrong": (_swap_repomd(r"<size>\d+", "<size>7"), "says 7 bytes"),
    "an open-size is wrong": (_swap_repomd(r"<open-size>\d+", "<open-size>7"), "(open): repomd.xml says 7"),
    "an open-checksum is wrong": (
        _swap_repomd(r"(<open-checksum[^>]*>)[0-9a-f]{64}", rf"\g<1>{'0' * 64}"),
        "(open): repomd.xml says sha256 000",
    ),
    "a checksum is sha1": (_swap_repomd('type="sha256"', 'type="sha1"'), "is not a sha256"),
    "a timestamp is a fraction": (_swap_repomd(r"(<timestamp>\d+)", r"\1.5"), "is not a whole number"),
    "a record twice": (_swap_repomd(r'"filelists"', '"primary"'), "names primary twice"),
    "no record of other": (_swap_repomd(r'<data type="other">.*?</data>', ""), "does not name other"),
    "a document is gone": (lambda repo: _document(repo, "primary").unlink(), "primary.xml.gz is not there"),
    "a document leaves the repository": (_swap_repomd('href="repodata', 'href="../repo/repodata'), "plain relative"),
    "a document is damaged": (
        lambda repo: damage.flip_bit(_document(repo, "other"), _document(repo, "other"), 30),
        "other: repomd.xml says sha256",
    ),
    "a document is cut short": (
        _swap("other", "x", "x", lambda plain: gzip.compress(plain)[:-9]),
        "other: repodata",
    ),
    "a count is wrong": (_swap("filelists", 'packages="3"', 'packages="4"'), "filelists says packages='4'"),
    "a package is missing in other": (_swap("other", "<package .*?</package>", ""), "same pkgids"),
    "a control character": (_swap("primary", "A lab package", "A \x1b package"), "primary is not XML"),
    "one pkgid is another's": (_swap("filelists", 'pkgid="[0-9a-f]{64}', f'pkgid="{"1" * 64}'), "same pkgids"),
    "filelists names another build": (_swap("filelists", 'ver="1.0"', 'ver="3.0"'), "filelists calls"),
    "one NEVRA twice": (_swap("primary", 'ver="1.1"', 'ver="1.0"'), "NEVRA hello-1.0-1.noarch is listed 2 times"),
    "an epoch is missing": (_swap("primary", 'epoch="0" ver="1.0"', 'ver="1.0"'), "epoch, version, release"),
    "an href is encoded": (_swap("primary", r"Packages/lib\+\+", "Packages/lib%2B%2B"), "percent-encoded"),
    "an href leads out": (_swap("primary", 'href="Packages', 'href="../repo/Packages'), "not a plain relative path"),
    "an href names a host": (_swap("primary", 'href="', 'xml:base="http://example.com" href="'), "xml:base"),
    "a size in primary is wrong": (_swap("primary", r'<size package="\d+"', '<size package="9"'), "says 9 bytes"),
    "a negative size": (_swap("primary", r'installed="\d+"', 'installed="-5"'), "installed is '-5'"),
    "a header range outside": (_swap("primary", r'end="\d+"', 'end="99999999"'), "header-range"),
    "a package is gone": (lambda repo: _package(repo).unlink(), "hello-1.0-1.noarch.rpm is not there"),
    "a package was replaced": (
        lambda repo: damage.flip_bit(_package(repo), _package(repo), -1),
        "hello-1.0-1.noarch: primary says sha256",
    ),
    "a file only in primary": (_swap("filelists", "<file>/etc/lib.conf</file>", ""), "filelists does not"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checker_reports(fault: str, repo: Path) -> None:
    spoil, words = FAULTS[fault]
    spoil(repo)
    report = check(repo)
    assert any(words in line for line in report.faults), report.faults


@pytest.fixture
def signed(key: Key, tmp_path: Path) -> Path:
    """A sound repository of two packages, all signed with ``key``."""
    repo = tmp_path / "signed"
    (repo / "Packages").mkdir(parents=True)
    for version in ("1.0", "1.1"):
        rpm = rpms.quick(repo / "Packages", version=version)
        rpm_rs.Package.resign_in_place(str(rpm), rpm_rs.Signer(key.secret))
    oracle.createrepo(repo, repo)
    forms.sign(_repomd(repo), key)
    return repo


def test_the_checker_takes_a_signed_repository_and_no_other_key(signed: Path, key: Key) -> None:
    assert_sound(signed, key.public)
    faults = check(signed, make_key("ed25519").public).faults
    assert [line.partition(": ")[0] for line in faults] == [
        "repomd.xml.asc is no good signature of repomd.xml",
        "hello-1.0-1.noarch",
        "hello-1.1-1.noarch",
    ]


def test_the_checker_accepts_either_key_of_a_certificate_file_that_holds_two(signed: Path, key: Key) -> None:
    assert_sound(signed, make_key("ed25519").public + key.public)


def test_the_checker_reports_a_missing_or_outdated_signature_of_the_index(signed: Path, key: Key) -> None:
    _swap_repomd(r"<revision>\d+", "<revision>5")(signed)
    (fault,) = check(signed, key.public).faults
    assert "BAD signature" in fault
    _repomd(signed).with_name("repomd.xml.asc").unlink()
    assert check(signed, key.public).faults == ["repodata/repomd.xml.asc is not there"]


def test_the_checker_reports_an_unsigned_package_among_signed_ones(signed: Path, key: Key) -> None:
    rpms.quick(signed / "Packages", "bare")
    for old in (signed / "repodata").iterdir():
        old.unlink()
    oracle.createrepo(signed, signed)
    forms.sign(_repomd(signed), key)
    assert check(signed, key.public).faults == ["bare-1.0-1.noarch: rpmkeys says digests SIGNATURES NOT OK"]


def test_the_checker_reads_over_http_what_it_reads_from_a_directory(signed: Path, key: Key) -> None:
    handler = functools.partial(_Quiet, directory=str(signed))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/"
            assert assert_sound(url, key.public) == assert_sound(signed, key.public)
            _package(signed).unlink()
            (fault,) = check(url, key.public).faults
        finally:
            server.shutdown()
            thread.join()
    assert fault == "hello-1.0-1.noarch: Packages/hello-1.0-1.noarch.rpm is not there"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing: the test reports."""


def test_the_checker_finds_nothing_wrong_with_what_createrepo_c_made(repo: Path) -> None:
    packages = assert_sound(repo)
    assert list(packages) == ["hello-1.0-1.noarch", "hello-1.1-1.noarch", "lib++-2:1.0~rc1^git-1.x86_64"]
    library = packages["lib++-2:1.0~rc1^git-1.x86_64"]
    assert library.href == "Packages/lib++-1.0~rc1^git-1.x86_64.rpm"
    assert library.files == [("file", "/etc/lib.conf")]
    assert ("lib++", "GE", "2", "1.0", "", "") in packages["hello-1.1-1.noarch"].relations["requires"]
    assert len(packages["hello-1.0-1.noarch"].changelogs) == 3


@pytest.mark.parametrize("compression", ["zstd", "xz", "gz"])
def test_the_checker_reads_each_compression(compression: str, repo: Path) -> None:
    for old in (repo / "repodata").iterdir():
        old.unlink()
    oracle.createrepo(repo, repo, f"--general-compress-type={compression}", f"--compress-type={compression}")
    assert len(assert_sound(repo)) == 3


def test_all_members_of_a_document_are_read_and_leftovers_are_faults() -> None:
    two = gzip.compress(b"one ") + gzip.compress(b"two")
    assert decompress("x.gz", two) == b"one two"
    with pytest.raises(ValueError, match="header"):
        decompress("x.gz", two + b"left over")
    with pytest.raises(ValueError, match="cut short"):
        decompress("x.gz", two[:-1])


def test_the_oracle_agrees_with_itself_and_sees_a_changed_field(repo: Path) -> None:
    assert oracle.compare_with_createrepo(repo / "Packages", repo) == []
    _swap("primary", "<rpm:vendor>Lab", "<rpm:vendor>Somebody")(repo)
    (fault,) = oracle.compare_with_createrepo(repo / "Packages", repo)
    assert fault == "hello-0:1.0-1.noarch: rpm_vendor is 'Somebody', createrepo_c says 'Lab'"


def test_the_oracle_sees_missing_and_superfluous_packages(repo: Path) -> None:
    _package(repo).unlink()
    rpms.quick(repo / "Packages", "new")
    faults = oracle.compare_with_createrepo(repo / "Packages", repo)
    assert faults == ["hello-0:1.0-1.noarch is listed and not there", "new-0:1.0-1.noarch is not listed"]


def test_an_empty_report_is_not_taken_for_a_sound_repository(tmp_path: Path) -> None:
    assert check(tmp_path).faults == ["repodata/repomd.xml is not there"]
    assert Report().faults == []


def test_createrepo_c_reads_the_packages_in_document_order(repo: Path) -> None:
    assert [package.nvra() for package in createrepo_c_list(repo)] == [
        "hello-1.0-1.noarch",
        "hello-1.1-1.noarch",
        "lib++-1.0~rc1^git-1.x86_64",
    ]
