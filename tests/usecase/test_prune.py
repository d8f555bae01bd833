"""Builds leave the metadata by the plan, files go late, and nothing that anybody may ask for goes with them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from repod.builds import HostReport
from repod.doors import Change, Expect, Need
from repod.errors import Corrupt, Unavailable
from repod.generation import HEAD, Generation, record_path
from repod.ledger import Mark
from repod.package import Nevra, StorePath
from repod.prune import Plan, Pruner
from repod.removal import expired
from repod.retention import Pattern, Policy
from tests.lab import validity
from tests.lab.entries import Made, made
from tests.lab.faulty import Crash, Step, at, raising
from tests.lab.pruners import Remembered, Reports, elsewhere, ledger, planner, pruner
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MARK = Mark(time=0.0, actor="anna", why="audit")


def hello(number: int) -> Made:
    return made(f"hello-1.0-{number}.noarch")


def fill(site: Site, count: int, every: float = HOUR) -> list[Made]:
    """One build of hello after the other, each in a generation of its own: 2, 3, and so on."""
    publisher = site.opened()
    packages = [hello(number) for number in range(1, count + 1)]
    for one in packages:
        site.clock.now += every
        site.publish(publisher, one)
    return packages


def builds(plan: Plan) -> list[str]:
    return [str(verdict.build.nevra) for verdict in plan.retire]


def files(site: Site) -> list[str]:
    return [stored.path for stored in site.inner.list("Packages/")]


def records(site: Site) -> list[int]:
    return sorted(generation.number for generation in site.generations)


def test_builds_beyond_retention_leave_the_metadata_and_their_files_stay(site: Site) -> None:
    packages = fill(site, 5)
    pruned = pruner(site, policy=Policy(keep=2), grace=DAY).prune(site.clock.now)
    assert site.listed == seen(*packages[3:])
    assert len(files(site)) == 5
    assert pruned.generation is not None
    assert pruned.generation == site.generations[0]
    assert (pruned.generation.actor, pruned.generation.why) == (
        "retention",
        "3 builds beyond retention: 3 beyond keep = 2",
    )
    assert [str(verdict.build.nevra) for verdict in pruned.retired] == [str(one.nevra) for one in packages[:3]]
    assert pruned.removed == []
    site.assert_settled()


def test_the_plan_is_what_is_carried_out_and_a_second_run_does_nothing(site: Site) -> None:
    packages = fill(site, 8, every=DAY)
    words = {"policy": Policy(keep=3), "generations": 2, "grace": HOUR}
    plan = planner(site.inner, **words).plan(site.clock.now)
    before = {stored.path for stored in site.inner.list("")}
    pruned = pruner(site, **words).prune(site.clock.now)
    assert pruned.plan == plan
    assert pruned.removed == plan.removals
    assert before - {stored.path for stored in site.inner.list("")} == {removal.path for removal in plan.removals}
    assert builds(plan) == [str(one.nevra) for one in packages[:5]]
    assert not pruner(site, **words).prune(site.clock.now).plan


def test_a_plan_changes_nothing(site: Site) -> None:
    fill(site, 8, every=DAY)
    before = site.dump()
    plan = planner(site.inner, policy=Policy(keep=1), generations=1).plan(site.clock.now)
    assert plan.retire
    assert plan.removals
    assert site.dump() == before


def test_a_file_stays_as_long_as_any_kept_generation_lists_it(site: Site) -> None:
    """Rule: nothing is removed that a client holding metadata of the last ``grace`` may still ask for."""
    packages = fill(site, 3)
    one = pruner(site, policy=Policy(keep=1), generations=1, grace=MINUTE)
    one.prune(site.clock.now)
    left_at = site.clock.now
    for seconds in (1, 30, 60):
        site.clock.now = left_at + seconds
        one.prune(site.clock.now)
        assert site.inner.read(packages[1].package.href).data == packages[1].file
    site.clock.now = left_at + 61
    pruned = one.prune(site.clock.now)
    assert files(site) == [packages[2].package.href]
    gone = {removal.path: removal for removal in pruned.removed}
    assert gone[packages[0].package.href].size == len(packages[0].file)
    assert "left metadata with generation 5" in gone[packages[0].package.href].why
    assert records(site) == [5]


def test_the_promised_depth_of_generations_keeps_its_files_whatever_their_age(site: Site) -> None:
    packages = fill(site, 6)
    one = pruner(site, policy=Policy(keep=1), generations=4)
    one.prune(site.clock.now)
    site.clock.now += 1000 * DAY
    one.prune(site.clock.now)
    # 8 is without the builds; 7, 6 and 5 listed the first 6, 5 and 4 of them.
    assert records(site) == [5, 6, 7, 8]
    assert len(files(site)) == 6
    for number, listed in validity.frozen(site.inner).items():
        assert len(listed) == {5: 4, 6: 5, 7: 6, 8: 1}[number]
    assert packages[0].package.href in files(site)


def test_a_build_that_was_removed_and_came_back_keeps_its_file(site: Site) -> None:
    packages = fill(site, 2)
    publisher = site.opened()
    publisher.publish(Change(removed=[packages[0].nevra]), actor="x", why="y")
    site.clock.now += DAY
    site.publish(publisher, packages[0])
    site.clock.now += DAY
    publisher.publish(Change(removed=[packages[1].nevra]), actor="x", why="y")
    site.clock.now += DAY
    pruner(site, generations=1).prune(site.clock.now)
    assert files(site) == [packages[0].package.href]
    assert site.listed == seen(packages[0])


def test_the_file_of_a_replaced_build_goes_and_that_of_the_new_one_stays(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, hello(1))
    site.clock.now += DAY
    other = made(hello(1).nevra, "another", StorePath("Packages/h/other/hello-1.0-1.noarch.rpm"))
    site.publish(publisher, other, replace=True)
    site.clock.now += DAY
    pruner(site, generations=1, grace=HOUR).prune(site.clock.now)
    assert files(site) == [other.package.href]


def test_what_a_generation_before_a_new_beginning_listed_stays_too(site: Site) -> None:
    """Its pointer was lost and the numbers begin anew: the records of both sides are not of one chain."""
    packages = fill(site, 2)
    publisher = site.opened()
    publisher.publish(Change(removed=[packages[0].nevra]), actor="x", why="y")
    publisher.begin_anew(9, actor="repair", why="lost")
    site.clock.now += DAY
    pruner(site, generations=3).prune(site.clock.now)
    assert records(site) == [9]
    assert sorted(int(path.path.split("/")[2][:-5]) for path in site.inner.list(".repod/generations/")) == [3, 4, 9]
    assert files(site) == [one.package.href for one in packages]


@pytest.mark.parametrize("folder", ["Packages/h/", "Packages/h/0123456789abcdef/"])
def test_an_orphan_goes_once_no_intake_can_be_at_it(site: Site, folder: str) -> None:
    fill(site, 1)
    orphan = made("hello-1.0-77.noarch", href=StorePath(f"{folder}hello-1.0-77.noarch.rpm"))
    site.put(orphan)
    one = pruner(site)
    site.clock.now += 0.9 * HOUR
    one.prune(site.clock.now)
    assert orphan.package.href in files(site)
    site.clock.now += 0.2 * HOUR
    pruned = pruner(site).prune(site.clock.now)
    assert [(removal.path, removal.why) for removal in pruned.removed] == [
        (orphan.package.href, "a package that no generation lists, left by an intake that was stopped")
    ]


def test_a_package_that_lay_there_before_repod_and_that_nothing_lists_is_left_alone(site: Site) -> None:
    """Who let repod take another tool's repository over may have left it out on purpose."""
    site.put(hello(77))
    site.clock.now += 1
    fill(site, 1)
    began = site.clock.now
    site.put(hello(78))
    site.clock.now += DAY
    pruned = pruner(site, since=began).prune(site.clock.now)
    assert [removal.path for removal in pruned.removed] == [hello(78).package.href]


