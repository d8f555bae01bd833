"""Builds come from one repository to another whole, by every gate, or not at all; races and crashes lose nothing."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from repod.acceptance import Rules
from repod.config import Repository
from repod.doors import Change
from repod.errors import Conflict, Corrupt, NotFound, Refused
from repod.generation import Generation, record_path
from repod.headers import Headers
from repod.history import History
from repod.ledger import Ledger, Mark
from repod.package import Nevra, Origin, StorePath, sha256
from repod.promote import Giver, Promotion, Taker, Wanted
from repod.promotion import Gates
from repod.related import Related
from repod.relations.pool import RelationWorker
from repod.repodata.listing import StoredListings, plain
from repod.repodata.taken import TakenDocuments
from repod.views import METALINK
from tests.lab import validity
from tests.lab.bounds import temporary
from tests.lab.desk import Desk, desk
from tests.lab.fakes import FakeRpms, MacSigner, rpm
from tests.lab.faulty import Crash, FaultyStore, Moment, Step, at
from tests.lab.inline import inline
from tests.lab.papers import advisory, comps, stream
from tests.lab.site import Site, site

HELLO = "hello-1.0-1.noarch"
NEWER = "hello-2.0-1.noarch"
DAY = 86400.0


@dataclass
class Two:
    """Two repositories, ``dev`` and ``prod``, each with a daemon's desk. ``stores``: what a promotion sees of them."""

    dev: Desk
    prod: Desk
    work: Path
    stack: ExitStack
    rules: Rules = field(default_factory=lambda: Rules(arches=["noarch"]))
    pauses: list[int] = field(default_factory=list)

    def arrive(self, at: Desk, *nevras: str, **files: bytes) -> Generation:
        """Builds, and documents by their names with ``_`` for a dot, come in and are published."""
        for number, nevra in enumerate(nevras):
            at.put(**{f"f{number}": rpm(nevra)})
        for name, data in files.items():
            at.inbox.put(name.replace("_", "."), data)
        at.site.clock.now += 1
        generation = at.turn().generation
        assert generation
        return generation

    def promotion(self, prod: FaultyStore | None = None, dev: FaultyStore | None = None, **gates: Any) -> Promotion:
        """A command's, with its own view of both stores."""
        taker, giver = prod or self.prod.site.store(), dev or self.dev.site.store()
        engine = self.prod.site.repodata(taker)
        return Promotion(
            giver=self._giver(giver),
            taker=Taker(
                name="prod",
                store=taker,
                repodata=engine,
                publisher=self.prod.site.publisher(taker, repodata=engine),
                headers=self._headers(taker),
                rules=self.rules,
                gates=Gates(**gates),
                published=MacSigner().public_key,
                relations=self._relations(taker),
                plain=lambda document, _: plain(taker, document),
            ),
            papers=TakenDocuments(),
            clock=self.dev.site.clock,
            pause=self.pauses.append,
            threads=inline,
        )

    def _giver(self, store: FaultyStore) -> Giver:
        return Giver(
            name="dev",
            store=store,
            history=History(store),
            builds=StoredListings(store),
            ledger=Ledger(store, lambda _: None),
            headers=self._headers(store),
            plain=lambda document, _: plain(store, document),
        )

    def _headers(self, store: FaultyStore) -> Headers:
        return Headers(store=store, rpms=FakeRpms(), changelogs=10, workspace=self.work)

    def _relations(self, store: FaultyStore) -> Related:
        worker = self.stack.enter_context(closing(RelationWorker(timeout=60, bounds=temporary())))
        settings = Repository(name="prod", inbox="/i", store="/s", arches=["noarch"])
        return Related(repository=settings, store=store, worker=worker, folder=self.work, bases=list)

    def run(
        self, *names: str, generation: int | None = None, advisories: tuple[str, ...] = (), **gates: Any
    ) -> Generation:
        """Promote; refusals are a failure."""
        wanted = Wanted(names=names, generation=generation, advisories=advisories)
        plan, published = self.promotion(**gates).run(wanted, actor="anna", why="")
        assert published, plan.refusals
        return published

    def refused(self, *names: str, **gates: Any) -> list[str]:
        """Why nothing comes; nothing changed."""
        before = self.prod.site.dump()
        plan, published = self.promotion(**gates).run(Wanted(names=names), actor="anna", why="")
        assert published is None
        assert self.prod.site.dump() == before
        return plan.refusals


