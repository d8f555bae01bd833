"""What a publish asks of a store: on S3 each request costs money, and each that waits for another costs time."""

import threading
from collections import Counter
from itertools import pairwise

import pytest

from repod.beside import threads
from repod.doors import Change, Expect
from repod.errors import Conflict
from repod.generation import HEAD, record_path
from repod.package import StorePath
from repod.publish import Publisher
from repod.statement import STATEMENT
from repod.views import METALINK, MIRRORLIST, REPOMD, SIGNATURE
from tests.lab.counting import CountingStore
from tests.lab.entries import made
from tests.lab.faulty import FaultyStore, Step
from tests.lab.site import Site, seen

A, B, C, D = (made(f"{name}-1.0-1.noarch") for name in "abcd")


@pytest.fixture
def counted(site: Site) -> CountingStore:
    return CountingStore(inner=site.store())


@pytest.fixture
def publisher(site: Site, counted: CountingStore) -> Publisher:
    """One that has published before, so that it knows what it left."""
    publisher = site.publisher(counted, threads=threads)  # type: ignore[arg-type]
    publisher.open("test")
    site.publish(publisher, A)
    counted.clear()
    return publisher


def test_a_publish_asks_eighteen_things_of_the_store(site: Site, counted: CountingStore, publisher: Publisher) -> None:
    site.publish(publisher, B)
    assert Counter(one.name for one in counted.asked) == {"add": 4, "copy": 2, "write": 9, "read": 3}


def test_a_look_at_the_present_state_is_two_requests(counted: CountingStore, publisher: Publisher) -> None:
    publisher.refresh()
    assert {one.path for one in counted.asked} == {HEAD, record_path(3)}
    assert len(counted.asked) == 2


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("read", (HEAD, record_path(3))),
        ("write", ("generations/3/repodata/repomd.xml", "generations/3/repodata/repomd.xml.asc")),
        ("write", (METALINK, MIRRORLIST)),
    ],
)
def test_what_need_not_wait_for_each_other_is_asked_beside_each_other(
    name: str, paths: tuple[str, str], site: Site
) -> None:
    store = site.store()
    publisher = site.publisher(store, threads=threads)
    publisher.open("test")
    site.publish(publisher, A)
    both = threading.Barrier(2)

    def meet(step: Step) -> None:
        if (step.name, step.moment) == (name, "before") and step.path in paths:
            met.append(step.path)
            if len(met) <= 2:
                both.wait(30)

    met = list[str]()
    site.plan(store, meet)
    site.publish(publisher, B)
    assert set(met[:2]) == set(paths)


def test_every_write_that_hosts_see_follows_what_it_must_follow(
    site: Site, counted: CountingStore, publisher: Publisher
) -> None:
    site.publish(publisher, B)
    first, last = dict[str, int](), dict[str, int]()
    for one in counted.asked:
        if one.name in {"write", "add", "copy"}:
            kind = "document" if one.name != "write" else one.path
            first[kind] = min(one.depth, first.get(kind, one.depth))
            last[kind] = max(one.depth, last.get(kind, one.depth))
    frozen = [f"generations/3/{name}" for name in (REPOMD, SIGNATURE)]
    index = [[REPOMD], [SIGNATURE], [STATEMENT]]
    order = [["document"], [record_path(3)], frozen, [HEAD], [METALINK, MIRRORLIST], *index]
    for before, after in pairwise(order):
        assert max(last[one] for one in before) < min(first[one] for one in after), (before, after)


@pytest.mark.parametrize("path", [METALINK, MIRRORLIST, REPOMD, SIGNATURE, STATEMENT])
@pytest.mark.parametrize("what", ["altered", "removed"])
def test_what_was_left_is_not_trusted_where_somebody_changed_it(path: StorePath, what: str, site: Site) -> None:
    publisher = site.opened(FaultyStore(site.inner))
    site.publish(publisher, A)
    if what == "altered":
        site.inner.write(path, site.inner.read(path).data + b"\n", Expect.ANY)
    else:
        site.inner.remove(path)
    site.publish(publisher, B)
    assert site.listed == seen(A, B)
    site.assert_settled()


def test_who_finds_the_number_claimed_before_its_upload_uploads_nothing(site: Site) -> None:
    store = site.store()
    ours, theirs = site.opened(store), site.opened(FaultyStore(site.inner))
    site.publish(theirs, A)  # now it is known that others publish too
    uploaded = list[int]()

    def overtake(step: Step) -> None:
        numbers = {record_path(3): 3, record_path(4): 4}
        if step.name == "read" and step.moment == "before" and numbers.get(StorePath(step.path)) == 3:
            looks.append(step.number)
            if len(looks) == 2:
                site.publish(theirs, B)
        if step.name in {"add", "copy"} and step.moment == "before":
            uploaded.append(len(site.generations))

    looks = list[int]()
    site.plan(store, overtake)
    site.publish(ours, C)
    assert len(looks) >= 2
    assert set(uploaded) == {3}, "documents of a number that was lost already"
    assert site.listed == seen(A, B, C)
    site.assert_settled()


def test_a_store_that_was_brought_back_to_an_older_state_is_seen_as_it_is_now(site: Site, publisher: Publisher) -> None:
    old = site.dump()
    site.publish(publisher, B)
    for path in site.dump().keys() - old.keys():
        site.inner.remove(StorePath(path))
    for path, data in old.items():
        site.inner.write(StorePath(path), data, Expect.ANY)
    site.highest[:] = [0, 0, 0, 0, 0]
    now = publisher.refresh()
    assert now
    assert now.number == 2
    site.publish(site.opened(), C)
    assert publisher.refresh() == site.generations[0]
    site.publish(publisher, D)
    assert site.listed == seen(A, C, D)
    site.assert_settled()


def test_a_change_that_was_planned_on_a_generation_is_refused_where_the_next_is_claimed(
    site: Site, publisher: Publisher
) -> None:
    site.publish(site.opened(), B)
    with pytest.raises(Conflict, match="generation 3 is current, and this was planned on 2"):
        publisher.publish(Change(removed=[A.nevra]), actor="x", why="y", on=2)
