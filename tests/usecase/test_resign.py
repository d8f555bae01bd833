"""All packages are signed anew: what that leaves, what stops it, what goes on beside it."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from repod.doors import Change
from repod.errors import Corrupt, Unavailable
from repod.generation import Generation
from repod.history import History
from repod.ledger import Ledger, Mark
from repod.package import Nevra, Package
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.resign import Resigned, Resigning
from repod.signatures import Signatures
from repod.store.memory import MemoryStore
from tests.lab import validity
from tests.lab.entries import described
from tests.lab.fakes import FakeRpms, Forgetful, MacSigner, armor, dearmor, rpm, signers_of, verifies
from tests.lab.faulty import Crash, Moment, Plan, Step, at, nothing, raising
from tests.lab.inline import inline
from tests.lab.rolling import rolling
from tests.lab.site import URL, Site, site
from tests.lab.stated import statements

OLD, NEW, STRANGER = MacSigner("old"), MacSigner("new"), MacSigner("stranger")
_NAMES = ("a-1.0-1.noarch", "b-1.0-1.noarch", "c-1.0-1.noarch", "d-1.0-1.noarch", "e-1.0-1.noarch")
_MAGIC = b"FAKE RPM "


class Office:
    """A person who signs the packages of a site anew, in a process of their own."""

    def __init__(self, where: Site, folder: Path, plan: Plan = nothing, *, batch: int = 2) -> None:
        folder.mkdir(exist_ok=True)
        self.where = where
        self.store = where.store(plan)
        self.signer = MacSigner("new")
        self.rpms = FakeRpms()
        self.repodata: SegmentedRepodata = where.repodata(self.store)
        self.publisher = Publisher(
            store=self.store,
            url=URL,
            repodata=self.repodata,
            signer=self.signer,
            armor=armor,
            clock=where.clock,
            pause=where.pause,
            statements=statements(self.store, self.signer, where.clock),
            threads=inline,
        )
        self.ledger = Ledger(self.store, where.pause)
        self.folder = folder
        self.resigning = Resigning(
            store=self.store,
            repodata=self.repodata,
            publisher=self.publisher,
            ledger=self.ledger,
            rpms=self.rpms,
            signer=self.signer,
            signing_key=NEW.fingerprint,
            signatures=Signatures(store=self.store, read=signers_of, seen=Forgetful(), parallel=1, threads=inline),
            index_issuers=self._index_issuers,
            workspace=folder,
            changelogs=10,
            parallel=1,
            pause=self._pause,
            batch=batch,
            threads=inline,
        )

    def _pause(self, attempt: int) -> None:
        self.where.clock.now += 1
        self.where.pauses.append(attempt)

    def _index_issuers(self, signature: bytes) -> Sequence[str]:
        """A MAC names nobody: who made it is tried with the index that it belongs to."""
        index = self.where.inner.read(validity.LIVE).data
        return [one.fingerprint for one in (OLD, NEW) if verifies(one.public_key, index, dearmor(signature))]

    def run(self) -> Resigned:
        """Do it; no private copy may be left."""
        try:
            return self.resigning.carry_out(self.resigning.plan(), actor="anna", why="rotation")
        finally:
            assert list(self.folder.iterdir()) == []


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Site]:
    """A site whose packages the old key signed, but for one that a stranger did and one that nobody did."""
    with site(tmp_path) as one:
        one.signer = OLD
        publisher = one.opened()
        for name, signer in zip(_NAMES, (OLD, OLD, OLD, STRANGER, None), strict=True):
            put(one, publisher, name, signer)
        yield one


def put(where: Site, publisher: Publisher, name: str, signer: MacSigner | None, content: str = "") -> Package:
    made = described(Nevra.parse(name), rpm(name, content, signer))
    href = made.package.href if not content else type(made.package.href)(f"Packages/{content}/{name}.rpm")
    made = described(Nevra.parse(name), made.file, href)
    where.put(made)
    publisher.publish(Change(entries=[made.entry]), actor="inbox", why="arrived", replace=True)
    return made.package


def listed(where: Site) -> dict[str, Package]:
    generation = next(History(where.inner).back())
    repodata = where.repodata(where.store())
    repodata.load(generation)
    return {str(package.nevra): package for package in repodata.packages()}


def keys(where: Site) -> set[str]:
    """Who signed what is listed."""
    return {row for package in listed(where).values() for row in signers_of([where.inner.read(package.href).data])[0]}


def builds(where: Site) -> dict[str, object]:
    rows = {name: where.inner.read(package.href).data for name, package in listed(where).items()}
    return {name: json.loads(data.removeprefix(_MAGIC))["header"] for name, data in rows.items()}


def test_every_package_is_signed_by_the_new_key_and_the_same_build(where: Site, tmp_path: Path) -> None:
    before, of_before = builds(where), listed(where)
    done = Office(where, tmp_path / "office").run()
    assert (done.packages, done.left, done.overtaken) == (5, [], 0)
    assert keys(where) == {NEW.fingerprint}
    assert builds(where) == before
    for name, package in of_before.items():
        assert where.inner.read(package.href).data  # hosts with older metadata ask for it
        assert listed(where)[name].href != package.href
    newest = next(History(where.inner).back())
    assert (newest.actor, newest.why) == ("anna", "rotation")
    assert {origin.how for origin in newest.origins} == {"resigning"}
    assert {origin.of for origin in newest.origins} <= {package.pkgid for package in of_before.values()}
    validity.assert_settled(where.inner, NEW.public_key)


def test_where_the_old_key_is_gone_nothing_is_published_before_all_is_signed_anew(where: Site, tmp_path: Path) -> None:
    office = Office(where, tmp_path / "office")
    more = described(Nevra.parse("f-1.0-1.noarch"), rpm("f-1.0-1.noarch", "", NEW))
    where.put(more)
    change = Change(entries=[more.entry])
    with pytest.raises(Corrupt, match="sign them anew: repod resign site"):
        office.publisher.publish(change, actor="inbox", why="arrived")
    office.run()
    for publisher in (office.publisher, Office(where, tmp_path / "later").publisher):
        publisher.publish(change, actor="inbox", why="arrived")
        assert publisher.renew() is not None
    assert "f-1.0-1.noarch" in listed(where)
    validity.assert_settled(where.inner, NEW.public_key)


def test_it_is_done_in_batches_and_a_second_time_changes_nothing(where: Site, tmp_path: Path) -> None:
    first = where.generations[0].number
    Office(where, tmp_path / "office").run()
    assert where.generations[0].number == first + 3
    dump = where.dump()
    done = Office(where, tmp_path / "office").run()
    assert (done.packages, done.generation) == (0, None)
    assert where.dump() == dump


def test_labels_pins_and_age_stay_with_the_build(where: Site, tmp_path: Path) -> None:
    mark = Mark(time=1.0, actor="anna", why="kept")
    ledger, old = Ledger(where.inner, where.pause), listed(where)["b-1.0-1.noarch"]
    ledger.pin(old, mark)
    ledger.label(old, "tested", mark)
    Office(where, tmp_path / "office").run()
    known = ledger.of(listed(where)["b-1.0-1.noarch"])
    assert (known.pin, dict(known.labels)) == (mark, {"tested": mark})
    assert known.came is not None
    assert (known.came.actor, known.came.generation) == ("inbox", 3)


def test_a_package_that_cannot_be_signed_anew_is_told_of_and_the_others_are(where: Site, tmp_path: Path) -> None:
    publisher = where.opened()
    put(where, publisher, "odd-1.0-1.noarch", OLD, "fault=text")
    gone, hurt = listed(where)["a-1.0-1.noarch"], listed(where)["b-1.0-1.noarch"]
    office = Office(where, tmp_path / "office")
    office.store.plan = nothing  # the repository is damaged, and nobody is to complain of that
    plan = office.resigning.plan()
    spoil(where.inner, gone, hurt)
    done = office.resigning.carry_out(plan, actor="anna", why="")
    whys = {str(one.package.nevra): one.why for one in done.left}
    assert set(whys) == {"odd-1.0-1.noarch", "a-1.0-1.noarch", "b-1.0-1.noarch"}
    assert "something about fault=text" in whys["odd-1.0-1.noarch"]
    assert "altered: expected sha256" in whys["b-1.0-1.noarch"]
    assert done.packages == 3


def test_pins_and_labels_stay_with_the_build_whichever_of_its_files_is_listed(where: Site, tmp_path: Path) -> None:
    """Histories, seed 41864: a rollback to before the resign lost what was set since."""
    office = Office(where, tmp_path / "office")
    before, mark = next(History(where.inner).back()).number, Mark(time=1.0, actor="anna", why="audit")
    office.ledger.pin(listed(where)["b-1.0-1.noarch"], mark)
    office.run()
    where.signer = NEW
    after = next(History(where.inner).back()).number
    office.ledger.pin(listed(where)["a-1.0-1.noarch"], mark)
    office.ledger.label(listed(where)["a-1.0-1.noarch"], "blessed", mark)
    office.ledger.unpin(listed(where)["b-1.0-1.noarch"])
    for number in (before, after, before):
        rolling(where, tmp_path / "copies").run(number, actor="ben", why="")
        known = {name: office.ledger.of(package) for name, package in listed(where).items()}
        assert known["a-1.0-1.noarch"].pin == mark
        assert known["a-1.0-1.noarch"].labels == {"blessed": mark}
        assert known["b-1.0-1.noarch"].pin is None


def spoil(store: MemoryStore, gone: Package, hurt: Package) -> None:
    """One file is lost, and one has other bytes."""
    data = store.read(hurt.href)
    store.remove(gone.href)
    store.write(hurt.href, data.data + b"x", data.version)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_is_killed_at_any_step_is_finished_by_the_next(moment: Moment, tmp_path: Path) -> None:
    """The repository is valid all the time, and what was signed before the kill is taken as it lies."""
    with _old(tmp_path / "whole") as one:
        office = Office(one, tmp_path / "office")
        office.run()
        steps = len(office.store.steps)
    assert steps > 20
    for number in range(1, steps + 1):
        with _old(tmp_path / f"{number}") as one:
            office = Office(one, tmp_path / "office")
            _crash(office, at(number, moment, raising(Crash())))
            assert Office(one, tmp_path / "office").run().left == []
            assert keys(one) == {NEW.fingerprint}
            # Not signed a second time: there are two files of the build.
            assert len(list(one.inner.list("Packages/"))) == 2
            validity.assert_settled(one.inner, NEW.public_key)


@contextmanager
def _old(folder: Path) -> Iterator[Site]:
    """A site with one package, which the old key signed."""
    folder.mkdir()
    with site(folder) as one:
        one.signer = OLD
        put(one, one.opened(), "a-1.0-1.noarch", OLD)
        yield one


def _crash(office: Office, plan: Plan) -> None:
    """Begin it; after a step that itself failed there is none to crash after."""
    office.where.plan(office.store, plan)
    with suppress(Crash):
        office.run()


def test_what_another_writer_replaced_or_removed_meanwhile_stays_as_he_made_it(where: Site, tmp_path: Path) -> None:
    office, other = Office(where, tmp_path / "office", batch=5), where.opened()
    plan = office.resigning.plan()
    anew = put(where, other, "a-1.0-1.noarch", OLD, "anew")
    other.publish(Change(removed=[Nevra.parse("b-1.0-1.noarch")]), actor="ben", why="broken")
    done = office.resigning.carry_out(plan, actor="anna", why="")
    assert (done.packages, done.overtaken, done.left) == (3, 2, [])
    assert listed(where)["a-1.0-1.noarch"] == anew
    assert "b-1.0-1.noarch" not in listed(where)


def test_a_publish_in_the_very_moment_is_planned_anew(where: Site, tmp_path: Path) -> None:
    raced: list[Generation] = []
    other = where.opened()

    def race() -> None:
        made = described(Nevra.parse("z-1.0-1.noarch"), rpm("z-1.0-1.noarch", "", OLD))
        where.put(made)
        raced.append(other.publish(Change(entries=[made.entry]), actor="inbox", why=""))

    office = Office(where, tmp_path / "office", _once_at_ledger(race), batch=5)
    done = office.run()
    assert len(raced) == 1
    assert done.packages == 5
    assert set(listed(where)) == {*_NAMES, "z-1.0-1.noarch"}
    assert office.run().packages == 1


def _once_at_ledger(act: Callable[[], None]) -> Plan:
    """Once, after what is known of the builds has followed them and before they are published."""
    done: list[bool] = []

    def plan(step: Step) -> None:
        written = (step.name, step.moment) == ("write", "after") and step.path.startswith(".repod/ledger/")
        if written and not done:
            done.append(True)
            act()

    return plan


@pytest.mark.parametrize("passed", [60, 0, -3600])
def test_an_index_that_another_key_signed_is_signed_anew_though_no_package_is(tmp_path: Path, passed: int) -> None:
    """At once, also within the same second and where the clock went back since it was signed."""
    with site(tmp_path) as one:
        one.signer = OLD
        put(one, one.opened(), "a-1.0-1.noarch", NEW)
        one.clock.now += passed
        one.pauses.clear()
        done = Office(one, tmp_path / "office").run()
        assert (done.packages, done.generation and done.generation.packages) == (0, 1)
        assert one.pauses == []
        validity.assert_settled(one.inner, NEW.public_key)
        assert Office(one, tmp_path / "office").run().generation is None


def test_without_the_signer_it_stops_and_publishes_nothing(where: Site, tmp_path: Path) -> None:
    office, before = Office(where, tmp_path / "office"), where.generations[0].number
    office.signer.broken = "no key today"
    with pytest.raises(Unavailable, match="no key today"):
        office.run()
    assert where.generations[0].number == before


def test_a_full_disk_stops_it_and_the_next_run_goes_on(where: Site, tmp_path: Path) -> None:
    added: list[Step] = []

    def full(step: Step) -> None:
        if (step.name, step.moment) == ("add", "before") and step.path.startswith("Packages/"):
            added.append(step)
        if len(added) > 3:
            raise Unavailable("disk full")

    with pytest.raises(Unavailable, match="disk full"):
        Office(where, tmp_path / "office", full).run()
    assert Office(where, tmp_path / "office").run().packages == 3
    assert keys(where) == {NEW.fingerprint}
