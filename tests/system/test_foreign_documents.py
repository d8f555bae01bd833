"""Documents that other tools made, in every form, come through whole; unsound ones are refused, all faults at once."""

import gzip
import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import createrepo_c
import pytest
import zstandard

from repod.elsewhere import Foreign, Listed
from repod.errors import Corrupt, NotFound, Unavailable
from repod.package import Entry, Package, StorePath, sha256
from repod.repodata import text
from repod.repodata.foreign import open_texts, read
from repod.source import open_source
from tests.lab import foreign
from tests.lab.mirror import mirror
from tests.lab.oracle import FIELDS, fields

Edit = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rpms") / "old"
    foreign.packages(folder, 40)
    return folder


@pytest.fixture
def old(rpms: Path, tmp_path: Path) -> Path:
    """The packages, without documents yet."""
    return Path(shutil.copytree(rpms, tmp_path / "old"))


def _read(folder: Path | str, work: Path) -> Foreign:
    work.mkdir(exist_ok=True)
    with open_source(str(folder), lambda _: None) as source:
        return read(source, work)


def _entries(repository: Foreign, folder: Path) -> list[Entry]:
    """All of them, with the SHA-256 that the files really have."""

    def become(listed: Listed) -> Package:
        href = listed.href.replace("\\", "/")
        digest = sha256(hashlib.sha256((folder / href).read_bytes()).hexdigest())
        return Package(nevra=listed.nevra, pkgid=digest, size=listed.size, href=StorePath(href))

    return list(repository.entries(become))


def _body(data: bytes) -> bytes:
    return data[data.index(b"<package ") : data.rindex(b"</package>")] + b"</package>\n"


def _assert_equal_by_createrepo(entries: list[Entry], folder: Path, work: Path) -> None:
    """What createrepo_c reads from our entries is what it reads from a fresh run over the same files."""
    foreign.createrepo(folder)
    columns = zip(*((entry.primary, entry.filelists, entry.other) for entry in entries), strict=True)
    ours = []
    for kind, texts in zip(text.KINDS, columns, strict=True):
        path = work / f"{kind}.ours"
        path.write_bytes(text.head(kind, len(entries)) + b"".join(texts) + text.tail(kind))
        ours.append(str(path))
    theirs = [str(foreign.document(folder, kind)) for kind in text.KINDS]
    found, wanted = (
        {one.pkgId: fields(one) for one in createrepo_c.PackageIterator(*paths)} for paths in (ours, theirs)
    )
    assert found == wanted
    assert len(FIELDS) > 20


# ---------------------------------------------------------------- every form comes through


@pytest.mark.parametrize("compression", ["gz", "zstd", "xz", "bz2", "none"])
def test_every_compression_gives_the_very_text_that_createrepo_c_wrote(
    old: Path, tmp_path: Path, compression: str
) -> None:
    foreign.createrepo(old, compression="gz" if compression == "none" else compression)
    if compression == "none":
        foreign.uncompressed(old)
    entries = _entries(_read(old, tmp_path / "work"), old)
    assert len(entries) == 40
    for kind in text.KINDS:
        ours = b"".join(getattr(entry, kind) for entry in entries)
        assert ours == _body(foreign.plain(old, kind))


@pytest.mark.parametrize("checksum", ["sha1", "sha224", "sha384", "sha512"])
def test_every_kind_of_checksum_becomes_sha256_and_nothing_else_changes(
    old: Path, tmp_path: Path, checksum: str
) -> None:
    foreign.createrepo(old, checksum="sha256" if checksum == "sha1" else checksum)
    if checksum == "sha1":
        foreign.sha1(old)
    repository = _read(old, tmp_path / "work")
    assert {listed.algorithm for listed in repository.listed()} == {checksum}
    _assert_equal_by_createrepo(_entries(repository, old), old, tmp_path)


