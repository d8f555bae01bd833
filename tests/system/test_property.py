"""Whatever is done to a repository, in any order and with any crash, readers see what a simple model says.

The real engine on a real directory. After every step the independent checker reads every
view that there is, and createrepo_c reads the live and the newest frozen one.

REPOD_PROPERTY_EXAMPLES is how many sequences are tried (default: a few, always the same ones).
"""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from repod.doors import Change, Edit
from repod.package import Nevra, StorePath
from repod.publish import Publisher
from repod.repodata.carried import RemoveAdvisories, SetDocument, read
from repod.repodata.engine import SegmentedRepodata
from repod.store.local import LocalStore
from tests.lab import validity
from tests.lab.clients import createrepo_c_list
from tests.lab.entries import Made, made
from tests.lab.fakes import Clock, MacSigner, armor
from tests.lab.faulty import Crash, FaultyStore, Moment, Plan, Step, nothing
from tests.lab.frozen_check import check_every
from tests.lab.place import parse
from tests.lab.site import URL
from tests.lab.stated import statements
from tests.lab.views import nevra as written

_EXAMPLES = int(os.environ.get("REPOD_PROPERTY_EXAMPLES", "0"))
_NEVRAS = st.builds(
    lambda name, version, epoch: f"{name}-{epoch}:1.{version}-1.noarch",
    st.sampled_from(["a", "lib++"]),
    st.integers(1, 3),
    st.sampled_from([0, 0, 2]),
).map(Nevra.parse)
_SOME = st.lists(_NEVRAS, min_size=1, max_size=3, unique=True)
_GROUPS = st.sampled_from(["tools", "games"]).map(
    lambda name: f"<comps><group><id>{name}</id><name>{name}</name><packagelist/></group></comps>\n".encode()
)
_PACKINGS = st.sampled_from([("gz", False), ("zstd", False), ("gz", True)])
_IDS = st.sampled_from(["LAB-1", "LAB-2", "LAB-3"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a repository should show: builds, groups, and what each advisory refers to."""

    builds: Mapping[Nevra, Made] = field(default_factory=dict)
    groups: bytes | None = None
    advisories: Mapping[str, frozenset[Nevra]] = field(default_factory=dict)

    def after(self, came: Iterable[Made] = (), went: Iterable[Nevra] = (), **edits: object) -> "Content":
        """The content after a change: the advisories that are there follow the packages, then edits are made."""
        here = {one.nevra: one for one in came}
        gone = (set(went) | here.keys()) & self.builds.keys()
        builds = {nevra: one for nevra, one in self.builds.items() if nevra not in gone} | here
        advisories = {
            key: frozenset(ref for ref in refs if _stays(ref, here.keys(), gone, builds))
            for key, refs in self.advisories.items()
        }
        left = {key: refs for key, refs in advisories.items() if refs}
        return replace(self, **{"builds": builds, "advisories": left, **edits})


def _stays(ref: Nevra, came: Iterable[Nevra], gone: Iterable[Nevra], builds: Iterable[Nevra]) -> bool:
    """A reference goes where a build that covered it left, and none that does is listed any more."""

    def covers(nevra: Nevra) -> bool:
        return (nevra.name, nevra.arch) == (ref.name, ref.arch) and nevra.rank >= ref.rank

    touched = ref in set(came) or any(covers(nevra) for nevra in gone)
    return not touched or any(covers(nevra) for nevra in builds)


def _dying(number: int, moment: Moment) -> Plan:
    """The plan by which the process dies before or after that change of the store."""
    changes = itertools.count(1)

    def plan(step: Step) -> None:
        if step.name in {"write", "add", "copy", "remove"} and step.moment == moment and next(changes) == number:
            raise Crash

    return plan


def _advisory(key: str, refs: Iterable[Nevra]) -> bytes:
    rows = "".join(
        f'<package name="{n.name}" epoch="{n.epoch}" version="{n.version}" release="{n.release}" arch="{n.arch}"/>'
        for n in sorted(refs, key=str)
    )
    return (
        f'<updates><update type="bugfix"><id>{key}</id><title>{key}</title><issued date="2023-11-14"/>'
        f"<pkglist><collection><name>x</name>{rows}</collection></pkglist></update></updates>\n"
    ).encode()


class Repository(RuleBasedStateMachine):
    """A repository and what it should show."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.root = folder / "store"
        self.root.mkdir(parents=True)
        self.folder = folder
        self.signer = MacSigner()
        self.clock = Clock()
        self.builds = itertools.count()
        self.content = Content()
        self.history: dict[int, Content] = {}
        self.advisories: dict[int, bytes | None] = {}
        self.begin("cache", ("gz", False))

    def begin(self, cache: str, packing: tuple[str, bool]) -> None:
        """A new process, with the cache of that name: settings may have changed, compression and single stream."""
        self.cache = cache
        self.store = FaultyStore(LocalStore(self.root))
        self.engine = SegmentedRepodata(
            self.store, self.folder / cache, compression=packing[0], single_stream=packing[1]
        )
        self.publisher = Publisher(
            store=self.store,
            url=URL,
            repodata=self.engine,
            signer=self.signer,
            armor=armor,
            clock=self.clock,
            pause=lambda _: None,
            statements=statements(self.store, self.signer, self.clock),
        )
        self.note(self.publisher.open("test").number)

    def teardown(self) -> None:
        self.engine.close()

    def note(self, number: int) -> None:
        self.history[number] = self.content

    def made(self, nevra: Nevra) -> Made:
        """Another build, stored where nothing else lies."""
        number = next(self.builds)
        one = made(nevra, f"build {number}", StorePath(f"Packages/{number}/{nevra.location.rpartition('/')[2]}"))
        LocalStore(self.root).add(one.package.href, [one.file], one.package.pkgid)
        return one

    def publish(self, came: list[Made], went: list[Nevra], edits: list[Edit], then: Content) -> None:
        change = Change(entries=[one.entry for one in came], removed=went, edits=edits)
        generation = self.publisher.publish(change, actor="test", why="test", replace=True)
        self.content = then
        self.note(generation.number)

    @rule(nevras=_SOME)
    def add(self, nevras: list[Nevra]) -> None:
        """New builds, and other builds of NEVRAs that are listed."""
        came = [self.made(nevra) for nevra in nevras]
        self.publish(came, [], [], self.content.after(came))

    @rule(nevras=_SOME)
    def remove(self, nevras: list[Nevra]) -> None:
        """Builds, listed or not."""
        self.publish([], nevras, [], self.content.after(went=nevras))

    @rule(key=_IDS, nevras=_SOME)
    def advise(self, key: str, nevras: list[Nevra]) -> None:
        """An advisory of builds that are listed, and of some that are not."""
        then = replace(self.content, advisories={**self.content.advisories, key: frozenset(nevras)})
        self.publish([], [], [read("updateinfo.xml", _advisory(key, nevras))], then)

    @precondition(lambda self: self.content.advisories)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """An advisory goes."""
        key = data.draw(st.sampled_from(sorted(self.content.advisories)))
        left = {other: refs for other, refs in self.content.advisories.items() if other != key}
        self.publish([], [], [RemoveAdvisories(ids=[key])], replace(self.content, advisories=left))

    @rule(groups=st.one_of(st.none(), _GROUPS))
    def group(self, groups: bytes | None) -> None:
        """Groups come, change or go."""
        self.publish([], [], [SetDocument(type="group", data=groups)], replace(self.content, groups=groups))

    @precondition(lambda self: len(self.history) > 1)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        """An older generation's content is published again."""
        number = data.draw(st.sampled_from(sorted(self.advisories)))
        old = self.history[number]
        came = [one for nevra, one in old.builds.items() if self.content.builds.get(nevra) != one]
        went = [nevra for nevra in self.content.builds if nevra not in old.builds]
        edits = [
            SetDocument(type="group", data=old.groups),
            SetDocument(type="updateinfo", data=self.advisories[number]),
        ]
        then = self.content.after(came, went, groups=old.groups, advisories=old.advisories)
        self.publish(came, went, edits, then)

    @rule(lost=st.booleans(), packing=_PACKINGS)
    def restart(self, lost: bool, packing: tuple[str, bool]) -> None:
        """A new process, on a machine that has the cache or on another one."""
        self.engine.close()
        self.begin(f"cache{next(self.builds)}" if lost else self.cache, packing)

    @rule(
        nevras=_SOME,
        groups=_GROUPS,
        number=st.integers(1, 24),
        moment=st.sampled_from(["before", "after"]),
        lost=st.booleans(),
        packing=_PACKINGS,
    )
    def crash(
        self, nevras: list[Nevra], groups: bytes, number: int, moment: Moment, lost: bool, packing: tuple[str, bool]
    ) -> None:
        """The process dies before or after any change of the store; the next one finds all of it, or nothing."""
        came = [self.made(nevra) for nevra in nevras]
        before, then = self.content, replace(self.content.after(came), groups=groups)
        self.store.plan = _dying(number, moment)
        try:
            self.publish(came, [], [SetDocument(type="group", data=groups)], then)
        except Crash:
            self.content = then if (self.root / f".repod/generations/{max(self.history) + 1}.json").exists() else before
        self.store.plan = nothing
        self.restart(lost, packing)

    @invariant()
    def shows_what_the_model_says(self) -> None:
        """Rule 1 for all views, and the content of the newest."""
        report = check_every(self.root)
        assert report.faults == []
        assert int(report.revision) == max(self.history)
        self.advisories[int(report.revision)] = report.documents.get("updateinfo")
        wanted = {_text(one.nevra): (one.package.href, one.package.pkgid) for one in self.content.builds.values()}
        assert {nevra: (row.href, row.pkgid) for nevra, row in report.packages.items()} == wanted
        assert report.documents.get("group") == self.content.groups
        assert _references(report.documents.get("updateinfo")) == {
            key: {_text(ref) for ref in refs} for key, refs in self.content.advisories.items()
        }
        for view, up in ((self.root, ""), (self.root / "generations" / report.revision, "../../")):
            assert {
                written(row.name, row.epoch, row.version, row.release, row.arch): (row.location_href, row.pkgId)
                for row in createrepo_c_list(view)
            } == {nevra: (up + href, pkgid) for nevra, (href, pkgid) in wanted.items()}
        validity.assert_settled(LocalStore(self.root), self.signer.public_key)


def _text(nevra: Nevra) -> str:
    return written(nevra.name, nevra.epoch, nevra.version, nevra.release, nevra.arch)


def _references(updateinfo: bytes | None) -> dict[str, set[str]]:
    return {
        row.findtext("id") or "": {
            written(*(package.get(key, "") for key in ("name", "epoch", "version", "release", "arch")))
            for package in row.iterfind("pkglist/collection/package")
        }
        for row in (parse(updateinfo) if updateinfo else ())
    }


def _machines(folder: Path) -> Callable[[], Repository]:
    numbers = itertools.count()
    return lambda: Repository(folder / str(next(numbers)))


@pytest.mark.timeout(0 if _EXAMPLES else 300)
def test_in_any_sequence_with_any_crash_readers_see_what_the_model_says(tmp_path: Path) -> None:
    run_state_machine_as_test(
        _machines(tmp_path),
        settings=settings(
            max_examples=_EXAMPLES or 8,
            stateful_step_count=40 if _EXAMPLES else 20,
            derandomize=not _EXAMPLES,
            database=None,
            deadline=None,
            print_blob=True,
            phases=[Phase.explicit, Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