def test_a_build_that_comes_again_while_its_old_file_waits_is_left_alone(site: Site) -> None:
    """Its file is there already, so that intake only touches it; nothing lists it yet."""
    packages = fill(site, 2)
    one = pruner(site, policy=Policy(keep=1), generations=1, grace=MINUTE)
    one.prune(site.clock.now)
    site.clock.now += HOUR
    site.put(packages[0])
    assert one.prune(site.clock.now).removed
    assert packages[0].package.href in files(site)
    site.clock.now += 2 * HOUR
    pruner(site, generations=1, grace=MINUTE).prune(site.clock.now)
    assert files(site) == [packages[1].package.href]


@pytest.mark.parametrize("publish", [False, True])
def test_a_file_that_is_stored_again_after_the_plan_was_made_stays_listed_or_not(site: Site, publish: bool) -> None:
    packages = fill(site, 2)
    words = {"policy": Policy(keep=1), "generations": 1, "grace": MINUTE}
    pruner(site, **words).prune(site.clock.now)
    site.clock.now += HOUR
    publisher = site.opened()

    def meddle(step: Step) -> None:
        if (step.name, step.moment) == ("remove", "before") and step.path.startswith("generations/"):
            store.plan = lambda _: None
            site.clock.now += 1
            site.put(packages[0])
            if publish:
                publisher.publish(Change(entries=[packages[0].entry]), actor="x", why="y")

    store = site.store(meddle)
    pruned = pruner(site, store, **words).prune(site.clock.now)
    assert pruned.left == [f"{packages[0].package.href}: it was stored again meanwhile"]
    assert packages[0].package.href in files(site)


