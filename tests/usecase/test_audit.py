"""The audit finds every way in which a repository can lie; host files are written once and kept right."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repod.doors import Change, Expect
from repod.errors import Conflict, Unavailable
from repod.generation import HEAD, Document, Generation, Head, record_path
from repod.hostfiles import ZYPPER_KEY, key_name, repo_file, write_host_files
from repod.ledger import Ledger
from repod.package import Nevra, Origin, StorePath, sha256, store_path
from repod.repodata.carried import SetDocument
from repod.repodata.repomd import repomd
from repod.statement import STATEMENT
from repod.views import METALINK, REPOMD, SIGNATURE, Views
from tests.lab.care import Care
from tests.lab.entries import described, made
from tests.lab.fakes import MacSigner, armor
from tests.lab.faulty import FaultyStore, Step
from tests.lab.site import URL as URL_OF_SITE
from tests.lab.site import Site
from tests.lab.site import site as site_in

A, B = made("a-1.0-1.noarch"), made("b-1.0-1.noarch")
URL = "https://example.com/el9/"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as site:
        publisher = site.opened()
        site.publish(publisher, A)
        site.publish(publisher, B)
        Care(site, tmp_path / "care").write_host_files()
        yield site


@pytest.fixture
def care(site: Site, tmp_path: Path) -> Care:
    return Care(site, tmp_path / "care")


def rewritten(site: Site, which: int, **fields: object) -> None:
    """Give a record other fields."""
    record = json.loads(site.inner.read(record_path(which)).data)
    site.inner.write(record_path(which), json.dumps(record | fields).encode(), Expect.ANY)


def alter(site: Site, path: StorePath) -> None:
    data = bytearray(site.inner.read(path).data)
    data[len(data) // 2] ^= 1
    site.inner.write(path, bytes(data), Expect.ANY)


def primary(site: Site) -> StorePath:
    return site.generations[0].documents[0].href


def frozen(site: Site) -> StorePath:
    generation = site.generations[0]
    return StorePath(generation.view + generation.frozen.href)


def test_a_sound_repository_has_no_finding(care: Care) -> None:
    assert care.findings() == []


@pytest.mark.parametrize(
    ("spoil", "path", "says"),
    [
        (
            lambda site: alter(site, A.package.href),
            lambda _: A.package.href,
            f"altered: expected {A.package.size} bytes",
        ),
        (
            lambda site: site.inner.remove(B.package.href),
            lambda _: B.package.href,
            "listed by generation 3 but missing",
        ),
        (lambda site: alter(site, primary(site)), primary, "altered"),
        (lambda site: site.inner.remove(primary(site)), primary, "named but missing"),
        (lambda site: alter(site, REPOMD), lambda _: REPOMD, "not that of generation 3; restart repod"),
        (lambda site: site.inner.remove(SIGNATURE), lambda _: SIGNATURE, "not that of generation 3; restart repod"),
        (lambda site: alter(site, METALINK), lambda _: METALINK, "not that of generation 3"),
        (lambda site: alter(site, frozen(site)), frozen, "altered"),
        (
            lambda site: site.inner.remove(StorePath("generations/2/" + REPOMD)),
            lambda _: StorePath("generations/2/" + REPOMD),
            "not as its record says",
        ),
        (lambda site: alter(site, ZYPPER_KEY), lambda _: ZYPPER_KEY, "not as the settings say"),
        (
            lambda site: site.inner.remove(record_path(2)),
            lambda _: record_path(2),
            "what became of 2 to 2 is lost; restore it from a copy",
        ),
        (
            lambda site: site.inner.remove(record_path(3)),
            lambda _: record_path(3),
            "generation 3 is current and its record is missing or unreadable",
        ),
        (
            lambda site: rewritten(site, 3, time=5),
            lambda _: record_path(3),
            "its time lies before that of generation 2",
        ),
        (lambda site: rewritten(site, 2, number=7), lambda _: record_path(2), "it says that it is generation 7"),
        (lambda site: rewritten(site, 3, parent=1), lambda _: record_path(3), "its parent is 1, expected 2"),
        (lambda site: rewritten(site, 3, added=[]), lambda _: record_path(3), "from its content with 2 packages"),
        (lambda site: rewritten(site, 1, actor=3), lambda _: record_path(1), "unreadable"),
        (lambda site: rewritten(site, 1, why="x"), lambda _: record_path(1), "altered since generation 2 was made"),
        (lambda site: site.inner.remove(HEAD), lambda _: HEAD, "name the newest generation that has a record"),
    ],
)
def test_what_was_altered_or_lost_is_a_fault_that_names_it_and_the_remedy(
    spoil: Callable[[Site], None], path: Callable[[Site], StorePath], says: str, site: Site, care: Care
) -> None:
    wanted = path(site)
    spoil(site)
    found = {finding.path: finding.text for finding in care.findings() if finding.severity == "fault"}
    # The metalink tells the time of a generation too, and the statement names the record of the current one.
    assert found.keys() - {METALINK, STATEMENT} == {wanted} - {METALINK}
    assert says in found[wanted]


def test_a_signature_by_another_key_is_a_fault(site: Site, tmp_path: Path) -> None:
    stranger = Care(site, tmp_path / "care", signer=MacSigner("another"))
    stranger.write_host_files()
    found = {finding.path: finding.text for finding in stranger.findings()}
    frozen_signature = "generations/3/" + SIGNATURE
    assert "by no key that hosts get" in found.pop(STATEMENT)
    assert found.keys() == {SIGNATURE, frozen_signature}
    assert all("does not verify with the configured key" in text for text in found.values())


def test_a_file_that_nothing_lists_is_a_note(site: Site, care: Care) -> None:
    left = made("c-1.0-1.noarch")
    site.put(left)
    (finding,) = care.findings()
    assert (finding.severity, finding.path) == ("note", left.package.href)
    assert "c-1.0-1.noarch; it may be on its way" in finding.text


def test_a_second_file_of_a_listed_build_is_a_note_that_names_both_paths(site: Site, care: Care) -> None:
    """C072: the listed one counts, today and after a restart."""
    second = StorePath("Packages/by-hand/a.rpm")
    site.put(made(A.nevra, "another build", second))
    for _ in range(2):
        (finding,) = care.findings()
        assert (finding.severity, finding.path) == ("note", second)
        assert f"a second file of {A.nevra}, which is listed as {A.package.href}" in finding.text


def test_what_lies_in_the_places_of_documents_and_is_nobodys_is_a_note(site: Site, care: Care) -> None:
    strays = {StorePath("repodata/notes.txt"), StorePath("generations/9/repodata/repomd.xml")}
    for path in strays:
        site.inner.write(path, b"x", Expect.ABSENT)
    found = care.findings()
    assert {(finding.severity, finding.path) for finding in found} == {("note", path) for path in strays}
    assert all("nobody's" in finding.text for finding in found)


def test_what_a_publish_under_way_has_stored_is_no_finding_until_it_is_old(site: Site, care: Care) -> None:
    data = b"a document"
    path = StorePath(f"repodata/{hashlib.sha256(data).hexdigest()}-primary.xml.gz")
    site.inner.add(path, [data], sha256(hashlib.sha256(data).hexdigest()))
    assert care.findings() == []
    site.clock.now += 3601
    (finding,) = care.findings()
    assert (finding.severity, finding.path) == ("note", path)
    assert "pruning removes it" in finding.text


@pytest.mark.parametrize(
    ("words", "how", "severity", "says"),
    [
        ("key=none", "arrival", "fault", "not signed: hosts with gpgcheck=1 refuse it"),
        ("key=none", "adoption", "note", "not signed"),
        ("key=STRANGER", "arrival", "fault", "signed by STRANGER only, not by a published key"),
        ("key=STRANGER", "adoption", "note", "signed by STRANGER only"),
        ("fault=digest", "arrival", "fault", "hosts refuse it: something about fault=digest"),
    ],
)
def test_a_package_that_hosts_refuse_is_told_of_by_who_let_it_in(
    words: str, how: str, severity: str, says: str, site: Site, care: Care
) -> None:
    """A person decided to adopt a package as it was; what repod published itself it had signed."""
    odd = made("odd-1.0-1.noarch", words)
    site.put(odd)
    entry = replace(odd.entry, origin=Origin(how=how, of=""))
    site.opened().publish(Change(entries=[entry]), actor="anna", why="test")
    (finding,) = care.findings()
    assert (finding.severity, finding.path) == (severity, odd.package.href)
    assert says in finding.text


def test_what_was_adopted_stays_so_when_it_comes_back_and_when_its_record_is_pruned(site: Site, care: Care) -> None:
    odd, publisher = made("odd-1.0-1.noarch", "key=none"), site.opened()
    site.put(odd)
    entry = replace(odd.entry, origin=Origin(how="adoption", of="old"))
    adopted = publisher.publish(Change(entries=[entry]), actor="anna", why="test")
    publisher.publish(Change(removed=[odd.nevra]), actor="anna", why="test")
    publisher.publish(Change(entries=[odd.entry]), actor="anna", why="test")
    Ledger(site.inner, site.pause).fold([adopted])
    for number in range(1, adopted.number + 1):
        site.inner.remove(record_path(number))
    assert {finding.severity for finding in care.findings() if finding.path == odd.package.href} == {"note"}


def test_an_unreadable_ledger_is_a_fault(site: Site, care: Care) -> None:
    site.inner.write(StorePath(".repod/ledger/ab.json"), b"{", Expect.ABSENT)
    (finding,) = care.findings()
    assert finding.severity == "fault"
    assert finding.text.startswith(".repod/ledger/ab.json is unreadable")


def test_a_package_that_is_listed_as_another_is_a_fault(site: Site, care: Care) -> None:
    file = made("real-1.0-1.noarch").file
    odd = described(Nevra.parse("odd-1.0-1.noarch"), file)
    site.publish(site.opened(), odd)
    (finding,) = care.findings()
    assert (finding.severity, finding.path) == ("fault", odd.package.href)
    assert "it is real-1.0-1.noarch, listed as odd-1.0-1.noarch" in finding.text


def test_a_package_that_only_an_older_generation_lists_is_checked_too(site: Site, care: Care) -> None:
    site.opened().publish(Change(removed=[A.nevra]), actor="test", why="test")
    assert care.findings() == []
    site.inner.remove(A.package.href)
    (finding,) = care.findings()
    assert (finding.severity, finding.path) == ("fault", A.package.href)
    assert "listed by generation 3 but missing" in finding.text


def test_packages_are_checked_even_where_the_documents_are_damaged(site: Site, care: Care) -> None:
    alter(site, primary(site))
    alter(site, frozen(site))
    alter(site, A.package.href)
    assert {finding.path for finding in care.findings()} == {primary(site), frozen(site), A.package.href}


def test_documents_that_contradict_each_other_are_a_fault(site: Site, care: Care) -> None:
    """Each has its checksum, and the index names them: only who reads them sees it."""
    generation = site.generations[0]
    filelists = generation.documents[1]
    text = gzip.decompress(site.inner.read(filelists.href).data).replace(b'name="b"', b'name="x"')
    with_other(site, generation, filelists, text)
    (finding,) = [finding for finding in care.findings() if finding.what == "content"]
    assert "differs from primary: x-1.0-1.noarch where primary has b-1.0-1.noarch" in finding.text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"</metadata>", b"", "is not sound XML"),
        (b'packages="2"', b'packages="3"', "says that it holds 3 packages, and holds 2"),
        (b'href="Packages/b/', b'href="../b/', "unsafe href"),
        (b'pkgid="YES"', b'pkgid="NO"', "its checksum is no sha256 pkgid"),
        (b'type="sha256"', b'type="sha1"', "its checksum is no sha256 pkgid"),
        (b"<location ", b'<location xml:base="http://x/" ', "xml:base"),
        (b"<metadata ", b"<otherdata ", "is not sound XML"),
        (b"  <name>b</name>", b"", "lacks name"),
        (b"?>\n<metadata", b"?>\n<!DOCTYPE metadata [<!ENTITY e 'x'>]>\n<metadata", "it has a DOCTYPE"),
    ],
)
def test_documents_that_cannot_be_understood_are_a_fault(
    old: bytes, new: bytes, says: str, site: Site, care: Care
) -> None:
    generation = site.generations[0]
    document = generation.documents[0]
    text = gzip.decompress(site.inner.read(document.href).data)
    with_other(site, generation, document, text.replace(old, new))
    (finding,) = [finding for finding in care.findings() if finding.what == "content"]
    assert says in finding.text


def with_other(site: Site, generation: Generation, document: Document, text: bytes) -> None:
    """Give a generation another text in a document, in all its places, as if it had been published so."""
    packed = gzip.compress(text, mtime=0)
    sums = [hashlib.sha256(data).hexdigest() for data in (packed, text)]
    new = replace(
        document,
        href=store_path(document.href.replace(document.checksum, sums[0])),
        checksum=sha256(sums[0]),
        size=len(packed),
        open_checksum=sha256(sums[1]),
        open_size=len(text),
    )
    documents = tuple(new if one is document else one for one in generation.documents)
    other = replace(generation, documents=documents)
    for path, one in other.stored.items():
        if one is new:
            site.inner.add(path, [packed], new.checksum)
    live = repomd(documents, generation.number)
    frozen = repomd([generation.frozen, *documents[1:]], generation.number)
    signed = [armor(site.signer.sign(index)).decode() for index in (live, frozen)]
    other = replace(
        other,
        repomd=live.decode(),
        frozen_repomd=frozen.decode(),
        signature=signed[0],
        frozen_signature=signed[1],
    )
    site.inner.write(record_path(other.number), other.to_json(), Expect.ANY)
    Views(site.inner, URL_OF_SITE, site.pause).freeze(other)
    Views(site.inner, URL_OF_SITE, site.pause).follow(lambda: other)


def test_a_damaged_packed_document_is_a_fault_whatever_its_record_says(site: Site, care: Care) -> None:
    old, junk = site.generations[0].documents[0], b"not gzip"
    checksum = hashlib.sha256(junk).hexdigest()
    site.inner.write(StorePath(old.href.replace(old.checksum, checksum)), junk, Expect.ABSENT)
    record = site.inner.read(record_path(3)).data.decode().replace(old.checksum, checksum)
    site.inner.write(record_path(3), record.replace(f'"size": {old.size}', '"size": 8').encode(), Expect.ANY)
    assert any(finding.path == "repodata" and "cannot be unpacked" in finding.text for finding in care.findings())


def test_a_carried_document_that_hosts_cannot_read_is_a_fault(site: Site, care: Care) -> None:
    bad = SetDocument(type="group", data=b"<comps><group/></comps>")
    site.opened().publish(Change(edits=[bad]), actor="adopt", why="test")
    (finding,) = care.findings()
    assert (finding.severity, finding.path) == ("fault", site.generations[0].documents[3].href)
    assert "has no <id>" in finding.text


def test_a_publish_that_is_under_way_is_a_note(site: Site, care: Care) -> None:
    site.inner.write(HEAD, Head(generation=2).to_json(), Expect.ANY)
    notes = [finding for finding in care.findings() if finding.path == record_path(3)]
    assert [finding.severity for finding in notes] == ["note"]
    assert "the next start finishes it" in notes[0].text


def test_a_daemon_that_publishes_meanwhile_is_no_finding(site: Site, tmp_path: Path) -> None:
    """Before each reading of the audit another package is published."""
    publisher = site.opened()
    numbers = iter(range(1000))

    def publish(step: Step) -> None:
        if step.moment == "before" and step.name in {"read", "list"} and (number := next(numbers)) < 25:
            site.publish(publisher, made(f"n{number}-1.0-1.noarch"))

    care = Care(site, tmp_path / "care", store=FaultyStore(site.inner, publish))
    assert [finding for finding in care.findings() if finding.severity == "fault"] == []


def test_an_empty_store_has_no_generation_and_is_told_so(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        findings = Care(site, tmp_path / "care").findings()
        assert findings[0].path == HEAD
        assert "start repod to create one" in findings[0].text


def test_a_host_gets_the_key_and_a_repo_file_that_trusts_nothing_unsigned(site: Site) -> None:
    repo = repo_file("el9", URL, metalink=True)
    write_host_files(site.inner, "el9", repo, b"the key\n")
    files = site.dump()
    assert files[key_name("el9")] == files[ZYPPER_KEY] == b"the key\n"
    text = files[StorePath("el9.repo")].decode()
    assert text == repo
    lines = text.splitlines()
    assert lines[0] == "[el9]"
    assert {f"metalink={URL}metalink.xml", f"#mirrorlist={URL}mirrorlist", f"#baseurl={URL}"} <= set(lines)
    assert {"gpgcheck=1", "repo_gpgcheck=1", "skip_if_unavailable=0", "enabled=1"} <= set(lines)
    assert f"gpgkey={URL}RPM-GPG-KEY-el9" in lines


def test_hosts_that_keep_a_metalink_too_long_get_the_live_view() -> None:
    lines = repo_file("sles", URL, metalink=False).splitlines()
    assert {f"#metalink={URL}metalink.xml", f"#mirrorlist={URL}mirrorlist", f"baseurl={URL}"} <= set(lines)


def test_host_files_that_are_right_are_not_written_again(site: Site) -> None:
    repo = repo_file("el9", URL, metalink=True)
    write_host_files(site.inner, "el9", repo, b"the key\n")
    store = FaultyStore(site.inner)
    write_host_files(store, "el9", repo, b"the key\n")
    assert [step for step in store.steps if step.name == "write"] == []


def test_host_files_follow_the_settings(site: Site) -> None:
    repo = repo_file("el9", URL, metalink=True)
    write_host_files(site.inner, "el9", repo, b"the key\n")
    write_host_files(site.inner, "el9", "baseurl=https://other.example.com/\n", b"a new key\n")
    files = site.dump()
    assert files[key_name("el9")] == files[ZYPPER_KEY] == b"a new key\n"
    assert b"https://other.example.com/" in files[StorePath("el9.repo")]


def test_another_daemon_that_is_faster_with_the_host_files_is_no_error(site: Site) -> None:
    def conflict(step: Step) -> None:
        if step.name == "write":
            raise Conflict("somebody else did")

    write_host_files(FaultyStore(site.inner, conflict), "el9", "[el9]\n", b"the key\n")


def test_host_files_that_cannot_be_read_are_not_taken_for_missing(site: Site) -> None:
    def fail(step: Step) -> None:
        if step.name == "read":
            raise Unavailable("403")

    store = FaultyStore(site.inner, fail)
    with pytest.raises(Unavailable):
        write_host_files(store, "el9", "[el9]\n", b"the key\n")
    assert [step for step in store.steps if step.name == "write"] == []
