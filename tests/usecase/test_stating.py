"""The statement of what is current: made of what keys of hosts signed, kept fresh, and records that hang together."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repod.doors import Expect, Store
from repod.errors import Corrupt
from repod.generation import HEAD, Generation, Head, record_path
from repod.package import StorePath, digest
from repod.publish import Publisher
from repod.records import read_records
from repod.signed import Kept
from repod.statement import STATEMENT, envelope, read
from repod.views import METALINK, MIRRORLIST, REPOMD, SIGNATURE
from tests.lab import stated
from tests.lab.entries import made
from tests.lab.fakes import MacSigner
from tests.lab.faulty import Crash, FaultyStore, Step
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

A, B, C = made("a-1.0-1.noarch"), made("b-1.0-1.noarch"), made("c-1.0-1.noarch")


def said(site: Site) -> dict[str, Any]:
    found = stated.said(site.inner, site.signer.public_key)
    assert found is not None
    return found


def plain(site: Site) -> Publisher:
    """Whose writes nobody looks at: the store is not whole before."""
    return site.publisher(FaultyStore(site.inner))


def rewrite(store: Store, number: int, **fields: Any) -> None:
    """Another record, as who can write the bucket makes it."""
    tree = json.loads(store.read(record_path(number)).data) | fields
    tree = {name: value for name, value in tree.items() if value is not ...}
    store.write(record_path(number), json.dumps(tree).encode(), Expect.ANY)


def test_each_record_names_the_one_before_it_and_the_statement_the_newest(site: Site) -> None:
    publisher = site.opened()
    for package in (A, B, C):
        site.publish(publisher, package)
    digests = [digest(site.inner.read(record_path(number)).data) for number in (1, 2, 3, 4)]
    assert [one.parent_sha256 for one in reversed(site.generations)] == [None, *digests[:3]]
    found = said(site)
    assert (found["repository"], found["generation"], found["record"]) == (stated.NAME, 4, digests[3])
    assert found["before"] == [[3, digests[2]], [2, digests[1]], [1, digests[0]]]
    assert read(envelope(site.inner.read(STATEMENT).data).document).generation == 4
    site.assert_settled()


def test_of_two_who_publish_in_turn_both_go_on_with_the_chain(site: Site) -> None:
    one, other = site.opened(), site.opened()
    site.publish(one, A)
    site.publish(other, B)
    site.publish(one, C)
    assert [number for number, _ in said(site)["before"]] == [3, 2, 1]
    site.assert_settled()


def test_it_is_signed_anew_after_a_third_of_its_time_and_only_then(site: Site) -> None:
    publisher = site.opened()
    before = said(site)
    assert publisher.renew() == Kept(expires=int(site.clock.now + stated.VALID), anew=False)
    site.clock.now += stated.VALID / 3
    assert publisher.renew() == Kept(expires=int(site.clock.now + stated.VALID), anew=True)
    after = said(site)
    assert {name for name in after if after[name] != before[name]} == {"issued", "expires"}
    site.assert_settled()


@pytest.mark.parametrize("damage", ["removed", "garbage", "of another repository", "of another key"])
def test_one_that_is_lost_or_not_ours_is_replaced(damage: str, site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    generation, record = site.generations[0], digest(site.inner.read(record_path(2)).data)
    if damage == "removed":
        site.inner.remove(STATEMENT)
    elif damage == "garbage":
        site.inner.write(STATEMENT, b"\x00", Expect.ANY)
    elif damage == "of another repository":
        other = stated.statements(site.inner, site.signer, site.clock, name="other")
        site.inner.write(STATEMENT, other.make(generation, record), Expect.ANY)
    else:
        other = stated.statements(site.inner, type(site.signer)("another"), site.clock)
        site.inner.write(STATEMENT, other.make(generation, record), Expect.ANY)
    kept = plain(site).renew()
    assert kept is not None
    assert kept.anew
    site.assert_settled()


def test_a_record_that_who_can_write_the_bucket_put_there_gets_no_statement(site: Site) -> None:
    """Its index is signed by no key of hosts: repod does not sign for it that it is current."""
    site.publish(site.opened(), A)
    before = site.inner.read(STATEMENT).data
    forged = replace(site.generations[0], number=3, parent=2, repomd="<evil/>", why="evil")
    site.inner.write(record_path(3), forged.to_json(), Expect.ANY)
    site.inner.write(HEAD, Head(generation=3).to_json(), Expect.ANY)
    with pytest.raises(Corrupt, match="expected indexes of its own that are signed by a key that hosts get"):
        plain(site).renew()
    plain(site).sync_live()
    assert site.inner.read(STATEMENT).data == before


@pytest.mark.parametrize("how", ["record altered", "put back"])
def test_what_contradicts_what_was_stated_before_is_not_stated(how: str, site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    if how == "record altered":
        rewrite(site.inner, 2, why="nothing happened")
    else:
        site.inner.remove(record_path(2))
        site.inner.write(HEAD, Head(generation=1).to_json(), Expect.ANY)
    with pytest.raises(Corrupt, match=r"statement\.json: .* restore the store from a copy"):
        plain(site).renew()
    site.inner.remove(STATEMENT)
    kept = plain(site).renew()
    assert kept is not None
    assert kept.anew


def test_a_store_of_an_older_repod_gets_chain_and_statement_from_then_on(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    for number in (1, 2):
        rewrite(site.inner, number, parent_sha256=...)
    site.inner.remove(STATEMENT)
    assert Generation.from_json(site.inner.read(record_path(2)).data).parent_sha256 is None
    upgraded = plain(site)
    upgraded.open("upgraded")
    site.publish(upgraded, B)
    assert said(site)["before"] == [[2, digest(site.inner.read(record_path(2)).data)]]
    records, findings = read_records(site.inner)
    assert (records.head, findings) == (3, [])
    site.assert_settled()


def test_an_altered_record_is_found_down_to_the_oldest_that_is_kept(site: Site) -> None:
    publisher = site.opened()
    for package in (A, B, C):
        site.publish(publisher, package)
    site.inner.remove(record_path(1))
    assert read_records(site.inner)[1] == []
    rewrite(site.inner, 2, why="another reason")
    (finding,) = read_records(site.inner)[1]
    assert (finding.severity, finding.path) == ("fault", record_path(2))
    assert finding.text.startswith("altered since generation 3 was made: its record says sha256 ")
    rewrite(site.inner, 4, parent_sha256=...)
    assert [one.severity for one in read_records(site.inner)[1]] == ["fault", "note"]


def test_a_signer_that_fails_for_the_statement_alone_leaves_what_hosts_read_whole(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    signed = site.signer.sign_index

    def failing(data: bytes) -> bytes:
        if b"repod statement" in data:
            raise Corrupt("no")
        return signed(data)

    site.signer.sign_index = failing  # type: ignore[method-assign]
    with pytest.raises(Corrupt, match="no"):
        site.publish(publisher, B)
    site.signer.sign_index = signed  # type: ignore[method-assign]
    index, signature = (site.inner.read(StorePath(path)).data.decode() for path in (REPOMD, SIGNATURE))
    assert (index, signature) == (site.generations[0].repomd, site.generations[0].signature)
    site.opened()
    site.assert_settled()


def test_nothing_is_built_on_records_that_who_can_write_the_bucket_put_there(site: Site, tmp_path: Path) -> None:
    """Else repod would sign an index that lists his packages, or old ones by an old record under a new number."""
    with site_in(tmp_path / "evil") as evil:
        evil.signer = type(evil.signer)("another")
        evil.publish(evil.opened(), made("evil-1-1.noarch"))
        theirs = evil.generations[0]
        bucket = {stored.path: evil.inner.read(stored.path).data for stored in evil.inner.list("")}
    publisher = site.opened()
    site.publish(publisher, A)
    site.publish(publisher, B)
    old, newest = site.generations[1], site.generations[0]
    records = {
        "his own": replace(theirs, number=4, parent=3),
        "his documents": replace(newest, number=4, parent=3, documents=theirs.documents, frozen=theirs.frozen),
        "an old one": replace(old, number=4, parent=3),
    }
    for path, data in bucket.items():
        if path.startswith(("Packages/", "repodata/")) and path not in {REPOMD, SIGNATURE, STATEMENT}:
            site.inner.write(path, data, Expect.ANY)
    site.inner.write(HEAD, Head(generation=4).to_json(), Expect.ANY)
    for record in records.values():
        site.inner.write(record_path(4), record.to_json(), Expect.ANY)
        with pytest.raises(Corrupt, match="found others; see who wrote it and restore the store from a copy"):
            site.publish(plain(site), C)
        assert not any(stored.path == record_path(5) for stored in site.inner.list(".repod/"))


@pytest.mark.parametrize("look", ["refresh", "renew"])
@pytest.mark.parametrize("path", [METALINK, MIRRORLIST, REPOMD, SIGNATURE, STATEMENT])
def test_what_another_left_who_died_behind_the_pointer_is_finished_by_who_looks_next(
    path: StorePath, look: str, site: Site
) -> None:
    """Where nothing arrives nobody publishes, and clients must see what the pointer says all the same."""
    one, store = site.opened(), site.store()
    site.publish(one, A)
    other = site.opened(store)

    def die(step: Step) -> None:
        if (step.name, step.path, step.moment) == ("write", path, "before"):
            raise Crash

    site.plan(store, die)
    with pytest.raises(Crash):
        site.publish(other, B)
    getattr(one, look)()
    assert site.listed == seen(A, B)
    site.assert_settled()


def test_a_key_is_replaced_in_three_steps_and_whoever_starts_at_any_of_them_goes_on(site: Site) -> None:
    old, new = MacSigner("old"), MacSigner("new")
    steps = [old, MacSigner("old", others=[new]), MacSigner("new", others=[old]), new]
    for number, signer in enumerate(steps):
        site.signer = signer
        publisher = site.opened()
        site.publish(publisher, made(f"p{number}-1-1.noarch"))
        site.publish(publisher, made(f"q{number}-1-1.noarch"))
        assert publisher.renew() is not None
        stated.assert_said(site.inner, signer.public_key, site.generations[0].number)
    site.assert_settled()
    assert len(site.generations) == 1 + 2 * len(steps)


def test_where_a_key_was_replaced_at_once_publishing_says_what_to_do_and_that_helps(site: Site) -> None:
    """As in a store of an older repod, which went on with whatever key it had."""
    old = MacSigner("old")
    site.signer = old
    site.publish(site.opened(), A)
    site.inner.remove(STATEMENT)
    site.signer = MacSigner("new")
    before = site.dump()
    upgraded = plain(site)
    upgraded.open("upgraded")
    remedy = r"where another key of yours made them, name it in \[signing\] published, or .*: repod resign site$"
    for act in (lambda: site.publish(upgraded, B), upgraded.renew):
        with pytest.raises(Corrupt, match=remedy):
            act()
    assert {path for path in site.dump() if path not in before} == {B.package.href}
    site.signer = MacSigner("new", others=[old])
    site.publish(site.opened(), B)
    site.signer = MacSigner("new")
    site.publish(site.opened(), C)
    site.assert_settled()


def test_of_two_daemons_one_may_sign_with_the_new_key_first_where_both_tell_hosts_of_it(site: Site) -> None:
    old, new = MacSigner("old"), MacSigner("new")
    site.signer = MacSigner("old", others=[new])
    one = site.opened()
    site.signer = MacSigner("new", others=[old])
    other = site.opened()
    for number in range(3):
        site.publish(one, made(f"p{number}-1-1.noarch"))
        stated.assert_said(site.inner, old.public_key, site.generations[0].number)
        site.publish(other, made(f"q{number}-1-1.noarch"))
        stated.assert_said(site.inner, new.public_key, site.generations[0].number)
    site.assert_settled()


def test_a_daemon_that_does_not_know_the_key_of_another_stops_and_leaves_what_that_one_stated(site: Site) -> None:
    old = MacSigner("old")
    site.signer = old
    behind = site.opened()
    site.publish(behind, A)
    site.signer = MacSigner("new", others=[old])
    site.publish(site.opened(), B)
    before = site.inner.read(STATEMENT).data
    for act in (lambda: site.publish(behind, C), behind.renew):
        with pytest.raises(Corrupt, match=r"name it in \[signing\] published"):
            act()
    behind.sync_live()
    assert site.inner.read(STATEMENT).data == before
    site.assert_settled()
