"""What a client reads of a repository: index, primary, mirrorlist, metalink."""

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path

import createrepo_c
import pytest
import zstandard

from repod.client import reading
from repod.errors import Corrupt
from tests.lab.rpms import quick

_PACKAGE = b"<package type='rpm'/>" * 2000


def pieces(data: bytes, size: int = 7) -> Sequence[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("primary.xml", _PACKAGE),
        ("primary.xml.gz", gzip.compress(_PACKAGE[:100]) + gzip.compress(b"") + gzip.compress(_PACKAGE[100:])),
        ("primary.xml.zst", zstandard.compress(_PACKAGE[:100]) + zstandard.compress(_PACKAGE[100:])),
    ],
)
def test_a_document_is_read_through_all_its_members(name: str, data: bytes) -> None:
    assert b"".join(reading.unpacked(name, pieces(data))) == _PACKAGE


@pytest.mark.parametrize("name", ["primary.xml.gz", "primary.xml.zst"])
@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_document_that_cannot_be_unpacked_is_corrupt(name: str, damage: str) -> None:
    whole = gzip.compress(_PACKAGE) if name.endswith("gz") else zstandard.compress(_PACKAGE)
    data = {"cut": whole[:-8], "empty": b"", "other": b"<metadata/>"}[damage]
    with pytest.raises(Corrupt, match=name):
        list(reading.unpacked(name, pieces(data)))


def test_bytes_that_are_not_those_of_the_index_are_corrupt_at_their_end() -> None:
    what = reading.Index(revision="1", href="p.xml", algorithm="sha256", checksum=hashlib.sha256(b"abc").hexdigest())
    assert b"".join(reading.proven([b"ab", b"c"], what)) == b"abc"
    with pytest.raises(Corrupt, match=r"p\.xml: expected sha256"):
        list(reading.proven([b"ab", b"d"], what))


def test_the_index_says_its_revision_and_where_primary_lies() -> None:
    record = createrepo_c.RepomdRecord("primary", None)
    record.location_href, record.checksum, record.checksum_type = "repodata/p.xml.gz", "ab" * 32, "sha256"
    index = createrepo_c.Repomd()
    index.set_revision("42")
    index.set_record(record)
    found = reading.index(index.xml_dump().encode())
    assert found == reading.Index(revision="42", href="repodata/p.xml.gz", algorithm="sha256", checksum="ab" * 32)


@pytest.mark.parametrize("text", ["", "<repomd", "<repomd xmlns='http://linux.duke.edu/metadata/repo'/>", "<html/>"])
def test_what_is_no_index_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt, match=r"repomd\.xml"):
        reading.index(text.encode())


def test_an_index_by_a_weak_checksum_is_corrupt() -> None:
    text = (
        "<repomd xmlns='http://linux.duke.edu/metadata/repo'><data type='primary'>"
        "<checksum type='md5'>00</checksum><location href='p.xml'/></data></repomd>"
    )
    with pytest.raises(Corrupt, match="found 'md5'"):
        reading.index(text.encode())


def test_the_packages_of_a_name_are_found_with_where_their_header_lies(tmp_path: Path) -> None:
    made = [quick(tmp_path, "app", epoch=2), quick(tmp_path, "app", "2.0~rc1"), quick(tmp_path, "other")]
    dumps = []
    for path in made:
        package = createrepo_c.package_from_rpm(str(path), location_href=f"Packages/{path.name}")
        dumps.append(createrepo_c.xml_dump_primary(package))
    head = "<metadata xmlns='http://linux.duke.edu/metadata/common' xmlns:rpm='http://linux.duke.edu/metadata/rpm'>"
    text = f"{head}{''.join(dumps)}</metadata>".encode()
    found = list(reading.packages(pieces(text, 100), {"app"}))
    assert [str(one.nevra) for one in found] == ["app-2:1.0-1.noarch", "app-2.0~rc1-1.noarch"]
    for one, path in zip(found, made, strict=False):
        data = path.read_bytes()
        first, end = one.header
        assert (one.size, one.pkgid) == (len(data), hashlib.sha256(data).hexdigest())
        assert data[first : first + 4] == b"\x8e\xad\xe8\x01"
        assert end > first
    with pytest.raises(Corrupt, match="not sound XML"):
        list(reading.packages(pieces(text[:-20], 100), {"app"}))


def test_a_mirrorlist_has_a_url_a_line_and_comments() -> None:
    assert reading.mirrors(b"# us\n\nhttps://a.example/1/\nhttps://b.example/1/\n") == [
        "https://a.example/1/",
        "https://b.example/1/",
    ]


def test_a_metalink_has_urls_by_preference_and_every_checksum_that_may_be() -> None:
    text = (
        '<metalink xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file>'
        '<verification><hash type="sha256">aa</hash><hash type="md5">zz</hash></verification><mm0:alternates>'
        '<mm0:alternate><verification><hash type="sha256">bb</hash></verification></mm0:alternate></mm0:alternates>'
        '<resources><url preference="10">https://b/</url><url preference="100">https://a/</url></resources>'
        "</file></files></metalink>"
    )
    found = reading.metalink(text.encode())
    assert (list(found.urls), set(found.checksums)) == (["https://a/", "https://b/"], {"aa", "bb"})