@pytest.mark.parametrize("path", ["Packages/notes.txt", "extra/a.rpm", "repodata/notes.txt", "index.html"])
def test_what_is_none_of_ours_is_never_touched(site: Site, path: str) -> None:
    fill(site, 3)
    site.inner.write(StorePath(path), b"x", Expect.ABSENT)
    site.clock.now += 1000 * DAY
    pruner(site, policy=Policy(keep=1), generations=1).prune(site.clock.now)
    assert path in site.dump()


def test_what_a_repair_laid_aside_goes_after_a_month(site: Site) -> None:
    fill(site, 1)
    site.inner.write(StorePath(".repod/aside/abc-a.rpm"), b"x", Expect.ABSENT)
    site.clock.now += 29 * DAY
    assert not pruner(site).prune(site.clock.now).removed
    site.clock.now += 2 * DAY
    (removal,) = pruner(site).prune(site.clock.now).removed
    assert removal.path == ".repod/aside/abc-a.rpm"


def test_what_waits_for_a_hook_goes_only_where_there_is_no_such_hook_and_after_a_month(site: Site) -> None:
    fill(site, 1)
    left = [StorePath(f".repod/outbox/old/{name}.json") for name in ("cursor", "0000000001-00000000000001-a")]
    for path in (*left, StorePath(".repod/outbox/ci/cursor.json")):
        site.inner.write(path, b"{}", Expect.ABSENT)
    site.clock.now += 29 * DAY
    assert not pruner(site, hooks=["ci"]).prune(site.clock.now).removed
    site.clock.now += 2 * DAY
    removed = pruner(site, hooks=["ci"]).prune(site.clock.now).removed
    assert sorted(removal.path for removal in removed) == sorted(left)
    assert {removal.why for removal in removed} == {"of hook old, which is not in the settings"}


