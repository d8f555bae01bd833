"""The checker of frozen views, of what points at them and of carried documents finds every fault made on purpose."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rpm_rs

from tests.lab import forms, rpms
from tests.lab.checker import check
from tests.lab.frozen_check import assert_whole, check_frozen, check_whole
from tests.lab.keys import Key

_URL = "http://repo.example.com/prod"
_VIEWS = ("", "generations/7/")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Path:
    """Signed packages with carried documents, live and frozen as generation 7."""
    repo = tmp_path_factory.mktemp("sound")
    (repo / "Packages").mkdir()
    for made in (rpms.quick(repo / "Packages"), rpms.quick(repo / "Packages", "lib++", epoch=2)):
        rpm_rs.Package.resign_in_place(str(made), rpm_rs.Signer(key.secret))
    forms.make(repo, 7, _URL)
    listed = check(repo).packages
    shutil.rmtree(repo / "generations")
    shutil.rmtree(repo / "repodata")
    carried = {"group": forms.COMPS, "modules": forms.MODULES, "productid": forms.PRODUCT}
    forms.make(repo, 7, _URL, carried | {"updateinfo": forms.updateinfo(listed.values())}, form="zstd")
    _sign(repo, key)
    return repo


@pytest.fixture
def repo(sound: Path, tmp_path: Path) -> Path:
    """A copy for a test to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "repo"))


def _sign(repo: Path, key: Key) -> None:
    for view in _VIEWS:
        forms.sign(repo / view / "repodata/repomd.xml", key)


def _swap(path: str, old: str, new: str) -> Callable[[Path], None]:
    """Change a text file of the repository."""

    def change(repo: Path) -> None:
        text = (repo / path).read_text()
        changed = re.sub(old, new, text, count=1, flags=re.DOTALL)
        assert changed != text
        (repo / path).write_text(changed)

    return change


def _carry(kind: str, old: str, new: str) -> Callable[[Path], None]:
    """Carry a spoilt document in both views, of which repomd.xml says the truth."""

    def change(repo: Path) -> None:
        text = check(repo).documents[kind].decode()
        changed = re.sub(old, new, text, count=1, flags=re.DOTALL)
        assert changed != text
        for view in _VIEWS:
            forms.modify(repo / view / "repodata", kind, changed, "--no-compress")

    return change