@pytest.mark.parametrize("checksum", ["sha256", "sha512"])
@pytest.mark.parametrize(
    "options", [(), ("--filelists-ext",), ("--database",), ("--no-pretty",), ("--simple-md-filenames",)]
)
def test_what_createrepo_c_may_be_told_to_do_otherwise_changes_no_entry(
    old: Path, tmp_path: Path, options: tuple[str, ...], checksum: str
) -> None:
    foreign.createrepo(old, *options, checksum=checksum)
    _assert_equal_by_createrepo(_entries(_read(old, tmp_path / "work"), old), old, tmp_path)


def test_an_xml_base_is_told_and_goes_from_the_entries(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old, "--baseurl=http://elsewhere/x/")
    repository = _read(old, tmp_path / "work")
    assert {listed.base for listed in repository.listed()} == {"http://elsewhere/x/"}
    entries = _entries(repository, old)
    assert b"xml:base" not in b"".join(entry.primary for entry in entries)
    _assert_equal_by_createrepo(entries, old, tmp_path)


def test_dos_paths_become_ours(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    foreign.dos_paths(old)
    repository = _read(old, tmp_path / "work")
    assert all("\\" in listed.href for listed in repository.listed())
    _assert_equal_by_createrepo(_entries(repository, old), old, tmp_path)


@pytest.mark.parametrize("form", ["gz", "zst"])
def test_documents_of_several_members_are_read_to_the_end(old: Path, tmp_path: Path, form: str) -> None:
    """As repod itself writes them, and pigz and pzstd."""
    foreign.createrepo(old)
    for kind in text.KINDS:
        data = foreign.plain(old, kind)
        pieces = [data[:50], data[50:3000], data[3000:]]
        pack = gzip.compress if form == "gz" else zstandard.ZstdCompressor().compress
        foreign.put(old, kind, f"{kind}.xml.{form}", b"".join(map(pack, pieces)))
    _assert_equal_by_createrepo(_entries(_read(old, tmp_path / "work"), old), old, tmp_path)


def test_documents_come_over_http_as_from_a_directory(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    with mirror(tmp_path) as server, open_source(f"{server.url}/old", lambda _: None) as source:
        (tmp_path / "work").mkdir()
        repository = read(source, tmp_path / "work")
    _assert_equal_by_createrepo(_entries(repository, old), old, tmp_path)


def test_a_package_that_is_left_out_is_in_no_document(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    assert list(_read(old, tmp_path / "work").entries(lambda _: None)) == []


@pytest.mark.parametrize("kinds", [("filelists",), ("other",), ("filelists", "other")])
def test_documents_that_list_packages_in_another_order_come_through_whole(
    old: Path, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    """Hosts do not mind, so other tools do not either; createrepo_c ends there."""

    def turned(data: bytes) -> bytes:
        body = _body(data)
        return data.replace(body, b"".join(reversed(re.findall(rb"<package .*?</package>\n", body, re.DOTALL))))

    foreign.createrepo(old)
    for kind in kinds:
        foreign.rewrite(old, kind, turned)
    _assert_equal_by_createrepo(_entries(_read(old, tmp_path / "work"), old), old, tmp_path)
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [
        f"{kind}.plain" for kind in sorted(text.KINDS)
    ]


def test_an_empty_repository_is_sound(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    foreign.createrepo(tmp_path / "old")
    assert list(_read(tmp_path / "old", tmp_path / "work").listed()) == []


# ---------------------------------------------------------------- other documents


@pytest.mark.parametrize(
    "option", ["--compress-type=gz", "--compress-type=xz", "--compress-type=zstd", "--no-compress"]
)
def test_other_documents_are_carried_byte_for_byte_however_they_are_packed(
    old: Path, tmp_path: Path, option: str
) -> None:
    foreign.createrepo(old)
    documents = {
        "group": foreign.COMPS.encode(),
        "modules": foreign.MODULES.encode(),
        "updateinfo": foreign.advisories(20, sorted(old.rglob("*.rpm"))),
        "productid": b"-----BEGIN CERTIFICATE-----\n\xff\x00",
        "appstream": b"<components/>",
    }
    for kind, data in documents.items():
        foreign.carry(old, kind, kind, data, option)
    carried = _read(old, tmp_path / "work").carried
    assert {one.type: one.data for one in carried} == documents


def test_groups_of_createrepo_are_taken_once(old: Path, tmp_path: Path) -> None:
    (old / "comps.xml").write_text(foreign.COMPS)
    foreign.createrepo(old, "--groupfile=comps.xml", "--compatibility")
    repository = _read(old, tmp_path / "work")
    assert [(one.type, one.data) for one in repository.carried] == [("group", foreign.COMPS.encode())]
    assert any("primary_db" in note for note in repository.notes)


# ---------------------------------------------------------------- unsound documents


def _faults(folder: Path, work: Path) -> list[str]:
    with pytest.raises(Corrupt) as caught:
        _read(folder, work)
    *faults, remedy = str(caught.value).splitlines()
    assert "repod rebuild" in remedy
    return [fault.removeprefix(f"{folder}: ") for fault in faults]


def test_every_damaged_document_is_told_at_once(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    foreign.carry(old, "productid", "productid", b"x" * 100)
    for kind in ("primary", "other", "productid"):
        path = foreign.document(old, kind)
        path.write_bytes(path.read_bytes()[:-7] + b"damage!")
    foreign.document(old, "filelists").unlink()
    faults = _faults(old, tmp_path / "work")
    assert [fault.partition(":")[0] for fault in faults] == ["primary", "filelists", "other", "productid"]
    assert re.search(r"expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}", faults[0])
    assert "is not there" in faults[1]


@pytest.mark.parametrize("change", ["shorter", "longer"])
def test_a_document_of_another_length_is_told(old: Path, tmp_path: Path, change: str) -> None:
    foreign.createrepo(old)
    path = foreign.document(old, "primary")
    data = path.read_bytes()
    path.write_bytes(data[:-9] if change == "shorter" else data + b"x" * 9)
    found = len(data) - 9 if change == "shorter" else "more"
    assert _faults(old, tmp_path / "work") == [
        f"primary: {path.relative_to(old)}: expected {len(data)} bytes, found {found}"
    ]


@pytest.mark.parametrize(("new", "said"), [("9", "found "), ("99999999", "expected 99999999 bytes of plain text")])
def test_a_document_that_unpacks_to_another_size_is_refused(old: Path, tmp_path: Path, new: str, said: str) -> None:
    """One that unpacks to more is not unpacked to its end."""
    foreign.createrepo(old)
    repomd = old / "repodata/repomd.xml"
    repomd.write_text(re.sub(r"<open-size>\d+", f"<open-size>{new}", repomd.read_text(), count=1))
    (fault,) = _faults(old, tmp_path / "work")
    assert said in fault


@pytest.mark.parametrize("form", ["gz", "zst", "xz", "bz2"])
def test_a_truncated_document_whose_checksum_is_right_is_refused(old: Path, tmp_path: Path, form: str) -> None:
    """Some tool was stopped while it packed, and indexed what was there."""
    foreign.createrepo(old, compression={"zst": "zstd"}.get(form, form))
    path = foreign.document(old, "filelists")
    before, data = path.read_bytes(), path.read_bytes()[:-20]
    path.write_bytes(data)
    repomd = old / "repodata/repomd.xml"
    index = repomd.read_text()
    index = index.replace(hashlib.sha256(before).hexdigest(), hashlib.sha256(data).hexdigest())
    index = index.replace(f"<size>{len(before)}</size>", f"<size>{len(data)}</size>")
    path.rename(path.with_name(path.name.replace(hashlib.sha256(before).hexdigest(), hashlib.sha256(data).hexdigest())))
    repomd.write_text(index)
    (fault,) = _faults(old, tmp_path / "work")
    assert fault.startswith("filelists: ")
    assert "cannot be unpacked" in fault


def _sub(pattern: str, new: str, count: int = 1) -> Edit:
    return lambda data: re.sub(pattern.encode(), new.encode(), data, count=count, flags=re.DOTALL)


_UNSOUND: dict[str, tuple[str, Edit, str]] = {
    "no end": ("primary", _sub("</metadata>", ""), "primary is not XML"),
    "another root": ("primary", _sub("metadata", "meta", 0), "primary: expected <metadata"),
    "another document": ("other", lambda _: b"<filelists/>", "other: expected <otherdata"),
    "a prefix": (
        "primary",
        lambda data: data.replace(b"<metadata xmlns=", b"<c:metadata xmlns:c=").replace(b"</metadata", b"</c:metadata"),
        "found <c:metadata",
    ),
    "entities": (
        "filelists",
        _sub(r"\?>\n", '?>\n<!DOCTYPE x [<!ENTITY e "x">]>\n'),
        "filelists: expected <filelists",
    ),
    "another number": ("primary", _sub('packages="40"', 'packages="41"'), "promises 41 packages, it lists 40"),
    "one too few": (
        "other",
        lambda data: _sub("<package.*?</package>\n", "")(_sub('packages="40"', 'packages="39"')(data)),
        "other lists 39 packages and primary 40",
    ),
    "md5": ("primary", _sub('type="sha256"', 'type="md5"', 0), "found 'md5'"),
    "no digest": ("primary", _sub(r'YES">[0-9a-f]*', 'YES">abc'), "(abc) in primary and"),
    "no href": ("primary", _sub(r"<location href=[^>]*>", "<location/>"), "expected a location with href"),
    "no size": ("primary", _sub(r'<size package="\d+"', '<size package="many"'), "integer"),
    "an epoch that is none": ("primary", _sub(r'epoch="\d"', 'epoch="new"'), "package 1 is"),
    "no name": ("primary", _sub("<name>[^<]*", "<name>"), "package 1 is -"),
    "a name that climbs": ("primary", _sub("<name>[^<]*", "<name>../../x"), "package 1 is ../../x"),
}


@pytest.mark.parametrize("case", _UNSOUND)
@pytest.mark.timeout(60)  # createrepo_c alone spins for ever on some of them
def test_a_document_that_is_not_sound_is_refused_though_its_checksum_is_right(
    old: Path, tmp_path: Path, case: str
) -> None:
    kind, edit, said = _UNSOUND[case]
    foreign.createrepo(old)
    foreign.rewrite(old, kind, edit)
    assert said in "\n".join(_faults(old, tmp_path / "work"))


def test_many_faults_of_one_kind_are_counted_not_listed(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    foreign.rewrite(old, "primary", _sub(r"<location href=[^>]*>", "<location/>", 0))
    faults = _faults(old, tmp_path / "work")
    assert len(faults) == 6
    assert faults[-1] == "and 35 more like this"


@pytest.mark.parametrize("kind", ["filelists", "other"])
def test_a_repository_without_one_of_the_three_is_refused_with_a_remedy(old: Path, tmp_path: Path, kind: str) -> None:
    foreign.createrepo(old)
    repomd = old / "repodata/repomd.xml"
    repomd.write_text(_sub(f'<data type="{kind}">.*?</data>', "")(repomd.read_bytes()).decode())
    assert _faults(old, tmp_path / "work") == [f"repomd.xml: expected one record of {kind}, found none"]


@pytest.mark.parametrize(("kind", "data"), [("group", b"<comps>"), ("modules", b"a: [b"), ("updateinfo", b"<x/>")])
def test_an_unsound_document_beside_the_packages_is_carried_and_told(
    old: Path, tmp_path: Path, kind: str, data: bytes
) -> None:
    foreign.createrepo(old)
    foreign.carry(old, kind, kind, data)
    repository = _read(old, tmp_path / "work")
    assert [(one.type, one.data) for one in repository.carried] == [(kind, data)]
    (note,) = repository.notes
    assert note.startswith(f"taken over as it is, though not sound: {kind}: ")


def test_zchunk_alone_is_refused(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    foreign.carry(old, "other", "other.xml", b"\0ZCK1" + bytes(100), "--no-compress")
    assert "zchunk cannot be read" in _faults(old, tmp_path / "work")[0]


def test_what_createrepo_c_does_not_know_is_told(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    foreign.rewrite(old, "primary", _sub("<summary>", "<vendor-extra>x</vendor-extra><summary>"))
    repository = _read(old, tmp_path / "work")
    assert any("vendor-extra" in note for note in repository.notes)
    _assert_equal_by_createrepo(_entries(repository, old), old, tmp_path)


def test_a_folder_without_documents_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no repository at .*give the folder that holds repodata/"):
        _read(tmp_path, tmp_path / "work")


@pytest.mark.parametrize(
    ("pattern", "new", "said"),
    [
        ('pkg00000[^"<]*', "../../x", "without a slash"),
        ('pkg00000[^"<]*', ".x", "not a path inside a store"),
        (r'epoch="\d"', 'epoch="new"', "expected a number as epoch"),
        (r"[0-9a-f]{64}", "z" * 64, "expected a sha256 checksum"),
        (r'rel="\d"', 'rel="1-2"', "whose parts can be told apart"),
        (r'rel="\d"', 'rel=""', "not a NEVRA"),
    ],
)
def test_a_package_that_no_repository_can_list_is_refused(
    old: Path, tmp_path: Path, pattern: str, new: str, said: str
) -> None:
    foreign.createrepo(old)
    for kind in text.KINDS:
        foreign.rewrite(old, kind, _sub(pattern, new, 0))
    assert said in _faults(old, tmp_path / "work")[0]


def test_an_index_that_says_no_more_than_it_must_is_enough(old: Path, tmp_path: Path) -> None:
    """Older tools and some servers write neither sizes nor the checksum of the plain text."""
    foreign.createrepo(old)
    repomd = old / "repodata/repomd.xml"
    index = repomd.read_text()
    for tag in ("open-checksum", "open-size", "size", "timestamp", "revision"):
        index = re.sub(rf"<{tag}[ >].*?</{tag}>", "", index)
    repomd.write_text(index)
    _assert_equal_by_createrepo(_entries(_read(old, tmp_path / "work"), old), old, tmp_path)


def test_entries_without_line_ends_as_servers_written_in_java_make_them(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    for kind in text.KINDS:
        foreign.rewrite(old, kind, lambda data: re.sub(rb">\s+<", b"><", data))
    _assert_equal_by_createrepo(_entries(_read(old, tmp_path / "work"), old), old, tmp_path)


def test_a_work_folder_that_cannot_be_written_is_no_fault_of_the_documents(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    with open_source(str(old), lambda _: None) as source, pytest.raises(Unavailable, match=r"see the disk"):
        read(source, tmp_path / "absent")


# ---------------------------------------------------------------- single texts


@pytest.mark.parametrize("form", ["gz", "xz", "zstd"])
def test_single_texts_are_fetched_when_they_are_asked_for_and_proven(old: Path, tmp_path: Path, form: str) -> None:
    foreign.createrepo(old, compression=form)
    foreign.document(old, "other").unlink()  # nobody asks for it
    with open_source(str(old), lambda _: None) as source:
        text_of = open_texts(source, tmp_path)
        assert list(tmp_path.iterdir()) == [old]
        assert text_of("primary").read_bytes() == foreign.plain(old, "primary")
        first = text_of("filelists").read_bytes()
        foreign.document(old, "filelists").unlink()
        assert text_of("filelists").read_bytes() == first


def test_a_single_text_that_is_not_what_the_index_says_is_refused_each_time(old: Path, tmp_path: Path) -> None:
    foreign.createrepo(old)
    path = foreign.document(old, "primary")
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with open_source(str(old), lambda _: None) as source:
        text_of = open_texts(source, tmp_path)
        for _ in range(2):
            with pytest.raises(Corrupt, match=r"old: primary: .*: expected sha256 "):
                text_of("primary")
    with (
        open_source(str(tmp_path), lambda _: None) as source,
        pytest.raises(NotFound, match="no repository at "),
    ):
        open_texts(source, tmp_path)