def test_documents_of_a_repository_that_was_adopted_in_place_stay_for_grace_however_old_they_are(site: Site) -> None:
    """Hosts may have read its index a moment before the adopt."""
    document = StorePath(f"repodata/{7:064x}-primary.xml.gz")
    site.inner.write(document, b"x", Expect.ABSENT)
    site.clock.now += 100 * DAY
    site.opened()
    began = site.clock.now
    pruner(site, grace=3 * DAY).prune(began + 2 * DAY)
    assert document in site.dump()
    pruner(site, grace=3 * DAY).prune(began + 4 * DAY)
    assert document not in site.dump()


def test_a_pinned_build_stays_until_it_is_unpinned(site: Site) -> None:
    packages = fill(site, 3)
    ledger(site.inner).pin(packages[0].package, MARK)
    assert builds(planner(site.inner, policy=Policy(keep=1)).plan(site.clock.now)) == [str(packages[1].nevra)]
    ledger(site.inner).unpin(packages[0].package)
    assert len(builds(planner(site.inner, policy=Policy(keep=1)).plan(site.clock.now))) == 2


def test_what_hosts_run_stays_and_old_reports_are_noted(site: Site) -> None:
    packages = fill(site, 4)
    reports = Reports()
    reports.reports = [
        HostReport(host="web1", time=site.clock.now - HOUR, lines=[str(packages[0].nevra)]),
        HostReport(host="web2", time=site.clock.now - 40 * DAY, lines=[str(packages[1].nevra)]),
    ]
    plan = planner(site.inner, policy=Policy(keep=1), reports=reports).plan(site.clock.now)
    assert builds(plan) == [str(packages[1].nevra), str(packages[2].nevra)]
    assert [note.split(" is ")[0] for note in plan.notes] == ["report of host web2"]


def test_where_what_is_needed_cannot_be_read_nothing_is_removed_at_all(site: Site) -> None:
    """Rule: a read error never means "removed"."""
    fill(site, 3)
    reports = Reports()
    reports.broken = "permission denied"
    site.clock.now += 1000 * DAY
    before = site.dump()

    def unreadable() -> Sequence[Nevra]:
        raise Unavailable("not mounted")

    for words, text in (({"reports": reports}, "permission denied"), ({"elsewhere": {"prod": unreadable}}, "mounted")):
        with pytest.raises(Unavailable, match=text):
            pruner(site, policy=Policy(keep=1), generations=1, **words).prune(site.clock.now)
    assert {path: data for path, data in site.dump().items() if path in before} == before
    assert records(site) == [1, 2, 3, 4]


def test_nothing_outside_is_looked_at_where_the_rules_keep_all(site: Site) -> None:
    fill(site, 3)
    reports = Reports()
    reports.broken = "permission denied"
    assert not planner(site.inner, policy=Policy(keep=3), reports=reports).plan(site.clock.now)


def test_what_another_repository_lists_stays(site: Site) -> None:
    packages = fill(site, 3)
    plan = planner(site.inner, policy=Policy(keep=1), elsewhere=elsewhere({packages[1].nevra})).plan(site.clock.now)
    assert builds(plan) == [str(packages[0].nevra)]


def test_what_a_kept_build_requires_stays(site: Site) -> None:
    packages = fill(site, 3)
    app = Nevra.parse("app-1-1.noarch")

    def broken(generation: Generation, going: Sequence[Nevra]) -> Sequence[Need]:
        assert generation.number == 4
        needed = [nevra for nevra in going if nevra == packages[0].nevra]
        return [Need(package=app, requirement="hello = 1.0-1", providers=needed)] if needed else []

    plan = planner(site.inner, policy=Policy(keep=1), broken=broken).plan(site.clock.now)
    assert builds(plan) == [str(packages[1].nevra)]


def test_how_long_a_build_is_listed_is_known_when_the_record_of_its_coming_is_gone(site: Site) -> None:
    packages = fill(site, 10, every=DAY)
    words = {"policy": Policy(keep=1, keep_days=6), "generations": 2}
    # The builds came 9, 8, … 0 days ago.
    pruner(site, **words).prune(site.clock.now)
    assert site.listed == seen(*packages[4:])
    site.clock.now += 10
    pruner(site, **words).prune(site.clock.now)
    assert len(records(site)) == 2
    site.clock.now += 2 * DAY
    pruner(site, **words).prune(site.clock.now)
    assert site.listed == seen(*packages[6:])