def listed(one: Desk) -> list[str]:
    generation = one.site.generations[0]
    return sorted(str(built.package.nevra) for built in StoredListings(one.site.inner).listed(generation))


def _merged(document: bytes) -> bytes:
    """A module document as it stands in a stream of them."""
    return document.removesuffix(b"...\n")


def carried(one: Desk) -> Mapping[str, bytes]:
    generation = one.site.generations[0]
    return {kind: plain(one.site.inner, document) for kind, document in generation.carried.items()}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with ExitStack() as stack:
        desks = []
        for name in ("dev", "prod"):
            place = stack.enter_context(site(tmp_path / name))
            desks.append(stack.enter_context(desk(place, tmp_path / f"work-{name}")))
        work = tmp_path / "work"
        work.mkdir()
        yield Two(desks[0], desks[1], work, stack)


# ---------------------------------------------------------------- what comes


def test_a_build_comes_with_its_bytes_and_the_record_says_from_where(two: Two) -> None:
    came = two.arrive(two.dev, HELLO)
    generation = two.run("hello")
    (package,) = generation.added
    assert package == came.added[0]
    assert two.prod.site.inner.read(package.href).data == two.dev.site.inner.read(package.href).data
    assert generation.origins == (Origin(how="promotion", of=f"dev@{came.number}", checksum=package.pkgid),)
    assert (generation.actor, generation.why) == ("anna", "hello-1.0-1.noarch promoted from dev")
    two.prod.site.assert_settled()


