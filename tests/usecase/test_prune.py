"""Old generations go, and nothing that a client may still ask for goes with them."""

import pytest

from repod.doors import Expect
from repod.errors import Corrupt
from repod.generation import HEAD, Document, Generation, Head, record_path
from repod.package import StorePath, sha256
from repod.prune import Pruner, expired
from repod.store.memory import MemoryStore
from repod.views import frozen

DAY = 86400


def document(number: int, kind: str = "primary") -> Document:
    digest = sha256(f"{number:064x}")
    href = StorePath(f"repodata/{digest}-{kind}.xml.gz")
    return Document(
        type=kind, href=href, checksum=digest, size=1, open_checksum=digest, open_size=1, timestamp=number * DAY
    )


def generation(number: int, *documents: Document) -> Generation:
    return Generation(
        number=number,
        parent=number - 1,
        time=number * DAY,
        actor="test",
        why="test",
        packages=0,
        added=(),
        removed=(),
        documents=documents or (document(number),),
        frozen=document(1000 + number),
        repomd="",
        signature="",
        frozen_repomd="",
        frozen_signature="",
    )


class Place:
    """A store with generations 1 to ``count``, one a day, and a clock at the last."""

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self.store = MemoryStore(lambda: self.now)
        for number in range(1, count + 1):
            self.now = float(number * DAY)
            self.publish(generation(number))

    def publish(self, new: Generation) -> None:
        for path in (*new.stored, *frozen(new)):
            self.store.write(path, b"x", Expect.ANY)
        self.store.write(record_path(new.number), new.to_json(), Expect.ABSENT)
        self.store.write(HEAD, Head(generation=new.number).to_json(), Expect.ANY)

    def paths(self) -> set[str]:
        return {stored.path for stored in self.store.list("") if stored.path != HEAD}


def kept(*numbers: int) -> set[str]:
    generations = [generation(number) for number in numbers]
    return {path for one in generations for path in (record_path(one.number), *one.stored, *frozen(one))}


@pytest.mark.parametrize(
    ("keep", "grace", "left"), [(2, 0, [9, 10]), (1, 0, [9, 10]), (4, 0, [7, 8, 9, 10]), (3, 5, list(range(4, 11)))]
)
def test_the_newest_generations_stay_and_those_that_were_current_within_grace(
    keep: int, grace: int, left: list[int]
) -> None:
    place = Place(10)
    # Generation N is current until day N + 1: on day 10, generation 9 still was a moment ago.
    Pruner(place.store, keep=keep, grace=grace * DAY).prune(place.now)
    assert place.paths() == kept(*left)


def test_a_generation_counts_as_current_until_its_successor_was_made() -> None:
    newest_first = [generation(9), generation(2), generation(1)]
    assert [g.number for g in expired(newest_first, 1, 5 * DAY, 10.0 * DAY)] == [1]


def test_the_current_generation_stays_whatever_its_age() -> None:
    place = Place(3)
    Pruner(place.store, keep=1, grace=0).prune(1000.0 * DAY)
    assert place.paths() == kept(3)


def test_a_document_that_a_kept_generation_names_too_stays() -> None:
    place = Place(2)
    place.publish(generation(3, document(3), document(1, "primary")))
    Pruner(place.store, keep=1, grace=0).prune(1000.0 * DAY)
    assert document(1).href in place.paths()
    assert document(2).href not in place.paths()


def test_a_document_that_no_record_names_goes_once_it_is_older_than_grace() -> None:
    place = Place(1)
    place.store.write(document(77).href, b"x", Expect.ABSENT)
    pruner = Pruner(place.store, keep=1, grace=3 * DAY)
    pruner.prune(place.now + 2 * DAY)
    assert document(77).href in place.paths()
    pruner.prune(place.now + 4 * DAY)
    assert document(77).href not in place.paths()


def test_documents_of_a_repository_that_was_adopted_in_place_stay_for_grace_however_old_they_are() -> None:
    """Hosts may have read its index a moment before the adopt."""
    place = Place(0)
    place.store.write(document(77).href, b"x", Expect.ABSENT)
    place.now = 100.0 * DAY
    place.publish(generation(100))
    pruner = Pruner(place.store, keep=1, grace=3 * DAY)
    pruner.prune(102.0 * DAY)
    assert document(77).href in place.paths()
    pruner.prune(104.0 * DAY)
    assert document(77).href not in place.paths()


def test_files_that_are_no_documents_are_never_touched() -> None:
    place = Place(3)
    others = ("repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/notes.txt", "Packages/a/a-1-1.noarch.rpm")
    for path in others:
        place.store.write(StorePath(path), b"x", Expect.ABSENT)
    Pruner(place.store, keep=1, grace=0).prune(1000.0 * DAY)
    assert set(others) < place.paths()


def test_the_plan_is_what_is_carried_out_and_a_second_run_removes_nothing() -> None:
    place = Place(6)
    pruner = Pruner(place.store, keep=2, grace=0)
    before, planned = place.paths(), pruner.plan(place.now)
    assert pruner.prune(place.now) == planned
    assert before - place.paths() == {removal.path for removal in planned}
    assert pruner.prune(place.now) == []


def test_a_stop_at_any_step_leaves_a_record_from_which_the_next_run_goes_on() -> None:
    for steps in range(10):
        place = Place(6)
        pruner = Pruner(place.store, keep=2, grace=0)
        for removal in pruner.plan(place.now)[:steps]:
            place.store.remove(removal.path)
        pruner.prune(place.now)
        assert place.paths() == kept(5, 6)


def test_a_store_without_a_pointer_is_left_alone() -> None:
    store = MemoryStore(lambda: 0.0)
    store.write(document(1).href, b"x", Expect.ABSENT)
    assert Pruner(store, keep=1, grace=0).prune(1000.0 * DAY) == []


def test_a_record_ahead_of_the_pointer_belongs_to_a_publish_under_way() -> None:
    place = Place(3)
    ahead = generation(4)
    for path in (record_path(4), *ahead.stored, *frozen(ahead)):
        place.store.write(path, ahead.to_json(), Expect.ABSENT)
    Pruner(place.store, keep=1, grace=0).prune(place.now)
    assert kept(4) <= place.paths()


def test_no_record_is_read_where_there_is_nothing_that_could_go() -> None:
    place = Place(3)
    place.store.write(record_path(2), b"unreadable", Expect.ANY)
    assert Pruner(place.store, keep=3, grace=3 * DAY).plan(place.now) == []
    assert Pruner(place.store, keep=2, grace=3 * DAY).plan(place.now) == []
    with pytest.raises(Corrupt):
        Pruner(place.store, keep=2, grace=DAY).plan(place.now)
    with pytest.raises(Corrupt):
        Pruner(place.store, keep=3, grace=DAY).plan(place.now)
