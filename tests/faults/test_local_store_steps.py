"""A local store whose kernel calls fail, whose process is killed, whose writers race."""

import errno
import json
import os
import random
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from repod.doors import Expect, Extent, Stored
from repod.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from repod.package import StorePath
from repod.store.local import LocalStore
from tests.lab import racers
from tests.lab.folders import KERNEL_CALLS, FailingCall, checksum, stages

HEAD = StorePath("repodata/repomd.xml")
NEW = StorePath("Packages/h/hello.rpm")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


# ---------------------------------------------------------------- a failure at every step


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def _outcomes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, act: Callable[[LocalStore, Path], object]
) -> Iterator[tuple[str, type[BaseException] | None, LocalStore]]:
    """Which call failed, what the store raised, and the store after it: for each kernel call of ``act``."""
    for number in range(1, 100):
        root = folder / str(number)
        root.mkdir()
        store = LocalStore(root)
        store.write(HEAD, b"old", Expect.ANY)
        (folder / "local").write_bytes(b"local")
        raised: type[BaseException] | None = None
        descriptors = _descriptors()
        with monkeypatch.context() as patch:
            failing = FailingCall(patch, number, code)
            try:
                act(store, folder / "local")
            except Exception as error:  # noqa: BLE001 - the tests look at its class
                raised = type(error)
        if not failing.failed:
            return
        assert _descriptors() == descriptors, f"{failing.failed} leaked a descriptor"
        assert stages(root) == [], f"{failing.failed} left a stage"
        yield failing.failed, raised, store
    pytest.fail("the operation never ended")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE, errno.ESTALE])
def test_a_write_that_fails_at_any_step_leaves_the_old_bytes_or_says_that_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def act(store: LocalStore, _: Path) -> None:
        store.write(HEAD, b"new", store.read(HEAD).version)

    seen = list(_outcomes(tmp_path, monkeypatch, code, act))
    for failed, raised, store in seen:
        data = store.read(HEAD).data
        assert raised in (Unavailable, OutcomeUnknown), failed
        assert (data, raised) in [(b"old", Unavailable), (b"new", OutcomeUnknown), (b"old", OutcomeUnknown)]
        store.write(HEAD, b"newer", store.read(HEAD).version)
    assert {"open", "fsync", "fchmod", "replace"} <= {failed for failed, _, _ in seen}
    unknown = [failed for failed, raised, _ in seen if raised is OutcomeUnknown]
    definite = code in (errno.ENOSPC, errno.EACCES)
    assert unknown == (["fsync"] if definite else ["replace", "fsync"])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_an_add_that_fails_at_any_step_shows_nothing_or_says_that_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    data = b"head" + b"local" + b"old"

    def act(store: LocalStore, local: Path) -> None:
        before = os.umask(0o077)  # so that a new folder's mode has to be set
        try:
            add(store, local)
        finally:
            os.umask(before)

    def add(store: LocalStore, local: Path) -> None:
        store.add(NEW, [b"head", local, Extent(path=HEAD, offset=0, length=3)], checksum(data))

    seen = list(_outcomes(tmp_path, monkeypatch, code, act))
    for failed, raised, store in seen:
        assert raised in (Unavailable, OutcomeUnknown), failed
        if raised is Unavailable:
            with pytest.raises(NotFound):
                store.read(NEW)
        store.add(NEW, [data], checksum(data))
        assert store.read(NEW).data == data
    assert {failed for failed, _, _ in seen} == set(KERNEL_CALLS) - {"replace"}