def _all(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda repo: [change(repo) for change in changes] and None


_REPOMD = "generations/7/repodata/repomd.xml"


def _refill(repo: Path) -> None:
    """Let metalink agree with a changed index, so that only the intended fault is there."""
    forms.point(repo, 7, _URL)


def _live_only(repo: Path) -> None:
    """A package that the live view alone lists."""
    rpms.quick(repo / "Packages", "late")
    shutil.rmtree(repo / "repodata")
    forms.oracle.createrepo(repo, repo, "--revision=7")


def _with_plain_hrefs(repo: Path) -> None:
    """A frozen view that is a copy of the live one: its packages are not there."""
    shutil.rmtree(repo / "generations/7/repodata")
    shutil.copytree(repo / "repodata", repo / "generations/7/repodata")
    _refill(repo)


def _two_up(repo: Path) -> None:
    """A frozen view one folder too deep."""
    shutil.rmtree(repo / "generations/7/repodata")
    forms.oracle.createrepo(repo, repo / "generations/7", "--location-prefix=../../../repo/", "--revision=7")
    _refill(repo)


def _old_pointer(repo: Path) -> None:
    shutil.copytree(repo / "generations/7", repo / "generations/6")
    forms.point(repo, 6, _URL)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no frozen view": (
        lambda repo: shutil.rmtree(repo / "generations/7"),
        "generations/7: repodata/repomd.xml is not there",
    ),
    "another revision": (
        _all(_swap(_REPOMD, "<revision>7", "<revision>8"), _refill),
        "the frozen view 7 has the revision '8'",
    ),
    "packages of the frozen view are not there": (_with_plain_hrefs, "does not begin with ../../"),
    "the frozen view reaches too far": (_two_up, "not a plain relative path"),
    "a frozen document is gone": (
        lambda repo: next((repo / "generations/7/repodata").glob("*filelists*")).unlink(),
        "generations/7: filelists:",
    ),
    "a document of the frozen view lies elsewhere": (
        _all(_swap(_REPOMD, 'href="repodata/', 'href="../../repodata/'), _refill),
        "not a plain relative path",
    ),
    "live and frozen differ": (_live_only, "late-1.0-1.noarch: the live view lists it as"),
    "a carried document in the live view only": (
        lambda repo: forms.modify(repo / "repodata", "appstream", "<a/>"),
        "appstream of the live view and of the frozen view differ",
    ),
    "no mirrorlist": (lambda repo: (repo / "mirrorlist").unlink(), "mirrorlist is not there"),
    "an empty mirrorlist": (lambda repo: (repo / "mirrorlist").write_text(""), "mirrorlist does not end"),
    "mirrorlist without a slash": (_swap("mirrorlist", "/7/", "/7"), "is not the URL of a frozen view"),
    "mirrorlist names the live view": (_swap("mirrorlist", "generations/7/", ""), "is not the URL of a frozen view"),
    "pointers at an older generation": (_old_pointer, "mirrorlist names generation 6, the live view is 7"),
    "metalink at an older generation": (_old_pointer, "metalink.xml names generation 6, the live view is 7"),
    "no metalink": (lambda repo: (repo / "metalink.xml").unlink(), "metalink.xml is not there"),
    "metalink is cut": (lambda repo: (repo / "metalink.xml").write_text("<metalink>"), "metalink.xml is not XML"),
    "metalink of another file": (_swap("metalink.xml", '"repomd.xml"', '"primary.xml"'), "with the files"),
    "metalink with a wrong hash": (
        _swap("metalink.xml", '(sha256">)[0-9a-f]{4}', r"\g<1>0000"),
        "says sha256 0000",
    ),
    "metalink without a sha256": (_swap("metalink.xml", 'type="sha256"', 'type="sha1"'), "the sha1 of repomd.xml"),
    "metalink with a wrong size": (_swap("metalink.xml", r"<size>\d+", "<size>9"), "metalink.xml says 9 bytes"),
    "metalink without the live index": (
        _swap("metalink.xml", "<mm0:alternates>.*</mm0:alternates>", ""),
        "does not have the live index among its alternates",
    ),
    "metalink of a folder": (_swap("metalink.xml", "/repodata/repomd.xml<", "/<"), "is not the index of a frozen"),
    "metalink without a URL": (_swap("metalink.xml", "<url.*</url>", ""), "names no URL"),
    "comps is cut": (_carry("group", "</comps>", ""), "group is not XML"),
    "another root in comps": (_carry("group", "(<.?)comps>(.*</)comps>", r"\1c>\2c>"), "group: the root is c"),
    "a group twice": (_carry("group", "(<group>.*</group>)", r"\1\1"), "group: group tools is there 2 times"),
    "a group without an id": (_carry("group", "<id>tools</id>", ""), "group: group without an id"),
    "an empty requirement": (_carry("group", ">hello<", "><"), "group: packagereq None"),
    "a requirement of no kind": (_carry("group", '"mandatory"', '"perhaps"'), "of type 'perhaps'"),
    "modules are no YAML": (_carry("modules", "data:", "data: ]"), "modules is not YAML"),
    "modules without documents": (_carry("modules", "document: modulemd\n", ""), "modules: document 1 does not say"),
    "a module document that is none": (_carry("modules", "data: {.*?}", "data: 5"), "document 2 is no module"),
    "a stream twice": (_carry("modules", "(---.*?)---", r"\1\1---"), "modules: modulemd:greeting::1.0"),
    "updateinfo is cut": (_carry("updateinfo", "</updates>", ""), "updateinfo is not XML"),
    "an advisory twice": (_carry("updateinfo", "LAB-2", "LAB-1"), "advisory LAB-1 is there 2 times"),
    "an advisory without an id": (_carry("updateinfo", "<id>LAB-2</id>", ""), "advisory without an id"),
    "an advisory of no type": (_carry("updateinfo", 'type="security"', 'type=""'), "LAB-1 is of type ''"),
    "an advisory with another sum": (
        _carry("updateinfo", "[0-9a-f]{64}", "0" * 64),
        "gives hello-1.0-1.noarch the sums [('sha256', '0000",
    ),
    "an advisory without a sum": (_carry("updateinfo", "<sum .*?</sum>", ""), "hello-1.0-1.noarch the sums []"),
    "a sum of another kind": (_carry("updateinfo", 'sum type="sha256"', 'sum type="md5"'), "the sums [('md5'"),
    "an advisory of a package without a name": (_carry("updateinfo", 'name="hello"', 'name=""'), "refers to"),
    "a carried document that is not what is said": (
        lambda repo: next((repo / "repodata").glob("*productid*")).write_text("changed"),
        "productid: repomd.xml says sha256",
    ),
    "a document of repod's own without open-checksum": (
        _swap("repodata/repomd.xml", '(type="primary".*?)<open-checksum.*?</open-checksum>', r"\1"),
        "primary: open-checksum is not a sha256",
    ),
    "open-size of a carried document without open-checksum": (
        _swap("repodata/repomd.xml", '(type="updateinfo".*?)<open-checksum.*?</open-checksum>', r"\1"),
        "updateinfo: open-checksum is not a sha256",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checker_reports(fault: str, repo: Path) -> None:
    spoil, words = FAULTS[fault]
    spoil(repo)
    faults = check_whole(repo).faults
    assert any(words in line for line in faults), faults


def test_a_sound_repository_with_all_forms_and_carried_documents_has_no_fault(sound: Path, key: Key) -> None:
    report = assert_whole(sound, key.public)
    assert report.documents.keys() == {"primary", "filelists", "other", "group", "modules", "productid", "updateinfo"}
    assert report.documents["group"].decode() == forms.COMPS
    frozen = check_frozen(sound, 7, key.public)
    assert frozen.faults == []
    assert [row.href for row in frozen.packages.values()] == [f"../../{row.href}" for row in report.packages.values()]


def test_a_frozen_view_needs_a_signature_of_its_own(repo: Path, key: Key) -> None:
    shutil.copyfile(repo / "repodata/repomd.xml.asc", repo / "generations/7/repodata/repomd.xml.asc")
    (fault,) = check_whole(repo, key.public).faults
    assert fault.startswith("generations/7: repomd.xml.asc is no good signature")


def test_hrefs_may_lead_up_in_frozen_views_only(repo: Path) -> None:
    shutil.rmtree(repo / "repodata")
    shutil.copytree(repo / "generations/7/repodata", repo / "repodata")
    faults = check(repo).faults
    assert any("'../../Packages/hello-1.0-1.noarch.rpm' is not a plain relative path" in fault for fault in faults)


def test_metalink_speaks_of_the_bytes_of_the_index(sound: Path) -> None:
    index = (sound / _REPOMD).read_bytes()
    assert hashlib.sha256(index).hexdigest() in (sound / "metalink.xml").read_text()