def test_the_ledger_knows_what_the_records_said_and_forgets_what_is_gone(site: Site) -> None:
    packages = fill(site, 4)
    ledger(site.inner).label(packages[0].package, "tested", MARK)
    one = pruner(site, policy=Policy(keep=2), generations=1, grace=MINUTE)
    one.prune(site.clock.now)
    site.clock.now += HOUR
    one.prune(site.clock.now)
    known = ledger(site.inner).all()
    assert {known[one.package.pkgid].came.generation for one in packages[2:]} == {4, 5}  # type: ignore[union-attr]
    assert known.keys() == {one.package.pkgid for one in packages[2:]}


def test_of_two_who_prune_at_once_the_slower_one_plans_again(site: Site) -> None:
    packages = fill(site, 3)
    publisher = site.opened()

    def late(going: Sequence[Nevra], why: str, on: int) -> Generation:
        site.publish(publisher, hello(50))
        return publisher.publish(Change(removed=going), actor="retention", why=why, on=on)

    planning = planner(site.inner, policy=Policy(keep=1))
    slow = Pruner(planner=planning, store=site.inner, ledger=ledger(site.inner), publish=late, settle=publisher.refresh)
    pruned = slow.prune(site.clock.now)
    assert (pruned.generation, pruned.retired) == (None, ())
    assert "planned on 4" in pruned.left[0]
    assert site.listed == seen(*packages, hello(50))


def test_where_it_was_long_enough_the_next_run_goes_on(site: Site) -> None:
    fill(site, 6)
    words = {"policy": Policy(keep=1), "generations": 1, "grace": MINUTE}
    pruner(site, **words).prune(site.clock.now)
    site.clock.now += HOUR
    answers = iter([False, False, True])
    pruned = pruner(site, **words).prune(site.clock.now, lambda: next(answers))
    assert pruned.left == ["3 files: this took long enough, the next run goes on"]
    assert len(files(site)) == 4
    assert records(site) == [6, 7, 8]
    pruner(site, **words).prune(site.clock.now)
    assert (len(files(site)), records(site)) == (1, [8])


def test_an_error_while_removing_says_how_far_it_came(site: Site) -> None:
    fill(site, 3)
    pruner(site, policy=Policy(keep=1), generations=1).prune(site.clock.now)
    site.clock.now += DAY

    def fail(step: Step) -> None:
        if step.name == "remove" and step.path.startswith("Packages/"):
            raise Unavailable("disk fails")

    pruned = pruner(site, site.store(fail), policy=Policy(keep=1), generations=1).prune(site.clock.now)
    assert isinstance(pruned.error, Unavailable)
    assert pruned.removed
    assert all(not removal.path.startswith("Packages/") for removal in pruned.removed)
    pruner(site, policy=Policy(keep=1), generations=1).prune(site.clock.now)
    assert (len(files(site)), records(site)) == (1, [5])


def _storied(site: Site) -> None:
    """Give one prune everything to do: builds to retire, files and generations to remove."""
    fill(site, 5)
    site.put(hello(77))
    pruner(site, policy=Policy(keep=3), generations=2, grace=HOUR).prune(site.clock.now)
    site.clock.now += DAY
    site.publish(site.opened(), hello(6), hello(7))
    site.clock.now += HOUR / 2


@contextmanager
def _copy(folder: Path, origin: Site) -> Iterator[Site]:
    """Another site with the same objects of the same times."""
    with site_in(folder) as site:
        for stored in origin.inner.list(""):
            site.clock.now = stored.modified
            site.inner.write(stored.path, origin.inner.read(stored.path).data, Expect.ABSENT)
        site.clock.now = origin.clock.now
        yield site


