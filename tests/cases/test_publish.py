"""Cases about making a generation live."""

import errno
import hashlib
import json
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from repod.doors import Change
from repod.errors import Unavailable
from tests.cases.place import MakePlace, Place
from tests.lab import entries, rpms
from tests.lab.checker import assert_sound
from tests.lab.daemon import Repod
from tests.lab.folders import fill, stages, tmpfs
from tests.lab.inboxes import files_below
from tests.lab.keys import Key
from tests.lab.looks import assert_sound_or_torn
from tests.lab.wait import until

REPOMD, SIGNATURE = "repodata/repomd.xml", "repodata/repomd.xml.asc"


@contextmanager
def readers(*loops: Callable[[], None]) -> Iterator[None]:
    """Each of ``loops`` again and again in a thread of its own; what one raises is raised at the end."""
    stop = threading.Event()
    raised: list[BaseException] = []

    def repeat(loop: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                loop()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    threads = [threading.Thread(target=repeat, args=[loop]) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]


def publish_one(place: Place, number: int) -> None:
    """A generation with one more package, which is an entry without a file."""
    made = entries.made(f"p{number}-1.0-1.noarch")
    place.wired.publisher.publish(Change(entries=[made.entry]), actor="test", why="one more")


def test_c081_a_client_that_was_slow_still_gets_every_document(place: Place) -> None:
    """It reads the index, waits, and fetches what that names, while 200 generations come: no error, every checksum."""
    place.wired.publisher.publish(Change(entries=[made.entry for made in entries.many(100)]), actor="test", why="many")
    fetched = []

    def client() -> None:
        named = [part.split('"')[0] for part in (place.store / REPOMD).read_text().split('<location href="')[1:]]
        time.sleep(random.uniform(0, 1))
        for href in named:
            data = (place.store / href).read_bytes()
            assert Path(href).name.startswith(hashlib.sha256(data).hexdigest())
        fetched.append(tuple(named))

    with readers(*[client] * 8):
        for number in range(200):
            publish_one(place, number)
    assert len(set(fetched)) > 8


def test_c083_index_and_signature_are_each_whole_and_together_again_at_once(place: Place) -> None:
    """Read in either order during 200 publishes, each file is that of one generation.

    A torn pair fits together at the first retry after the publish; the two change right after each other: that
    takes by far the least of a publish.
    """
    seen = list[tuple[bytes, bytes]]()
    publishing = threading.Lock()

    def read(*paths: str) -> tuple[bytes, bytes]:
        data = {path: (place.store / path).read_bytes() for path in paths}
        return data[REPOMD], data[SIGNATURE]

    def look(*paths: str) -> None:
        time.sleep(0.001)  # so that the publisher has its turn
        pair = read(*paths)
        if pair in seen[-10:]:
            return
        seen.append(pair)
        if pair not in _pairs(place):
            with publishing:
                assert read(*paths) in _pairs(place)

    gaps, whole = [], []
    with readers(lambda: look(REPOMD, SIGNATURE), lambda: look(SIGNATURE, REPOMD)):
        for number in range(200):
            with publishing:
                begun = time.monotonic()
                publish_one(place, number)
                whole.append(time.monotonic() - begun)
            index, signature = ((place.store / path).stat().st_ctime for path in (REPOMD, SIGNATURE))
            gaps.append(signature - index)
    indexes, signatures = map(set, zip(*_pairs(place), strict=True))
    assert all(index in indexes and signature in signatures for index, signature in seen)
    assert len(seen) > 50
    assert 0 <= statistics.median(gaps) < statistics.median(whole) / 2


def _pairs(place: Place) -> set[tuple[bytes, bytes]]:
    """Index and signature of all generations, from their records."""
    records = [json.loads(path.read_bytes()) for path in (place.store / ".repod/generations").iterdir()]
    return {(record["repomd"].encode(), record["signature"].encode()) for record in records}


def test_c085_two_daemons_on_one_repository_lose_nothing_of_each_other(
    tmp_path: Path, key_file: Path, key: Key
) -> None:
    """50 packages each, a few at a time, at the same time: 100 are listed at the end."""
    store = tmp_path / "shared"
    store.mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    both = [Repod(tmp_path / name, key_file, {name: {"store": str(store)}}) for name in ("one", "two")]
    with both[0], both[1]:
        for number in range(0, 50, 5):
            for daemon, name in zip(both, ("one", "two"), strict=True):
                for each in range(number, number + 5):
                    rpms.quick(tmp_path, f"{name}{each}").rename(daemon.inbox(name) / f"{each}.rpm")
            published = number + 5
            until(
                lambda wanted=published: all(len(d.find_events("package published")) >= wanted for d in both),
                120,
                f"{published} packages of each",
            )
    assert len(assert_sound(store, key.public)) == 100


def test_c087_what_a_killed_publish_left_stops_nobody_and_goes_away(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """SIGKILL in the middle; the next start takes the work up by itself, and no copy and no stage is left."""
    packages = [rpms.quick(built, f"p{number}", files={"/data": os.urandom(200_000)}) for number in range(60)]
    repod = Repod(tmp_path, key_file)
    work = tmp_path / "state/work"
    with repod:
        for package in packages:
            package.rename(repod.inbox() / package.name)
        until(lambda: _under_work(work), 60, "packages to be worked on")
        repod.kill9()
    left = {path.name for path in work.iterdir()}
    assert left
    with repod:
        until(lambda: not list(repod.inbox().iterdir()), 120, "the inbox to be empty")
        assert left.isdisjoint(path.name for path in work.iterdir())
    assert stages(repod.store()) == []
    assert len(assert_sound(repod.store(), key.public)) == 60


def _under_work(work: Path) -> bool:
    """Whether packages are worked on; their folders come and go."""
    return any(name.endswith(".rpm") for _, _, names in os.walk(work) for name in names)


def test_c089_a_full_disk_leaves_the_old_generation_and_the_arrival(tmp_path: Path, key: Key, built: Path) -> None:
    """The error is counted, the package waits; once there is room it is published without a restart."""
    with (
        tmpfs(tmp_path / "disk", "size=4m") as disk,
        Place(tmp_path, key, repository={"store": str(disk)}) as place,
    ):
        place.publish(rpms.quick(built, "first"))
        index = place.live()
        filler = fill(disk)
        place.put(rpms.quick(built, "second"))
        with pytest.raises(Unavailable, match="disk full"):
            _turn_or_raise(place)
        assert place.live() == index
        assert list(place.sound()) == ["first-1.0-1.noarch"]
        assert place.waiting() == ["second-1.0-1.noarch.rpm"]
        filler.unlink()
        place.drain()
        assert len(place.sound()) == 2


def test_c090_a_full_temporary_directory_alone_stops_nothing(tmp_path: Path, key: Key, key_file: Path) -> None:
    with tmpfs(tmp_path / "small", "size=1m") as small:
        fill(small)
        with Repod(tmp_path, key_file, env={"TMPDIR": str(small)}) as repod:
            rpms.quick(repod.inbox(), "first")
            until(lambda: repod.find_events("package published"), 60, "the package to be live")
            assert list(assert_sound(repod.store(), key.public)) == ["first-1.0-1.noarch"]
        assert list(files_below(small)) == ["filler"]


def _turn_or_raise(place: Place) -> None:
    """One turn; what one package met is raised as what the whole turn would."""
    for outcome in place.turn().outcomes:
        if outcome.result == "failed":
            assert place.metric("repod_errors_total", kind="other") == 1
            raise Unavailable(outcome.problem)


def test_c091_after_a_kill_at_any_moment_the_repository_is_whole(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """SIGKILL at random moments while packages come in: index and signature are whole, all that they name is there.

    Between the two renames the signature is that of the generation before, until the next start.
    """
    repod = Repod(tmp_path, key_file)
    draw = random.Random(91)
    for round_ in range(5):
        with repod:
            for number in range(20):
                rpms.quick(built, f"p{round_}x{number}").rename(repod.inbox() / f"{round_}x{number}.rpm")
            end = time.monotonic() + draw.uniform(0, 0.6)
            until(lambda end=end: time.monotonic() > end, 30, "the moment of the kill")
            repod.kill9()
        assert_sound_or_torn(repod.store(), key)
    assert repod.once().rc == 0
    assert len(assert_sound(repod.store(), key.public)) == 100


def test_c092_a_work_directory_on_another_file_system_is_as_good(tmp_path: Path, key: Key, built: Path) -> None:
    """No error of renaming across; whoever looks at the final path sees nothing or the whole file."""
    sizes = set[int]()
    with (
        tmpfs(tmp_path / "disk", "size=64m") as disk,
        Place(tmp_path, key, {"state_dir": str(disk / "state")}) as place,
    ):
        final = place.store / "Packages/h/hello-1.0-1.noarch.rpm"

        def look() -> None:
            if final.exists():
                sizes.add(final.stat().st_size)

        with readers(look, look):
            place.publish(rpms.quick(built, files={"/data": os.urandom(5_000_000)}))
            until(lambda: sizes, 60, "a look at it")
        assert sizes == {final.stat().st_size}
        assert place.sound()


def test_c093_sigterm_in_the_middle_of_work_ends_it_cleanly(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """It ends with status 0, leaves no temporary file, and the next start does the rest."""
    packages = [rpms.quick(built, f"p{number}", files={"/data": os.urandom(400_000)}) for number in range(80)]
    repod = Repod(tmp_path, key_file)
    with repod:
        for package in packages:
            package.rename(repod.inbox() / package.name)
        until(lambda: _under_work(tmp_path / "state/work"), 60, "packages to be worked on")
        assert repod.stop() in {0, -signal.SIGTERM}
        assert repod.noise() == []
    assert stages(repod.store()) == []
    assert list((tmp_path / "state/work").iterdir()) == []
    assert_sound(repod.store(), key.public)
    assert repod.once().rc == 0
    assert len(assert_sound(repod.store(), key.public)) == 80


def test_c094_a_folder_that_cannot_be_removed_stops_no_publish(
    make_place: MakePlace, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, where an open file leaves an entry: the generation is live all the same; the next start tidies up."""
    place = make_place()
    left = place.state / "work/999999999-left-over"
    (left / "deep").mkdir(parents=True)
    place.close()
    rmdir = os.rmdir

    def refuse(path: Any, **_: Any) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)

    monkeypatch.setattr(os, "rmdir", refuse)
    place.open()
    place.publish(rpms.quick(built))
    place.close()
    monkeypatch.setattr(os, "rmdir", rmdir)
    assert list(place.sound()) == ["hello-1.0-1.noarch"]
    assert left.exists()
    place.open()
    assert not left.exists()


def test_c096_published_files_are_made_inside_the_repository(
    place: Place, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So they have the label of its tree: nothing is renamed or linked into it from outside."""
    moved: list[tuple[Path, Path]] = []

    def where(name: Any, folder: int | None) -> Path:
        return Path(f"/proc/self/fd/{folder}").readlink() / os.fsdecode(name) if folder else Path(os.fsdecode(name))

    def watch(real: Callable[..., None]) -> Callable[..., None]:
        def call(source: Any, target: Any, **how: Any) -> None:
            moved.append((where(source, how.get("src_dir_fd")), where(target, how.get("dst_dir_fd"))))
            real(source, target, **how)

        return call

    for name in ("rename", "replace", "link"):
        monkeypatch.setattr(os, name, watch(getattr(os, name)))
    place.copy(rpms.quick(built))
    place.drain()
    published = {target: source for source, target in moved if target.is_relative_to(place.store)}
    live = {place.store / path for path in files_below(place.store) if not path.startswith(".repod")}
    made = {path for path in live if path in published}
    assert {path.name for path in made} >= {"hello-1.0-1.noarch.rpm", "repomd.xml", "repomd.xml.asc"}
    assert all(published[path].is_relative_to(place.store) for path in made)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ETIMEDOUT])
def test_c098_a_state_that_cannot_be_read_is_not_an_empty_one(
    code: int, place: Place, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer cannot be read: nothing is published, the error counts; afterwards nothing was lost."""
    place.publish(rpms.quick(built, "first"))
    before = files_below(place.store)
    real = os.open

    def broken(path: Any, *words: Any, **how: Any) -> int:
        if os.fspath(path) == "head.json":
            raise OSError(code, os.strerror(code), path)
        return real(path, *words, **how)

    place.put(rpms.quick(built, "second"))
    with place.running():
        monkeypatch.setattr(os, "open", broken)
        until(lambda: place.metric("repod_errors_total", kind="unavailable"), 60, "an error to be counted")
        after = files_below(place.store)
        monkeypatch.setattr(os, "open", real)
        assert {name: data for name, data in after.items() if name in before} == before
        assert not [name for name in after if name.startswith(("repodata/", ".repod/g")) and name not in before]
        until(lambda: not place.waiting(), 60, "the second package to be published")
    assert len(place.sound()) == 2
