"""A foreign repomd.xml is read strictly, and every record of it has its fate."""

import pytest

from repod.errors import Corrupt
from repod.repodata.foreign.index import Index, parse

_SHA = "a" * 64


def _data(
    kind: str, href: str = "", *, checksum: str = f'<checksum type="sha256">{_SHA}</checksum>', more: str = ""
) -> str:
    href = href or f"repodata/{kind}.xml.gz"
    return f'<data type="{kind}">{checksum}<location href="{href}"/>{more}</data>'


_BASIC = "".join(_data(kind) for kind in ("primary", "filelists", "other"))


def _index(*records: str, basic: str = _BASIC, tags: str = "") -> Index:
    root = '<repomd xmlns="http://linux.duke.edu/metadata/repo">'
    return parse(f"{root}<revision>1</revision>{tags}{basic}{''.join(records)}</repomd>".encode())


def _faults(*records: str, basic: str = _BASIC) -> list[str]:
    with pytest.raises(Corrupt) as caught:
        _index(*records, basic=basic)
    return str(caught.value).splitlines()


def test_the_three_documents_come_in_their_order_whatever_the_order_of_records() -> None:
    basic = _data("other") + _data("filelists") + _data("primary")
    assert [record.type for record in _index(basic=basic).packages] == ["primary", "filelists", "other"]


@pytest.mark.parametrize("kind", ["sha", "sha1", "sha224", "sha256", "sha384", "sha512"])
def test_a_checksum_may_be_of_any_kind_that_proves_something(kind: str) -> None:
    length = {"sha": 40, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}[kind]
    checksum = f'<checksum type="{kind}">{"AB" * (length // 2)}</checksum>'
    (record,) = _index(_data("group", checksum=checksum)).carried
    assert record.checksum.digest == "ab" * (length // 2)


@pytest.mark.parametrize(
    ("checksum", "said"),
    [
        ('<checksum type="md5">00</checksum>', "found 'md5'"),
        ("<checksum>00</checksum>", "found ''"),
        ('<checksum type="sha256">00</checksum>', "found '00'"),
        ("", "found none"),
    ],
)
def test_a_record_that_proves_nothing_is_a_fault(checksum: str, said: str) -> None:
    (fault,) = _faults(_data("group", checksum=checksum))
    assert "'group'" in fault
    assert said in fault


def test_a_record_without_a_place_is_a_fault() -> None:
    (fault,) = _faults(_data("group").replace(' href="repodata/group.xml.gz"', ""))
    assert fault == "repomd.xml: record 'group': expected a location with href"


def test_all_faults_are_told_at_once() -> None:
    faults = _faults(
        _data("group", checksum=""), _data("modules", more="<size>many</size>"), _data("../x"), basic=_data("primary")
    )
    assert len(faults) == 5
    assert "expected one record of filelists, found none" in faults[3]


def test_a_document_that_is_there_twice_is_a_fault() -> None:
    assert "found 2 records" in _faults(_data("primary"))[0]


@pytest.mark.parametrize(
    "kind",
    [
        "primary_db",
        "other_db",
        "group_zck",
        "primary_zck",
        "prestodelta",
        "deltainfo",
        "filelists-ext",
        "updateinfo_zck",
    ],
)
def test_copies_and_deltas_are_left_out_and_it_is_said_why(kind: str) -> None:
    index = _index(_data(kind))
    assert index.carried == []
    (note,) = index.notes
    assert note.startswith(f"not taken over: {kind}: ")


def test_copies_of_one_kind_are_told_together() -> None:
    (note,) = _index(_data("primary_db"), _data("other_db")).notes
    assert note.startswith("not taken over: primary_db, other_db: ")


@pytest.mark.parametrize("first", [True, False])
def test_groups_that_are_there_plain_and_packed_are_taken_once(first: bool) -> None:
    records = [_data("group"), _data("group_gz", "repodata/comps.xml.gz")]
    index = _index(*(records if first else reversed(records)))
    assert [record.type for record in index.carried] == ["group"]
    assert "group_gz" in index.notes[0]
    (alone,) = _index(_data("group_xz")).carried
    assert alone.type == "group_xz"


def test_records_that_repod_does_not_know_are_carried() -> None:
    index = _index(_data("productid"), _data("appstream-icons-64x64"), _data("susedata.de"))
    assert [record.type for record in index.carried] == ["productid", "appstream-icons-64x64", "susedata.de"]
    assert index.notes == []


def test_tags_are_said_to_be_left_out() -> None:
    assert _index(tags="<tags><distro>x</distro></tags>").notes == [
        "not taken over: tags of repomd.xml: repod writes none"
    ]


def test_base_sizes_and_dos_paths_of_a_record_are_read() -> None:
    more = f'<size>7</size><open-size>9</open-size><open-checksum type="sha256">{_SHA}</open-checksum>'
    text = _data("group", "repodata\\c.xml", more=more).replace("<location ", '<location xml:base="http://x/" ')
    (record,) = _index(text).carried
    assert (record.href, record.base, record.size, record.open_size) == ("repodata/c.xml", "http://x/", 7, 9)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        b"<repomd/>",
        b'<repomd xmlns="http://linux.duke.edu/metadata/repo">',
        b'<!DOCTYPE r [<!ENTITY e "x">]><repomd xmlns="http://linux.duke.edu/metadata/repo">&e;</repomd>',
        b"x" * (17 << 20),
    ],
)
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"repomd\.xml"):
        parse(data)