def test_a_remove_that_cannot_be_made_durable_has_an_unknown_outcome(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(HEAD, b"old", Expect.ANY)
    with monkeypatch.context() as patch:
        FailingCall(patch, 1, errno.EIO, ["fsync"])
        with pytest.raises(OutcomeUnknown, match=r"may or may not have changed.*read it back"):
            store.remove(HEAD)


def test_bytes_are_on_disk_before_they_are_visible_and_the_folder_after(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def recorded(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            what = name
            if name == "fsync":
                what = "sync folder" if stat.S_ISDIR(os.fstat(args[0]).st_mode) else "sync file"
            done.append(what)
            return real(*args, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("fsync", "link", "replace", "mkdir", "unlink"):
            patch.setattr(os, name, recorded(name, getattr(os, name)))
        store.add(StorePath("new/object"), [b"x"], checksum(b"x"))
        store.add(StorePath("new/object"), [b"x"], checksum(b"x"))
        store.write(StorePath("new/object"), b"y", Expect.ANY)
        store.remove(StorePath("new/object"))
    added = ["sync file", "mkdir", "sync folder", "link", "sync folder", "unlink"]
    there_already = ["sync file", "link", "sync file", "sync folder", "unlink"]
    assert done == [*added, *there_already, "sync file", "replace", "sync folder", "unlink", "unlink", "sync folder"]


# ---------------------------------------------------------------- kills and races between processes


def _publish_for_ever(root: Path, ready: Connection) -> None:
    store = LocalStore(root)
    for number in range(10**9):
        data = json.dumps({"number": number, "filler": "x" * (number % 50_000)}).encode()
        path = StorePath(f"documents/{checksum(data)}")
        store.add(path, [data], checksum(data))
        store.write(HEAD, path.encode(), Expect.ANY)
        if number == 0:
            ready.send("started")


def test_a_kill_at_any_moment_leaves_whole_objects_only(root: Path) -> None:
    """C091, for the store's part: what the head names exists with its bytes, and nothing is left over."""
    context = get_context("spawn")
    moments = random.Random(4)
    for _ in range(8):
        mine, theirs = context.Pipe()
        process = context.Process(target=_publish_for_ever, args=(root, theirs))
        process.start()
        try:
            assert mine.poll(60), "the process did not begin"
            assert mine.recv() == "started"
            assert not mine.poll(moments.uniform(0, 0.1))
        finally:
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            process.close()
            mine.close()
            theirs.close()
        store = LocalStore(root)
        assert stages(root) == []
        named = StorePath(store.read(HEAD).data.decode())
        for stored in [named, *(stored.path for stored in store.list("documents/"))]:
            assert checksum(store.read(stored).data) == stored.removeprefix("documents/")


def test_of_eight_processes_that_replace_the_same_version_exactly_one_wins_each_round(root: Path) -> None:
    store = LocalStore(root)
    store.write(racers.COUNTER, b"0", Expect.ABSENT)
    won = racers.processes(root, racers.increment, writers=8, rounds=50)
    assert [sum(each) for each in zip(*won, strict=True)] == [1] * 50
    assert store.read(racers.COUNTER).data == b"50"
    assert stages(root) == []


def test_of_eight_processes_that_create_the_same_object_exactly_one_wins_each_round(root: Path) -> None:
    won = racers.processes(root, racers.create, writers=8, rounds=50)
    store = LocalStore(root)
    for number, each in enumerate(zip(*won, strict=True)):
        assert sum(each) == 1
        assert store.read(StorePath(f"new/{number}/object")).data == b"%d" % each.index(True)


def test_what_processes_add_again_stays_though_another_removes_what_it_saw_long_ago(root: Path) -> None:
    """Each round the remove comes before, between or after: what was added since is there, in every order."""
    LocalStore(root)
    there = racers.processes(root, partial(racers.add_again, root), writers=3, rounds=200)
    assert there == [[True] * 200] * 3


@pytest.mark.parametrize("call", ["lseek", "utime"])
def test_an_object_that_is_found_there_is_there_when_add_returns(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Somebody who saw it long ago removes it while it is read back, or when it is about to count as new."""
    path, data = StorePath("Packages/x"), b"x"
    store.add(path, [data], checksum(data))
    os.utime(root / path, (1, 1))
    rival = threading.Thread(target=store.remove, args=[path], kwargs={"seen": Stored(path=path, size=1, modified=1.0)})
    real = getattr(os, call)

    def beside(*args: Any, **options: Any) -> Any:
        if rival.ident is None:
            rival.start()
            rival.join(0.2)
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, beside)
        store.add(path, [data], checksum(data))
        rival.join()
    assert store.read(path).data == data


def test_increments_of_threads_that_read_again_after_a_conflict_are_never_lost(store: LocalStore) -> None:
    store.write(racers.COUNTER, b"0", Expect.ABSENT)

    def race() -> None:
        for _ in range(25):
            while True:
                seen = store.read(racers.COUNTER)
                with suppress(Conflict):
                    store.write(racers.COUNTER, b"%d" % (int(seen.data) + 1), seen.version)
                    break

    running = [threading.Thread(target=race) for _ in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert store.read(racers.COUNTER).data == b"200"


@pytest.mark.parametrize("other", ["remove", "write"])
def test_nobody_changes_an_object_between_the_comparison_and_the_rename(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Else a replace that comes late would undo a remove, or a write that expects anything."""
    version = store.write(HEAD, b"old", Expect.ANY)
    acts = {"remove": lambda: store.remove(HEAD), "write": lambda: store.write(HEAD, b"other", Expect.ANY)}
    rival = threading.Thread(target=acts[other])
    real = os.replace

    def replace(*args: Any, **options: Any) -> None:
        if rival.ident is None:
            rival.start()
            rival.join(0.2)
            assert rival.is_alive()
        real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        store.write(HEAD, b"new", version)
        rival.join()
    left = [store.read(stored.path).data for stored in store.list("")]
    assert left == ([] if other == "remove" else [b"other"])
