"""What is observed of the keys of a repository: since when hosts can learn each, and who signed what."""

from collections.abc import Mapping, Sequence

import pytest

from repod.announced import ANNOUNCED, announce, read_announced
from repod.doors import Expect
from repod.errors import Conflict, Corrupt
from repod.hostkeys import PUBLISHED, SIGNS, HostKey
from repod.package import Nevra, Package, Sha256, StorePath
from repod.rotation import Issuers
from repod.signatures import Signatures
from repod.store.memory import MemoryStore
from tests.lab.faulty import FaultyStore, Step


def key(letter: str, role: str = PUBLISHED) -> HostKey:
    return HostKey(
        role=role,
        fingerprint=letter * 40,
        members=frozenset({letter * 40}),
        algorithm="rsa4096",
        created=1,
        expires=None,
        source="",
        certificate=b"",
    )


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: 5.0)


def test_it_is_kept_since_when_until_when_and_as_what_hosts_got_each_key(store: MemoryStore) -> None:
    announce(store, [key("A", SIGNS)], 10)
    announce(store, [key("A", SIGNS), key("B")], 20)
    announce(store, [key("B", SIGNS), key("A")], 30)
    announce(store, [key("B", SIGNS)], 40)
    found = {one.fingerprint[0]: (one.since, one.until, one.signed) for one in read_announced(store).values()}
    assert found == {"A": (10, 40, 10), "B": (20, None, 30)}


def test_what_is_as_it_was_is_not_written_again(store: MemoryStore) -> None:
    announce(store, [key("A", SIGNS)], 10)
    before = store.read(ANNOUNCED).version
    announce(store, [key("A", SIGNS)], 20)
    assert store.read(ANNOUNCED).version == before


def test_a_key_that_comes_back_must_be_learnt_again(store: MemoryStore) -> None:
    for time, keys in ((10, [key("A", SIGNS), key("B")]), (20, [key("A", SIGNS)]), (30, [key("A", SIGNS), key("B")])):
        announce(store, keys, time)
    assert read_announced(store)["B" * 40].since == 30


def test_what_cannot_be_read_is_told_and_begins_anew(store: MemoryStore) -> None:
    store.write(ANNOUNCED, b"{}", Expect.ABSENT)
    with pytest.raises(Corrupt, match=r"keys\.json is unreadable"):
        read_announced(store)
    announce(store, [key("A", SIGNS)], 50)
    assert read_announced(store)["A" * 40].since == 50


def test_two_daemons_that_start_at_once_agree_on_one_time(store: MemoryStore) -> None:
    def faster(step: Step) -> None:
        if (step.name, step.moment) == ("write", "before"):
            announce(store, [key("A", SIGNS)], 10)
            raise Conflict("the other was faster")

    announce(FaultyStore(store, faster), [key("A", SIGNS)], 11)
    assert read_announced(store)["A" * 40].since == 10


class Memory:
    """``Seen``."""

    def __init__(self) -> None:
        self.known: Mapping[Sha256, Issuers] = {}

    def load(self) -> Mapping[Sha256, Issuers]:
        return self.known

    def save(self, known: Mapping[Sha256, Issuers]) -> None:
        self.known = known


def packages(store: MemoryStore, count: int) -> list[Package]:
    found = []
    for number in range(count):
        nevra = Nevra(name=f"p{number}", epoch=0, version="1", release="1", arch="noarch")
        href = StorePath(f"Packages/p/{number}.rpm")
        store.write(href, b"signer %d" % number, Expect.ABSENT)
        found.append(Package(nevra=nevra, pkgid=Sha256(f"{number:064x}"), size=1, href=href))
    return found


def test_each_package_is_looked_at_once_and_one_without_a_file_is_left_out(store: MemoryStore) -> None:
    asked: list[int] = []
    seen = Memory()

    def read(heads: Sequence[bytes]) -> Sequence[Sequence[str]]:
        asked.append(len(heads))
        return [[head.decode()] for head in heads]

    def look(of: list[Package]) -> Mapping[Sha256, Issuers]:
        return Signatures(store=store, read=read, seen=seen, parallel=2).of(of)

    all_of_them = packages(store, 600)
    store.remove(all_of_them[0].href)
    found = look(all_of_them)
    assert len(found) == 599
    assert found[all_of_them[7].pkgid] == {"signer 7"}
    assert sum(asked) == 599
    assert len(asked) == 3
    assert look(all_of_them[1:300]) == {one.pkgid: found[one.pkgid] for one in all_of_them[1:300]}
    assert sum(asked) == 599
