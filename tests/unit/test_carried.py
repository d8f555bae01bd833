"""What an uploaded document is, the edit it becomes, and which documents a publish has to look at."""

import gzip
import pickle
from pathlib import Path

import pytest

from repod.doors import Edit, Unreadable
from repod.errors import NotFound
from repod.package import REASONS, Nevra
from repod.repodata import carried, kinds
from repod.repodata.reader import read_file
from tests.lab.advisories import finder, listed, namer, update, updates

_COMPS = b"<comps><group><id>web</id></group></comps>"
_MODULES = b"document: modulemd-defaults\nversion: 1\ndata: {module: hi}\n"
_TOML = b'id="A"\ntype="bugfix"\ntitle="t"\nissued=2026-01-01\npackages=["a-1-1.noarch"]\n'


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("comps.xml", "group"),
        ("el9-comps.xml", "group"),
        ("sub/dir/el9-comps.xml.gz", "group"),
        ("modules.yaml", "modules"),
        ("php.modules.yaml", "modules"),
        ("php.modulemd.yaml.xz", "modules"),
        ("updateinfo.xml.zst", "updateinfo"),
        ("0f-updateinfo.xml", "updateinfo"),
        ("LAB-1.toml", "advisory"),
        ("LAB-1.json.bz2", "advisory"),
        ("hello-1.0-1.noarch.rpm", ""),
        ("mycomps.xml", ""),
        ("primary.xml.gz", ""),
        ("other.yaml", ""),
        ("notes.gz", ""),
        (".toml", ""),
        ("comps.xml/x", ""),
        ("", ""),
    ],
)
def test_the_name_says_what_an_uploaded_file_is(name: str, kind: str) -> None:
    assert kinds.kind(name) == kind


@pytest.mark.parametrize(
    ("name", "data", "type_"),
    [
        ("comps.xml", _COMPS, "group"),
        ("modules.yaml", _MODULES, "modules"),
        ("updateinfo.xml", updates(update("A", "a-1-1.noarch")), "updateinfo"),
        ("A.toml", _TOML, "updateinfo"),
    ],
)
def test_a_file_becomes_an_edit_that_crosses_processes_and_made_twice_changes_nothing(
    name: str, data: bytes, type_: str
) -> None:
    find = finder(listed("a-1-1.noarch"))
    for edit in (carried.read(name, data), carried.read(f"x/{name}.gz", gzip.compress(data))):
        again: Edit = pickle.loads(pickle.dumps(edit))
        assert again == edit
        assert again.type == type_
        made = again.apply(None, find)
        assert made is not None
        assert edit.apply(made, find) == made


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("comps.xml", b"<comps>", "comps.xml: line 1: "),
        ("modules.yaml", b"a: [", "modules.yaml: line "),
        ("updateinfo.xml", b"<updates/>", "updateinfo.xml: "),
        ("a.toml", b"", "a.toml: id: is required"),
        ("comps.xml.gz", b"no", "comps.xml.gz: cannot be unpacked"),
        ("a.json", b" " * (5 << 20), "a.json: expected at most"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_for_one_reason_that_metrics_know(
    name: str, data: bytes, reason: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        carried.read(name, data)
    assert {fault.code for fault in refused.value.faults} == {"document"} <= set(REASONS)
    assert refused.value.faults[0].text.startswith(reason)


def test_only_names_of_documents_are_read() -> None:
    with pytest.raises(ValueError, match="not the name of a document"):
        carried.read("hello.rpm", b"")


def test_advisories_are_removed_by_id() -> None:
    present = updates(update("A"), update("B"))
    edit = carried.RemoveAdvisories(ids=("A",))
    assert edit.type == "updateinfo"
    after = edit.apply(present, finder({}))
    assert after is not None
    assert b"<id>A</id>" not in after
    with pytest.raises(NotFound):
        edit.apply(after, finder({}))


@pytest.mark.parametrize("type_", ["primary", "filelists_db", "", "../x", "a b"])
def test_a_document_made_from_packages_cannot_be_set(type_: str) -> None:
    with pytest.raises(ValueError, match="not a document that is carried"):
        carried.SetDocument(type=type_, data=b"")


def test_a_document_of_any_other_record_is_set_and_taken_away() -> None:
    assert carried.SetDocument(type="productid", data=b"x").apply(b"y", finder({})) == b"x"
    assert carried.SetDocument(type="appstream", data=None).apply(b"y", finder({})) is None


def test_c059_a_publish_that_touches_none_of_their_packages_changes_no_carried_document() -> None:
    """Module, comps and updateinfo metadata vanish after a regenerate: here they are the very same bytes."""
    documents = {
        "group": _COMPS,
        "modules": _MODULES,
        "updateinfo": updates(update("A", "a-1-1.noarch")),
        "productid": b"\x00\xff",
    }
    content = listed("other-1-1.noarch")
    change = tuple(content.values())
    for record, data in documents.items():
        assert not carried.names(record, data) & {"other"}
        for added, removed in ((change, ()), ((), change)):
            after = carried.follow(
                record, data, added=added, removed=removed, find=finder(content), named=namer(content)
            )
            assert after is data


def test_each_document_follows_the_packages_it_speaks_of() -> None:
    build = b"document: modulemd\nversion: 2\ndata: {name: m, stream: s, artifacts: {rpms: [a-0:1-1.noarch]}}\n"
    for record, data in (("modules", build), ("updateinfo", updates(update("A", "a-1-1.noarch")))):
        assert carried.names(record, data) == {"a"}
        removed = tuple(listed("a-1-1.noarch").values())
        assert carried.follow(record, data, added=(), removed=removed, find=finder({}), named=namer({})) is None
    assert Nevra.parse("a-0:1-1.noarch") == Nevra.parse("a-1-1.noarch")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(kinds.LIMIT + 1)
    with pytest.raises(Unreadable, match=rf"comps.xml: {kinds.LIMIT + 1} bytes; expected at most") as raised:
        read_file("comps.xml", path)
    assert raised.value.faults[0].code == "size"