def test_the_reason_that_is_given_stands_in_the_record(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    _, generation = two.promotion().run(Wanted(names=["hello"]), actor="anna", why="CVE-1")
    assert generation
    assert generation.why == "hello-1.0-1.noarch promoted from dev: CVE-1"


def test_several_builds_become_one_generation(two: Two) -> None:
    two.arrive(two.dev, HELLO, "bye-1-1.noarch", "other-1-1.noarch")
    before = two.prod.site.generations[0].number
    assert two.run("hello", "bye-1-1").number == before + 1
    assert listed(two.prod) == ["bye-1-1.noarch", HELLO]


def test_what_is_there_already_makes_no_generation(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    first = two.run("hello")
    promotion = two.promotion()
    plan, second = promotion.run(Wanted(names=["hello"]), actor="anna", why="")
    assert second == first
    assert [str(package.nevra) for package in plan.present] == [HELLO]
    assert plan.moves == []


def test_who_is_told_that_a_build_is_there_already_can_rely_on_clients_seeing_it(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    prod = two.prod.site
    store = prod.store()

    def die(step: Step) -> None:
        if step.name == "write" and step.path == METALINK:
            raise Crash

    prod.plan(store, die)
    with pytest.raises(Crash):
        two.promotion(store).run(Wanted(names=["hello"]), actor="berta", why="")
    assert validity.revision(prod.inner) < validity.pointer(prod.inner)
    generation = two.run("hello")
    assert generation.actor == "berta"
    assert validity.revision(prod.inner) == generation.number


def test_the_same_build_signed_at_another_time_is_there_already(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.arrive(two.prod, "first-1-1.noarch")  # so that the signatures differ
    theirs = two.arrive(two.prod, HELLO)
    assert theirs.added[0].pkgid != two.dev.site.generations[0].added[0].pkgid
    assert two.run("hello") == theirs


def test_a_plan_writes_nothing(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    before = two.prod.site.dump()
    plan = two.promotion().plan(Wanted(names=["hello"]))
    assert [str(move.effect) for move in plan.moves] == ["new"]
    assert two.prod.site.dump() == before


def test_the_source_is_only_read(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    store = two.dev.site.store()
    two.promotion(dev=store).run(Wanted(names=["hello"]), actor="anna", why="")
    assert {step.name for step in store.steps} <= {"read", "stream", "list"}


def test_a_target_that_never_published_gets_its_first_generation_and_then_the_build(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    _restore(two.prod.site, {})
    assert two.run("hello").number == 2
    assert listed(two.prod) == [HELLO]


def test_what_is_not_there_is_told_all_at_once(two: Two) -> None:
    two.arrive(two.dev, HELLO, x_toml=advisory("FOO-1", HELLO))
    wanted = Wanted(names=["bye", "hello-3-1"], advisories=["FOO-2"])
    with pytest.raises(NotFound) as caught:
        two.promotion().plan(wanted)
    assert str(caught.value).splitlines() == [
        "bye: not in generation 2 of dev; it lists: hello",
        "hello-3-1: not in generation 2 of dev; of hello it lists: hello-1.0-1.noarch",
        "advisory FOO-2: not in generation 2 of dev; it has: FOO-1",
    ]


def test_a_generation_that_is_not_kept_is_told_with_those_that_are(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.arrive(two.dev, NEWER)
    two.dev.site.inner.remove(record_path(1))
    for number in (0, 1, 9):
        with pytest.raises(NotFound, match=f"^dev: no generation {number}; it keeps 2 to 3$"):
            two.promotion().plan(Wanted(generation=number))


# ---------------------------------------------------------------- a whole generation, documents, advisories


def test_a_whole_generation_comes_as_it_was_and_the_target_loses_nothing(two: Two) -> None:
    two.arrive(two.dev, HELLO, comps_xml=comps("hello"), x_toml=advisory("FOO-1", HELLO))
    then = two.arrive(two.dev, "bye-1-1.noarch").number
    two.arrive(two.dev, NEWER)
    two.arrive(two.prod, "own-1-1.noarch", y_toml=advisory("OWN-1", "own-1-1.noarch"))
    two.run(generation=then)
    assert listed(two.prod) == ["bye-1-1.noarch", HELLO, "own-1-1.noarch"]
    documents = carried(two.prod)
    assert documents["group"] == comps("hello")
    assert [key in documents["updateinfo"] for key in (b"FOO-1", b"OWN-1")] == [True, True]
    pkgid = next(p.pkgid for p in two.prod.site.generations[0].added if str(p.nevra) == HELLO)
    assert f'<sum type="sha256">{pkgid}</sum>'.encode() in documents["updateinfo"]


def test_of_a_whole_generation_older_builds_come_beside_what_is_there_already(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.arrive(two.dev, NEWER)
    two.run("hello")
    assert two.refused(HELLO)
    two.run(generation=3)
    assert listed(two.prod) == [HELLO, NEWER]


def test_of_a_whole_generation_what_the_target_does_not_take_is_left_out(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.rules = replace(two.rules, arches=["x86_64"])
    plan = two.promotion().plan(Wanted(generation=2))
    assert ([str(package.nevra) for package in plan.left], list(plan.moves)) == ([HELLO], [])


def test_an_advisory_brings_its_builds_and_itself_and_no_other(two: Two) -> None:
    two.arrive(
        two.dev, HELLO, "bye-1-1.noarch", x_toml=advisory("FOO-1", HELLO), y_toml=advisory("FOO-2", "bye-1-1.noarch")
    )
    two.run(advisories=("FOO-1",))
    assert listed(two.prod) == [HELLO]
    assert b"FOO-1" in carried(two.prod)["updateinfo"]
    assert b"FOO-2" not in carried(two.prod)["updateinfo"]


def test_an_advisory_none_of_whose_builds_is_there_is_an_error(two: Two) -> None:
    two.arrive(two.dev, HELLO, x_toml=advisory("FOO-1", "gone-1-1.noarch"))
    with pytest.raises(NotFound, match=r"advisory FOO-1: none of its builds is in .*; it speaks of: gone-1-1\.noarch"):
        two.promotion().plan(Wanted(advisories=["FOO-1"]))


def test_a_modular_build_brings_its_stream_and_not_the_others(two: Two) -> None:
    files = {"a_modules_yaml": stream("1", HELLO), "b_modules_yaml": stream("2", NEWER)}
    two.arrive(two.dev, HELLO, NEWER, **files)
    two.run(HELLO)
    assert carried(two.prod)["modules"] == _merged(stream("1", HELLO))
    two.run(NEWER)
    assert carried(two.prod)["modules"] == _merged(stream("1", HELLO)) + _merged(stream("2", NEWER))


def test_a_module_document_comes_even_where_its_builds_are_there_already(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.run(HELLO)
    two.arrive(two.dev, a_modules_yaml=stream("1", HELLO))
    two.run(HELLO)
    assert carried(two.prod)["modules"] == _merged(stream("1", HELLO))


# ---------------------------------------------------------------- gates


def test_a_build_is_let_in_when_it_was_listed_long_enough(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.dev.site.clock.now += DAY - 60
    (line,) = two.refused("hello", min_age=DAY)
    assert line.startswith("hello-1.0-1.noarch: listed in dev for 23h 59m, expected at least 1d ")
    two.dev.site.clock.now += 60
    two.run("hello", min_age=DAY)


def test_a_build_that_was_removed_and_came_again_waits_anew(two: Two) -> None:
    came = two.arrive(two.dev, HELLO)
    two.dev.site.clock.now += DAY
    two.dev.publisher.publish(Change(removed=[Nevra.parse(HELLO)]), actor="t", why="t")
    two.dev.site.clock.now += DAY
    entry = two._headers(two.dev.store).entry(came.added[0])
    two.dev.publisher.publish(Change(entries=[entry]), actor="t", why="t")
    assert two.refused("hello", min_age=DAY)[0].startswith("hello-1.0-1.noarch: listed in dev for 0s")


def test_a_build_that_was_signed_anew_keeps_its_age(two: Two) -> None:
    came = two.arrive(two.dev, HELLO)
    two.dev.site.clock.now += DAY
    entry = replace(two._headers(two.dev.store).entry(came.added[0]), origin=Origin(how="resigning", of="2"))
    two.dev.publisher.publish(Change(removed=[Nevra.parse(HELLO)]), actor="t", why="t")
    two.dev.publisher.publish(Change(entries=[entry]), actor="t", why="t")
    two.run("hello", min_age=DAY)


def test_the_age_is_known_where_the_record_of_its_coming_is_pruned(two: Two) -> None:
    came = two.arrive(two.dev, HELLO)
    two.dev.site.clock.now += DAY
    newer = two.arrive(two.dev, NEWER)
    Ledger(two.dev.site.inner, lambda _: None).fold([came])
    for number in (1, came.number):
        two.dev.site.inner.remove(record_path(number))
    assert newer.number == came.number + 1
    two.run(HELLO, min_age=DAY)
    assert two.refused(NEWER, min_age=DAY)


def test_a_label_opens_the_gate_for_the_very_build_that_has_it(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    came = two.arrive(two.dev, NEWER)
    mark = Mark(time=1.0, actor="tester", why="")
    Ledger(two.dev.site.inner, lambda _: None).label(came.added[0], "tested", mark)
    assert two.refused(HELLO, label="tested")[0].startswith(
        "hello-1.0-1.noarch: has no label tested in dev, found: none"
    )
    two.run(NEWER, label="tested")


def test_what_cannot_be_installed_is_refused_with_the_reason(two: Two) -> None:
    needing = "needing-1.0-1.noarch"
    two.dev.put(f=rpm(needing, "source=needing.src.rpm requires=absent"))
    two.dev.turn()
    (first, *_) = two.refused(needing, dependencies=True)
    assert first == f"{needing}: cannot be installed: nothing provides absent = 1.0-1 needed by {needing}"
    two.run(needing)


def test_acceptance_of_the_target_and_the_source_and_the_order_are_told_together(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.arrive(two.prod, NEWER)
    two.rules = replace(two.rules, names=["bye*"], arches=["x86_64"])
    lines = two.refused("hello", sources=["staging"])
    assert len(lines) == 4
    assert lines[0] == "prod takes builds from staging only, not from dev ([repository.promotion] from)"
    assert lines[1].startswith("hello-1.0-1.noarch: prod does not take it: arch noarch; expected one of x86_64")
    assert lines[2].startswith("hello-1.0-1.noarch: prod does not take it: name hello; expected one of bye*")
    assert lines[3].startswith("hello-1.0-1.noarch: prod lists the newer hello-2.0-1.noarch")


def test_who_signed_what_arrived_was_asked_then_and_is_not_asked_again(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.rules = replace(two.rules, signed_by=["A" * 40])
    two.run("hello")


def test_a_package_that_hosts_do_not_trust_is_refused(two: Two) -> None:
    two.dev.signer = MacSigner("an older key")
    two.dev.intake._signer = two.dev.signer
    two.arrive(two.dev, HELLO)
    (line,) = two.refused("hello")
    assert line == (
        f"hello-1.0-1.noarch: signed by {MacSigner('an older key').fingerprint} only, expected a signature by a key "
        "that hosts of prod trust; sign it anew: repod resign dev"
    )


def test_other_bytes_of_a_listed_nevra_are_refused_or_stored_apart_where_the_target_replaces(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    two.prod.put(other=rpm(HELLO, "other"))
    old = two.prod.turn().generation
    assert old
    assert "prod lists other bytes under this NEVRA" in two.refused("hello")[0]
    generation = two.run("hello", replace=True)
    (package,) = generation.added
    assert package.pkgid == two.dev.site.generations[0].added[0].pkgid
    assert package.href != old.added[0].href
    assert two.prod.site.inner.read(old.added[0].href)  # for hosts that have older metadata


def test_a_path_that_other_bytes_lie_on_is_passed_by(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    left = Nevra.parse(HELLO).location
    two.prod.site.inner.add(left, [b"left over"], sha256(hashlib.sha256(b"left over").hexdigest()))
    (package,) = two.run("hello").added
    assert package.href != left
    assert two.prod.site.inner.read(package.href).data == two.dev.site.inner.read(left).data


# ---------------------------------------------------------------- the source changes meanwhile


def test_files_that_were_pruned_are_all_told_and_nothing_is_published(two: Two) -> None:
    came = two.arrive(two.dev, HELLO, "bye-1-1.noarch")
    for package in came.added:
        two.dev.site.inner.remove(package.href)
    lines = two.refused("hello", "bye")
    assert lines == [
        f"{package.nevra}: {package.href} is gone from the store of dev, where it was pruned; "
        f"see what is there: repod packages dev {package.nevra.name}"
        for package in sorted(came.added, key=lambda package: package.nevra.order)
    ]


def test_a_file_that_is_pruned_after_the_plan_is_a_refusal(two: Two) -> None:
    (package,) = two.arrive(two.dev, HELLO).added
    store = two.prod.site.store()

    def prune(step: Step) -> None:
        if step.name == "copy" and step.path == package.href:
            two.dev.site.inner.remove(package.href)

    two.prod.site.plan(store, prune)
    with pytest.raises(Refused, match="is gone from the store of dev"):
        two.promotion(prod=store).run(Wanted(names=["hello"]), actor="anna", why="")
    assert listed(two.prod) == []


def test_a_file_that_was_altered_in_the_source_is_not_spread(two: Two) -> None:
    (package,) = two.arrive(two.dev, HELLO).added
    two.dev.site.inner._objects[package.href] = (two.dev.site.inner.read(package.href).data + b" ", 0.0)
    with pytest.raises(Corrupt, match="was altered in the store of dev"):
        two.run("hello")
    assert listed(two.prod) == []


# ---------------------------------------------------------------- races and crashes


def _meanwhile(two: Two, act: Callable[[], object]) -> FaultyStore:
    """A view of prod's store in which ``act`` happens once, when the first file is copied there."""
    store = two.prod.site.store()
    done: list[Step] = []

    def once(step: Step) -> None:
        if step.name == "copy" and step.path.startswith("Packages/") and not done:
            done.append(step)
            act()

    two.prod.site.plan(store, once)
    return store


def test_who_loses_a_race_plans_again_and_both_come_in(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    store = _meanwhile(two, lambda: two.arrive(two.prod, "bye-1-1.noarch"))
    _, generation = two.promotion(prod=store).run(Wanted(names=["hello"]), actor="anna", why="")
    assert generation
    assert listed(two.prod) == ["bye-1-1.noarch", HELLO]
    assert two.pauses


def test_what_came_meanwhile_is_weighed_by_the_gates(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    store = _meanwhile(two, lambda: two.arrive(two.prod, NEWER))
    plan, generation = two.promotion(prod=store).run(Wanted(names=["hello"]), actor="anna", why="")
    assert generation is None
    assert "prod lists the newer hello-2.0-1.noarch" in plan.refusals[0]
    assert listed(two.prod) == [NEWER]


def test_who_loses_every_race_gives_up_and_says_so(two: Two) -> None:
    two.arrive(two.dev, HELLO)
    numbers = iter(range(100))
    store = two.prod.site.store()

    def always(step: Step) -> None:
        if step.name == "copy" and step.path.startswith("Packages/") and step.moment == "before":
            two.arrive(two.prod, f"n{next(numbers)}-1-1.noarch")

    two.prod.site.plan(store, always)
    with pytest.raises(Conflict, match="other writers published prod 10 times meanwhile"):
        two.promotion(prod=store).run(Wanted(names=["hello"]), actor="anna", why="")


def test_two_promotions_at_once_both_come_in(two: Two) -> None:
    two.arrive(two.dev, *(f"p{number}-1-1.noarch" for number in range(8)))
    failed: list[BaseException] = []

    def promote(number: int) -> None:
        try:
            # Who watches every write knows of one writer only.
            promotion = two.promotion(prod=FaultyStore(two.prod.site.inner))
            promotion.run(Wanted(names=[f"p{number}"]), actor="anna", why="")
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failed.append(error)

    threads = [threading.Thread(target=promote, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert listed(two.prod) == [f"p{number}-1-1.noarch" for number in range(8)]
    two.prod.site.assert_settled()


def _steps(two: Two) -> int:
    store = two.prod.site.store()
    two.promotion(prod=store).run(Wanted(names=["hello", "bye"]), actor="anna", why="")
    return len(store.steps)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("documents", [{}, {"a_modules_yaml": stream("1", HELLO)}], ids=["packages", "a stream too"])
def test_whoever_dies_at_any_step_leaves_a_sound_repository_and_the_same_again_completes_it(
    two: Two, documents: Mapping[str, bytes], moment: Moment
) -> None:
    nevras = [HELLO, "bye-1-1.noarch"]
    two.arrive(two.dev, *nevras, **documents)
    fresh = two.prod.site.dump()
    for number in range(1, _steps(two) + 1):
        _restore(two.prod.site, fresh)
        store = two.prod.site.store()
        two.prod.site.plan(store, at(number, moment, _die))
        with suppress(Crash):
            two.promotion(prod=store).run(Wanted(names=["hello", "bye"]), actor="anna", why="")
        two.run("hello", "bye")
        assert listed(two.prod) == sorted(nevras), number
        assert carried(two.prod).get("modules", b"") == (_merged(stream("1", HELLO)) if documents else b"")
        two.prod.site.assert_settled()


def _die() -> None:
    raise Crash


def _restore(place: Site, content: Mapping[str, bytes]) -> None:
    """The store as it was, as if nothing had happened."""
    place.inner._objects.clear()
    place.inner._objects.update({StorePath(path): (data, place.clock.now) for path, data in content.items()})
    place.highest[:] = [0, 0, 0, 0, 0]
