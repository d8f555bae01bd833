"""The audit finds every way in which a repository can lie; host files are written once and kept right."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from repod.audit import Audit, Finding
from repod.doors import Expect
from repod.errors import Conflict, Unavailable
from repod.generation import HEAD, record_path
from repod.history import History
from repod.hostfiles import ZYPPER_KEY, key_name, repo_file, write_host_files
from repod.package import StorePath
from repod.repodata import listing
from repod.views import REPOMD, SIGNATURE
from tests.lab.entries import made
from tests.lab.fakes import MacSigner, dearmor, verifies
from tests.lab.faulty import FaultyStore, Step
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
        yield site


def findings(site: Site, signer: MacSigner | None = None) -> list[Finding]:
    signer = signer or site.signer
    audit = Audit(
        store=site.inner,
        listing=partial(listing.packages, site.inner),
        history=History(site.inner),
        verify_signature=lambda data, signature: verifies(signer.public_key, data, dearmor(signature)),
    )
    return list(audit.verify())


def alter(site: Site, path: StorePath) -> None:
    data = bytearray(site.inner.read(path).data)
    data[len(data) // 2] ^= 1
    site.inner.write(path, bytes(data), Expect.ANY)


def primary(site: Site) -> StorePath:
    return site.generations[0].documents[0].href


def test_a_sound_repository_has_no_finding(site: Site) -> None:
    assert findings(site) == []


@pytest.mark.parametrize(
    ("spoil", "path", "says"),
    [
        (
            lambda site: alter(site, A.package.href),
            lambda _: A.package.href,
            f"altered: expected {A.package.size} bytes",
        ),
        (lambda site: site.inner.remove(B.package.href), lambda _: B.package.href, "listed but missing"),
        (lambda site: alter(site, primary(site)), primary, "altered"),
        (lambda site: site.inner.remove(primary(site)), primary, "listed but missing"),
        (lambda site: alter(site, REPOMD), lambda _: REPOMD, "not that of generation 3; restart repod"),
        (lambda site: site.inner.remove(SIGNATURE), lambda _: SIGNATURE, "not that of generation 3; restart repod"),
    ],
)
def test_what_was_altered_or_lost_is_a_fault_that_names_it_and_the_remedy(
    spoil: Callable[[Site], None], path: Callable[[Site], StorePath], says: str, site: Site
) -> None:
    spoil(site)
    (finding,) = findings(site)
    assert (finding.severity, finding.path) == ("fault", path(site))
    assert says in finding.text


def test_a_signature_by_another_key_is_a_fault(site: Site) -> None:
    (finding,) = findings(site, MacSigner("another"))
    assert (finding.severity, finding.path) == ("fault", SIGNATURE)
    assert "does not verify with the configured key" in finding.text


def test_a_file_that_nothing_lists_is_a_note(site: Site) -> None:
    left = made("c-1.0-1.noarch")
    site.put(left)
    assert [(finding.severity, finding.path) for finding in findings(site)] == [("note", left.package.href)]


def test_documents_that_cannot_be_understood_are_a_fault(site: Site) -> None:
    old, junk = site.generations[0].documents[0], b"not gzip"
    checksum = hashlib.sha256(junk).hexdigest()
    site.inner.write(StorePath(old.href.replace(old.checksum, checksum)), junk, Expect.ABSENT)
    record = site.inner.read(record_path(3)).data.decode().replace(old.checksum, checksum)
    site.inner.write(record_path(3), record.replace(f'"size": {old.size}', '"size": 8').encode(), Expect.ANY)
    assert any(finding.path == "repodata" and "gzip" in finding.text for finding in findings(site))


def test_an_empty_store_has_no_generation_and_is_told_so(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        (finding,) = findings(site)
        assert (finding.severity, finding.path) == ("fault", HEAD)


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
