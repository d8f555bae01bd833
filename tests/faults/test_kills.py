"""The daemon told to stop, and killed, in the middle of its work; and its worker processes killed."""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.checker import check
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.looks import assert_each_published_once, assert_nothing_left_over, assert_sound_or_torn, names
from tests.lab.rpms import quick
from tests.lab.wait import until

_SEED = 20261125
_ROUNDS = 10


def _build(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    return [quick(folder, f"p{number:04}") for number in range(count)]


def _nevras(packages: Sequence[Path]) -> list[str]:
    return [package.name.removesuffix(".rpm") for package in packages]


@pytest.mark.parametrize("after", ["opened", "package published"])
def test_sigterm_in_the_middle_of_a_burst_ends_at_once_and_the_next_start_takes_the_work_up(
    after: str, tmp_path: Path, key: Key, key_file: Path
) -> None:
    """C093: at the first event copying and signing are under way, at the second the next generation's."""
    packages = _build(tmp_path / "built", 800)
    repod = Repod(tmp_path, key_file, settings={"workers": {"count": 2}})
    for package in packages:
        shutil.copyfile(package, repod.inbox() / package.name)
    repod.spawn()
    until(lambda: repod.find_events(after), 60, f"the event {after!r}")
    assert repod.stop() == 0
    assert repod.find_events("stopped")
    assert [*repod.inbox().iterdir()], "the burst was over before SIGTERM"
    assert check(repod.store(), key.public).faults == []
    assert names(repod.store() / ".repod/tmp") == []
    assert names(repod.base / "state/work") == []
    assert not any(path.name.startswith(".") for path in repod.inbox().iterdir())
    done = repod.once()
    assert done.rc == 0, done
    assert_each_published_once(repod, key, _nevras(packages))
    assert_nothing_left_over(repod)


@contextmanager
def _dropping(packages: Sequence[Path], inbox: Path) -> Iterator[None]:
    """Copy packages in one after the other, from a thread, as CI does all day."""
    stop = threading.Event()

    def drop() -> None:
        for package in packages:
            shutil.copyfile(package, inbox / package.name)
            if stop.wait(0.1):
                return

    thread = threading.Thread(target=drop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("seed", range(_SEED, _SEED + int(os.environ.get("REPOD_KILLS", "1"))))
def test_sigkill_at_random_moments_of_a_publish_loop_never_breaks_the_repository(
    seed: int, tmp_path: Path, key: Key, key_file: Path
) -> None:
    """C091: ten moments, and as many for each further one of REPOD_KILLS."""
    moments = random.Random(seed)
    packages = _build(tmp_path / "built", 20 * _ROUNDS)
    repod = Repod(tmp_path, key_file)
    assert repod.once().rc == 0
    torn = 0
    with _dropping(packages, repod.inbox()):
        for _ in range(_ROUNDS):
            repod.spawn()
            until(lambda: repod.find_events("opened"), 60, "the repository to be opened")
            time.sleep(moments.uniform(0, 0.4))
            repod.kill9()
            torn += assert_sound_or_torn(repod.store(), key)
    # The two renames lie close together, so that a kill seldom falls between them.
    assert torn <= _ROUNDS // 4
    for package in packages:
        if not (repod.store() / f"Packages/p/{package.name}").exists():
            shutil.copyfile(package, repod.inbox() / package.name)
    assert repod.once().rc == 0
    assert_each_published_once(repod, key, _nevras(packages))
    assert_nothing_left_over(repod)


def _workers(daemon: int) -> list[int]:
    """The processes that read packages or sign: children of the daemon's process server."""
    return sorted(worker for helper in processes.children(daemon) for worker in processes.children(helper))


def test_worker_processes_that_are_killed_cost_no_package_and_are_replaced(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    moments = random.Random(_SEED)
    packages = _build(tmp_path / "built", 200)
    with Repod(tmp_path, key_file, settings={"workers": {"count": 2}}) as repod:
        for first in range(0, 200, 20):
            for package in packages[first : first + 20]:
                shutil.copyfile(package, repod.inbox() / package.name)
            time.sleep(moments.uniform(0, 0.2))
            victim = moments.choice(until(lambda: _workers(repod.pid), 60, "a worker to kill"))
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            until(lambda: not [*repod.inbox().iterdir()], 120, "the inbox to be cleared")
        assert repod.get("/readyz")[0] == 200
        assert not repod.noise()
    assert_each_published_once(repod, key, _nevras(packages))
    assert_nothing_left_over(repod)


def test_a_package_is_published_after_all_helper_processes_were_killed(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    packages = _build(tmp_path / "built", 2)
    with Repod(tmp_path, key_file) as repod:
        for package in packages:
            shutil.copyfile(package, repod.inbox() / package.name)
            until(lambda name=package.name: repod.find_events("package published", file=name), 60, package.name)
            helpers = processes.children(repod.pid)
            for pid in helpers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # What it begins anew meanwhile is none of them.
            until(lambda helpers=helpers: not helpers & processes.children(repod.pid), 30, "all helpers to be dead")
    assert_each_published_once(repod, key, _nevras(packages))