WORDS = {"policy": Policy(keep=3), "generations": 2, "grace": HOUR}


def test_a_crash_at_any_step_is_finished_by_the_next_run_and_never_leaves_a_torn_view(
    site: Site, tmp_path: Path
) -> None:
    """After every single write all views are whole; the end is the same as without a crash."""
    _storied(site)
    with _copy(tmp_path / "whole", site) as whole:
        store = whole.store()
        pruner(whole, store, whole.opened(store), **WORDS).prune(whole.clock.now)
        changes = [step.number for step in store.steps if step.name in {"write", "add", "copy", "remove"}]
        expected = _end(whole)
    assert len(changes) > 30
    for number in changes:
        with _copy(tmp_path / f"crash{number}", site) as one:
            store = one.store(at(number, "before", raising(Crash())))
            with suppress(Crash):
                pruner(one, store, one.opened(store), **WORDS).prune(one.clock.now)
            # A command, which looks at nothing before it prunes.
            pruner(one, one.store(), **WORDS).prune(one.clock.now)
            assert _end(one) == expected, f"stopped before step {number}: {store.steps[number - 1]}"


def _end(site: Site) -> tuple[dict[str, str], list[str], list[int], set[str]]:
    for listed in validity.frozen(site.inner).values():
        assert listed
    assert {validity.revision(site.inner), *validity.pointed(site.inner)} == {validity.pointer(site.inner)}
    documents = {stored.path for stored in site.inner.list("repodata/")}
    return site.listed, files(site), records(site), documents


@pytest.mark.parametrize(
    ("keep", "grace", "left"), [(2, 0, [9, 10]), (1, 0, [9, 10]), (4, 0, [7, 8, 9, 10]), (3, 5, list(range(4, 11)))]
)
def test_the_newest_generations_stay_and_those_that_were_current_within_grace(
    site: Site, keep: int, grace: int, left: list[int]
) -> None:
    fill(site, 9, every=DAY)
    # Generation N is current until N + 1 is made: at the moment of 10, generation 9 still was a moment ago.
    pruner(site, generations=keep, grace=grace * DAY).prune(site.clock.now)
    assert records(site) == left
    named = {path for generation in site.generations for path in generation.stored}
    assert {path for path in site.dump() if "-primary.xml" in path} == {
        path for path in named if "-primary.xml" in path
    }


def test_a_generation_counts_as_current_until_its_successor_was_made(site: Site) -> None:
    fill(site, 2, every=DAY)
    newest, middle, first = site.generations
    now = middle.time + 2 * DAY
    assert [one.number for one in expired([newest, middle, first], 1, 1.5 * DAY, now, newest.time)] == [1]


def test_the_current_generation_stays_whatever_its_age(site: Site) -> None:
    packages = fill(site, 2)
    site.clock.now += 1000 * DAY
    pruner(site, generations=1).prune(site.clock.now)
    assert records(site) == [3]
    assert site.listed == seen(*packages)


def test_a_document_that_no_record_names_goes_once_it_is_older_than_grace(site: Site) -> None:
    document = StorePath(f"repodata/{7:064x}-primary.xml.gz")
    fill(site, 1)
    site.inner.write(document, b"x", Expect.ABSENT)
    pruner(site, grace=3 * DAY).prune(site.clock.now + 2 * DAY)
    assert document in site.dump()
    pruner(site, grace=3 * DAY).prune(site.clock.now + 4 * DAY)
    assert document not in site.dump()


def test_a_store_without_a_pointer_is_left_alone(site: Site) -> None:
    site.put(hello(1))
    site.clock.now += 1000 * DAY
    assert not pruner(site, generations=1).prune(site.clock.now).plan
    assert files(site)


