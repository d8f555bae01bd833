"""Another tool's repository is taken over whole, or nothing is published; and a stop is carried on from."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from repod.adopt import Adopted, Adoption, Plan
from repod.doors import Expect
from repod.elsewhere import Source
from repod.errors import Unavailable
from repod.package import StorePath, sha256
from repod.repodata.foreign import read
from repod.source import open_source
from tests.lab import foreign
from tests.lab.faulty import Crash, FaultyStore, Moment, at
from tests.lab.mirror import mirror
from tests.lab.rpms import quick
from tests.lab.site import Site, site


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as one:
        yield one


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Five packages of createrepo_c, with groups."""
    folder = tmp_path / "old"
    (folder / "sub").mkdir(parents=True)
    for number in range(4):
        quick(folder / "sub", f"pkg{number}")
    quick(folder, "lib++", "1^git~rc1", epoch=2)
    foreign.createrepo(folder)
    foreign.carry(folder, "group", "comps.xml", foreign.COMPS.encode())
    return folder


class Desk:
    """One run of ``repod adopt``."""

    def __init__(self, place: Site, source: Source, work: Path, store: FaultyStore | None = None) -> None:
        self.store = store or place.store()
        repodata = place.repodata(self.store)
        self.told: list[tuple[str, int, int]] = []
        work.mkdir()
        (work / "documents").mkdir()
        self.work = work
        self.adoption = Adoption(
            source=source,
            foreign=read(source, work / "documents"),
            store=self.store,
            repodata=repodata,
            publisher=place.publisher(self.store, repodata=repodata),
            workspace=work,
            own=False,
            parallel=3,
            tell=lambda *said: self.told.append(said),
        )

    def run(self, *, skip: bool = False) -> Adopted:
        return self.adoption.carry_out(self.adoption.plan(), actor="test", why="adopted", skip=skip)


@pytest.fixture
def desk(place: Site, old: Path, tmp_path: Path) -> Iterator["Make"]:
    with ExitStack() as stack:
        yield Make(place, str(old), tmp_path, stack)


class Make:
    """Makes runs over one source."""

    def __init__(self, place: Site, where: str, work: Path, stack: ExitStack) -> None:
        self.place = place
        self.where = where
        self._work = work
        self._stack = stack
        self._count = 0

    def __call__(self, where: str = "", store: FaultyStore | None = None) -> Desk:
        self._count += 1
        source = self._stack.enter_context(open_source(where or self.where, lambda _: None))
        return Desk(self.place, source, self._work / f"work{self._count}", store)


