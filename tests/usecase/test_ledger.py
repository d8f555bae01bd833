"""What is known of each build: folded from records before they go, marked by people, shared by many writers."""

import threading

import pytest

from repod.doors import Expect
from repod.errors import Corrupt
from repod.generation import Generation
from repod.ledger import Coming, Ledger, Mark, comings
from repod.package import Nevra, Origin, Package, Sha256
from repod.store.memory import MemoryStore
from tests.lab.faulty import FaultyStore, Step
from tests.lab.records import record

MARK = Mark(time=10.0, actor="anna", why="audit")


def package(release: str, digit: str = "1", name: str = "hello") -> Package:
    nevra = Nevra(name=name, epoch=0, version="1.0", release=release, arch="noarch")
    return Package(nevra=nevra, pkgid=Sha256(digit * 64), size=1, href=nevra.location)


def generation(number: int, *added: Package, origins: tuple[Origin, ...] = ()) -> Generation:
    return record(number, added, origins=origins, actor="inbox")


def ledger(store: MemoryStore | FaultyStore) -> Ledger:
    return Ledger(store, lambda _: None)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: 5.0)


def test_the_earliest_record_says_how_a_build_came() -> None:
    one, origin = package("1"), Origin(how="arrival", of="one.rpm", checksum="ab")
    again = Origin(how="rollback", of="2")
    found = comings([generation(7, one, origins=(again,)), generation(2, one, origins=(origin,))])
    assert found == {one.pkgid: Coming(generation=2, time=200, actor="inbox", why="why 2", origin=origin)}


def test_a_record_that_names_no_origins_leaves_them_unknown() -> None:
    assert comings([generation(3, package("1"))])[package("1").pkgid].origin.how == "unknown"


def test_folding_keeps_what_is_known_already(store: MemoryStore) -> None:
    one, two = package("1"), package("2", "2")
    ledger(store).fold([generation(2, one)])
    ledger(store).fold([generation(5, one, two)])
    came = {known.nevra.release: known.came.generation for known in ledger(store).all().values() if known.came}
    assert came == {"1": 2, "2": 5}


def test_marks_are_of_these_bytes_of_a_build_and_end_when_they_are_taken_off(store: MemoryStore) -> None:
    book, one, other = ledger(store), package("1"), package("1", "9")
    book.pin(one, MARK)
    book.label(one, "tested", MARK)
    assert (book.of(one).pin, dict(book.of(one).labels)) == (MARK, {"tested": MARK})
    assert (book.of(other).pin, dict(book.of(other).labels)) == (None, {})
    assert book.unpin(one)
    assert book.unlabel(one, "tested")
    assert not book.unpin(one)
    assert not book.unlabel(one, "tested")
    assert book.of(one).pin is None


def test_what_is_known_follows_a_build_to_the_bytes_that_it_gets_when_it_is_signed_anew(store: MemoryStore) -> None:
    book, one, anew = ledger(store), package("1"), package("1", "9")
    book.fold([generation(2, one)])
    book.label(one, "tested", MARK)
    book.follow([(one, anew)])
    assert dict(book.of(anew).labels) == {"tested": MARK}
    assert book.of(anew).came == book.of(one).came
    book.drop([one])
    assert set(book.all()) == {anew.pkgid}


def test_writers_at_once_lose_nothing(store: MemoryStore) -> None:
    packages = [package(str(number), f"{number:x}") for number in range(10)]
    threads = [threading.Thread(target=ledger(store).pin, args=[one, MARK]) for one in packages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(ledger(store).all()) == {one.pkgid for one in packages}


def test_a_write_that_lost_the_race_is_made_again_on_what_the_other_wrote(store: MemoryStore) -> None:
    one, two = package("1"), package("2", "2")
    raced: list[bool] = []

    def race(step: Step) -> None:
        if step.name == "write" and step.moment == "before" and not raced:
            raced.append(True)
            ledger(store).pin(two, MARK)

    ledger(FaultyStore(store, race)).pin(one, MARK)
    assert set(ledger(store).all()) == {one.pkgid, two.pkgid}


def test_an_unreadable_shard_is_named_and_never_taken_for_an_empty_one(store: MemoryStore) -> None:
    book, one = ledger(store), package("1")
    book.pin(one, MARK)
    path = next(iter(store.list(".repod/ledger/"))).path
    store.write(path, b'{"format": 9}', Expect.ANY)
    with pytest.raises(Corrupt, match=path):
        book.pin(one, MARK)
    assert store.read(path).data == b'{"format": 9}'