def test_a_record_ahead_of_the_pointer_is_of_a_publish_that_was_stopped_and_will_be_finished(site: Site) -> None:
    packages = fill(site, 2)
    stopping = site.opened(site.store(lambda step: raising(Crash())() if _moves_pointer(step) else None))
    with suppress(Crash):
        site.publish(stopping, hello(3))
    site.clock.now += DAY
    pruner(site, generations=1, grace=HOUR).prune(site.clock.now)
    assert [stored.path for stored in site.inner.list(".repod/generations/")] == [record_path(3), record_path(4)]
    assert site.publisher().open("x").number == 4
    assert site.listed == seen(*packages, hello(3))


def _moves_pointer(step: Step) -> bool:
    return (step.name, step.path) == ("write", HEAD)


def test_no_record_is_read_where_there_is_nothing_that_could_go(site: Site) -> None:
    fill(site, 3)
    site.inner.write(record_path(2), b"unreadable", Expect.ANY)
    assert not planner(site.inner, generations=4, grace=3 * DAY).plan(site.clock.now)
    assert not planner(site.inner, generations=2, grace=3 * DAY).plan(site.clock.now)
    with pytest.raises(Corrupt):
        planner(site.inner, generations=2, grace=MINUTE).plan(site.clock.now + 2 * HOUR)


def test_what_was_found_idle_is_not_looked_at_again_until_something_is_published_or_due(site: Site) -> None:
    fill(site, 3)
    store = site.store()
    one = planner(store, policy=Policy(keep=3), generations=1, grace=3 * DAY)
    stored = one.plan(site.clock.now).stored
    assert stored
    site.plan(store)
    plan = one.plan(site.clock.now + MINUTE)
    assert (bool(plan), plan.stored, [step.name for step in store.steps]) == (False, stored, ["read"])
    site.publish(site.opened(), hello(4))
    assert builds(one.plan(site.clock.now)) == [str(hello(1).nevra)]


def test_after_a_publish_only_the_names_that_came_are_looked_at(site: Site) -> None:
    """What is read is the pointer and one record, however much is listed; also by the next process."""
    publisher = site.opened()
    site.publish(publisher, *(hello(number) for number in (1, 2)))
    store, memory, asked = site.store(), Remembered(), list[str]()

    def crowded(name: str) -> bool:
        asked.append(name)
        return sum(f"/{name}-" in place for place in site.listed) > 2

    def look() -> Plan:
        policy = Policy(keep=2)
        one = planner(store, policy=policy, generations=4, grace=3 * DAY, crowded=crowded, memory=memory)
        return one.plan(site.clock.now)

    assert not look()
    site.plan(store)
    site.publish(publisher, made("other-1.0-1.noarch"))
    assert not look()
    assert not look()
    assert (asked, {step.name for step in store.steps}) == (["other"], {"read"})
    assert memory.idle is not None
    assert (memory.idle.generation, memory.idle.room) == (3, 1)
    site.publish(publisher, hello(3))
    assert builds(look()) == [str(hello(1).nevra)]
    assert memory.idle is None


def test_a_publish_that_puts_an_old_generation_beyond_those_that_are_kept_is_looked_at(site: Site) -> None:
    fill(site, 3)
    store, memory = site.store(), Remembered()
    words = {"generations": 4, "grace": MINUTE, "crowded": lambda _name: False, "memory": memory}
    assert not planner(store, **words).plan(site.clock.now)
    site.publish(site.opened(), hello(4))
    site.clock.now += HOUR
    assert [removal.path for removal in planner(store, **words).plan(site.clock.now).removals][-1] == record_path(1)


def test_a_pattern_of_the_settings_holds(site: Site) -> None:
    publisher = site.opened()
    packages = [made(f"golang-{version}-1.x86_64") for version in ("1.24.3", "1.25.1", "1.26.0")]
    site.publish(publisher, *packages)
    policy = Policy(keep=1, lines=[Pattern.parse("golang = 1.24.*")])
    pruner(site, policy=policy).prune(site.clock.now)
    assert site.listed == seen(packages[0], packages[2])