def _files(folder: Path) -> dict[str, str]:
    """Path to SHA-256 of all packages below a folder."""
    paths = sorted(folder.rglob("*.rpm"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _kinds(done: Adopted | Plan) -> list[tuple[str, str]]:
    return sorted((one.kind, one.href) for one in done.left)


def _assert_adopted(place: Site, files: dict[str, str]) -> None:
    assert place.listed == files
    for path, digest in files.items():
        assert hashlib.sha256(place.inner.read(StorePath(path)).data).hexdigest() == digest
    place.assert_settled()


# ---------------------------------------------------------------- whole


def test_everything_becomes_one_generation_under_its_old_paths(place: Site, old: Path, desk: Make) -> None:
    done = desk().run()
    assert done.generation is not None
    assert (done.generation.number, done.packages, done.generation.why, _kinds(done)) == (1, 5, "adopted", [])
    assert [document.type for document in done.generation.documents] == ["primary", "filelists", "other", "group"]
    _assert_adopted(place, _files(old))


def test_advisories_of_adopted_packages_stay_byte_for_byte(place: Site, old: Path, desk: Make) -> None:
    """They name packages without a checksum, as many do; repod adds one only to what it publishes itself."""
    data = foreign.advisories(3, sorted(old.rglob("*.rpm")), sums=False)
    foreign.carry(old, "updateinfo", "updateinfo.xml", data)
    done = desk().run()
    assert done.generation is not None
    document = done.generation.document("updateinfo")
    assert document is not None
    assert document.open_checksum == hashlib.sha256(data).hexdigest()
    assert done.kept == []


def test_a_plan_writes_nothing(place: Site, desk: Make) -> None:
    plan = desk().adoption.plan()
    assert (len(plan.found), plan.present, plan.left) == (5, 0, [])
    assert plan.size == sum(found.listed.size for found in plan.found) > 0
    assert place.dump() == {}


def test_how_many_are_done_is_told(desk: Make) -> None:
    one = desk()
    one.run()
    assert one.told[4] == ("looking for packages", 5, 5)
    assert one.told[-2:] == [("copying packages", 5, 5), ("publishing", 5, 5)]


@pytest.mark.parametrize("checksum", ["sha512", "sha1"])
def test_other_checksums_become_sha256(place: Site, old: Path, desk: Make, checksum: str) -> None:
    foreign.createrepo(old, checksum="sha256" if checksum == "sha1" else checksum)
    if checksum == "sha1":
        foreign.sha1(old)
    desk().run()
    _assert_adopted(place, _files(old))


def test_dos_and_encoded_paths_become_those_of_the_files(place: Site, old: Path, desk: Make) -> None:
    foreign.rewrite(old, "primary", lambda text: text.replace(b'href="lib++-1^git', b'href="lib%2B%2B-1%5Egit'))
    foreign.dos_paths(old)
    desk().run()
    _assert_adopted(place, _files(old))


def test_a_file_whose_name_has_a_percent_sign_is_taken_as_it_is(place: Site, old: Path, desk: Make) -> None:
    (old / "lib++-1^git~rc1-1.noarch.rpm").rename(old / "lib%2B%2B-1.rpm")
    foreign.createrepo(old)
    desk().run()
    _assert_adopted(place, _files(old))


def test_packages_are_fetched_from_their_base_and_it_is_dropped(
    place: Site, old: Path, desk: Make, tmp_path: Path
) -> None:
    files = _files(old)
    with mirror(tmp_path / "elsewhere") as server:
        foreign.createrepo(old, f"--baseurl={server.url}/x")
        shutil.copytree(old, tmp_path / "elsewhere/x")
        for path in old.rglob("*.rpm"):
            path.unlink()
        desk().run()
    _assert_adopted(place, files)


def test_a_package_outside_of_the_repository_gets_a_place_inside(
    place: Site, old: Path, desk: Make, tmp_path: Path
) -> None:
    (tmp_path / "pool").mkdir()
    (old / "sub/pkg0-1.0-1.noarch.rpm").rename(tmp_path / "pool/x.rpm")
    foreign.rewrite(
        old, "primary", lambda text: text.replace(b'href="sub/pkg0-1.0-1.noarch.rpm', b'href="../pool/x.rpm')
    )
    desk().run()
    digest = hashlib.sha256((tmp_path / "pool/x.rpm").read_bytes()).hexdigest()
    _assert_adopted(place, _files(old) | {"Packages/p/pkg0-1.0-1.noarch.rpm": digest})


def test_two_packages_that_would_get_one_place_stop_the_adopt(
    place: Site, old: Path, desk: Make, tmp_path: Path
) -> None:
    """By rpm's convention names of files do not tell the epoch."""
    for epoch in (1, 2):
        (tmp_path / f"pool{epoch}").mkdir()
        rpm = quick(old, "pkg0", epoch=epoch)
        foreign.createrepo(old)
        rpm.rename(tmp_path / f"pool{epoch}/{rpm.name}")
    (tmp_path / "pool1" / rpm.name).rename(old / "first.rpm")
    (tmp_path / "pool2" / rpm.name).rename(old / "second.rpm")
    foreign.createrepo(old)
    for name in ("first", "second"):
        (old / f"{name}.rpm").rename(tmp_path / f"{name}.rpm")
        foreign.rewrite(old, "primary", partial(_moved_out, f"{name}.rpm".encode()))
    done = desk().run()
    assert done.generation is None
    (left,) = done.left
    assert left.kind == "taken"
    assert "Packages/p/pkg0-1.0-1.noarch.rpm" in left.text


def _moved_out(name: bytes, text: bytes) -> bytes:
    return text.replace(b'href="' + name, b'href="../' + name)


# ---------------------------------------------------------------- missing and damaged


def _hurt(old: Path) -> None:
    (old / "sub/pkg0-1.0-1.noarch.rpm").unlink()
    for number, data in ((1, b"short"), (2, None)):
        path = old / f"sub/pkg{number}-1.0-1.noarch.rpm"
        path.write_bytes(data or path.read_bytes()[:-1] + b"!")


_HURT = [
    ("damaged", "sub/pkg1-1.0-1.noarch.rpm"),
    ("damaged", "sub/pkg2-1.0-1.noarch.rpm"),
    ("missing", "sub/pkg0-1.0-1.noarch.rpm"),
]


def test_what_is_missing_or_of_another_size_is_told_before_anything_is_copied(
    place: Site, old: Path, desk: Make
) -> None:
    _hurt(old)
    done = desk().run()
    assert done.generation is None
    assert _kinds(done) == [_HURT[0], _HURT[2]]
    assert place.dump() == {}


@pytest.mark.parametrize("checksum", ["sha256", "sha512"])
@pytest.mark.parametrize("web", [False, True])
def test_a_damaged_file_is_told_and_nothing_is_published(
    place: Site, old: Path, desk: Make, tmp_path: Path, checksum: str, web: bool
) -> None:
    foreign.createrepo(old, checksum=checksum)
    path = old / "sub/pkg2-1.0-1.noarch.rpm"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with mirror(tmp_path) as server:
        one = desk(f"{server.url}/old" if web else "")
        done = one.run()
    assert done.generation is None
    assert _kinds(done) == [("damaged", "sub/pkg2-1.0-1.noarch.rpm")]
    assert checksum in done.left[0].text or "SHA-256" in done.left[0].text
    assert "repodata/repomd.xml" not in place.dump()
    assert [path.name for path in one.work.iterdir()] == ["documents"]


def test_they_are_left_out_and_listed_where_that_is_asked_for(place: Site, old: Path, desk: Make) -> None:
    _hurt(old)
    done = desk().run(skip=True)
    assert done.generation is not None
    assert (done.packages, _kinds(done)) == (2, _HURT)
    _assert_adopted(
        place, {path: digest for path, digest in _files(old).items() if path not in dict(map(reversed, _HURT))}
    )


def test_a_source_that_cannot_be_read_now_is_no_reason_to_leave_anything_out(
    place: Site, old: Path, desk: Make, tmp_path: Path
) -> None:
    with mirror(tmp_path) as server:
        one = desk(f"{server.url}/old")
        plan = one.adoption.plan()
        server.troubles["/old/sub/pkg1-1.0-1.noarch.rpm"] = [503] * 50
        with pytest.raises(Unavailable, match="503"):
            one.adoption.carry_out(plan, actor="test", why="adopted", skip=True)
    assert "repodata/repomd.xml" not in place.dump()


def test_a_server_that_sends_more_than_is_documented_is_cut_off(
    place: Site, old: Path, desk: Make, tmp_path: Path
) -> None:
    with mirror(tmp_path) as server:
        one = desk(f"{server.url}/old")
        plan = one.adoption.plan()
        (old / "sub/pkg1-1.0-1.noarch.rpm").write_bytes(bytes(1 << 20))
        done = one.adoption.carry_out(plan, actor="test", why="adopted", skip=False)
    assert _kinds(done) == [("damaged", "sub/pkg1-1.0-1.noarch.rpm")]
    assert "more came" in done.left[0].text


# ---------------------------------------------------------------- twice


def test_of_two_builds_of_one_nevra_one_is_listed_and_both_are_named(place: Site, old: Path, desk: Make) -> None:
    (old / "other").mkdir()
    quick(old / "other", "pkg0", summary="Another build")
    foreign.createrepo(old)
    done = desk().run()
    (left,) = done.left
    assert left.kind == "twice"
    assert "sub/pkg0-1.0-1.noarch.rpm" in left.text
    assert "other/pkg0-1.0-1.noarch.rpm" in left.text
    assert len(place.listed) == 5
    files = _files(old)
    del files[left.href]
    _assert_adopted(place, files)


def test_one_file_under_two_paths_is_one_package(place: Site, old: Path, desk: Make) -> None:
    (old / "again").mkdir()
    shutil.copy(old / "sub/pkg0-1.0-1.noarch.rpm", old / "again")
    foreign.createrepo(old)
    assert _kinds(desk().run()) == [("twice", "sub/pkg0-1.0-1.noarch.rpm")]
    files = _files(old)
    del files["sub/pkg0-1.0-1.noarch.rpm"]
    _assert_adopted(place, files)


# ---------------------------------------------------------------- again


def test_a_second_run_finds_everything_done(place: Site, old: Path, desk: Make) -> None:
    desk().run()
    before = place.dump()
    again = desk()
    done = again.run()
    assert done.generation is not None
    assert (done.generation.number, done.packages) == (1, 0)
    assert not [step for step in again.store.steps if step.name in {"add", "write"}]
    assert place.dump() == before


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_crash_at_any_step_the_next_run_carries_on(tmp_path: Path, old: Path, moment: Moment) -> None:
    foreign.createrepo(old, checksum="sha512")
    files = _files(old)
    crashes = 0
    for step in range(1, _steps(tmp_path, old) + 1):
        with _make(tmp_path / f"{moment}{step}", old) as make:
            store = make.place.store()
            one = make(store=store)
            make.place.plan(store, at(step, moment, _crash))
            with suppress(Crash):
                one.run()
                continue  # what raises by itself has no "after"
            crashes += 1
            done = make().run()
            assert done.generation is not None
            assert done.generation.number == 1
            _assert_adopted(make.place, files)
    assert crashes > 20


def _steps(folder: Path, old: Path) -> int:
    with _make(folder / "counted", old) as make:
        one = make()
        one.run()
        return len(one.store.steps)


@contextmanager
def _make(folder: Path, old: Path) -> Iterator["Make"]:
    folder.mkdir()
    with site(folder) as place, ExitStack() as stack:
        yield Make(place, str(old), folder, stack)


def _crash() -> None:
    raise Crash


def test_what_was_copied_before_a_stop_is_not_copied_again(place: Site, old: Path, desk: Make) -> None:
    path = old / "sub/pkg2-1.0-1.noarch.rpm"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"!")
    assert desk().run().generation is None
    path.write_bytes(good)
    again = desk()
    again.run()
    added = [step.path for step in again.store.steps if step.name == "add" and step.path.endswith(".rpm")]
    assert set(added) == {"sub/pkg2-1.0-1.noarch.rpm"}
    _assert_adopted(place, _files(old))


# ---------------------------------------------------------------- into a repository that has something


def test_packages_join_those_that_are_published(place: Site, old: Path, desk: Make) -> None:
    place.opened()
    done = desk().run()
    assert done.generation is not None
    assert done.generation.number == 2
    _assert_adopted(place, _files(old))


def test_another_build_under_a_published_nevra_stops_the_adopt(place: Site, old: Path, desk: Make) -> None:
    """A published NEVRA keeps its bytes, and leaving out what is missing is not leaving out this."""
    desk().run()
    before = place.listed
    shutil.rmtree(old / "sub")
    (old / "sub").mkdir()
    quick(old / "sub", "pkg0", summary="Another build")
    foreign.createrepo(old)
    for skip in (False, True):
        done = desk().run(skip=skip)
        assert done.generation is None
        assert _kinds(done) == [("taken", "sub/pkg0-1.0-1.noarch.rpm")]
        assert before["sub/pkg0-1.0-1.noarch.rpm"] in done.left[0].text
    assert place.listed == before


@pytest.mark.parametrize("change", ["size", "bytes", "gone"])
def test_with_other_checksums_the_published_file_itself_decides(
    place: Site, old: Path, desk: Make, change: str
) -> None:
    foreign.createrepo(old, checksum="sha512")
    desk().run()
    path = StorePath("sub/pkg0-1.0-1.noarch.rpm")
    data = place.inner.read(path).data
    if change == "size":
        quick(old / "sub", "pkg0", summary="Another build that is longer")
        foreign.createrepo(old, checksum="sha512")
    else:
        place.inner.remove(path)
    if change == "bytes":
        place.inner.write(path, bytes(len(data)), Expect.ABSENT)
    assert _kinds(desk().run()) == [("taken", path)]


def test_a_file_that_vanishes_after_the_plan_is_missing(place: Site, old: Path, desk: Make) -> None:
    one = desk()
    plan = one.adoption.plan()
    (old / "sub/pkg0-1.0-1.noarch.rpm").unlink()
    done = one.adoption.carry_out(plan, actor="test", why="adopted", skip=False)
    assert (done.generation, _kinds(done)) == (None, [("missing", "sub/pkg0-1.0-1.noarch.rpm")])


def test_other_bytes_at_a_path_stay_and_stop_the_adopt(place: Site, old: Path, desk: Make) -> None:
    path = StorePath("sub/pkg0-1.0-1.noarch.rpm")
    place.inner.add(path, [b"something else"], sha256(hashlib.sha256(b"something else").hexdigest()))
    done = desk().run()
    assert _kinds(done) == [("taken", path)]
    assert place.inner.read(path).data == b"something else"


def test_a_document_that_the_repository_has_already_stays(place: Site, old: Path, desk: Make) -> None:
    desk().run()
    foreign.carry(old, "group", "comps.xml", foreign.COMPS.replace("Tools", "Others").encode())
    foreign.carry(old, "productid", "productid", b"new")
    done = desk().run()
    assert done.generation is not None
    assert done.kept == ["group"]
    assert [document.type for document in done.generation.documents[3:]] == ["group", "productid"]
    group = done.generation.document("group")
    assert group is not None
    assert group.open_checksum == hashlib.sha256(foreign.COMPS.encode()).hexdigest()
