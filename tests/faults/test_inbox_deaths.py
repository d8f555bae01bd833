"""A process that dies in the middle of moving an arrival, and many that move at once."""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

import pytest

from repod.doors import Arrival
from repod.inbox.directory import DirectoryInbox
from repod.package import Sha256
from tests.lab.inboxes import (
    FAULT,
    DirectoryPlace,
    files_below,
    names,
    only,
    open_directory,
)
from tests.lab.rpms import quick

NOW = 1_700_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DirectoryPlace]:
    made = DirectoryPlace(tmp_path)
    yield made
    made.inbox.close()


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return quick(tmp_path_factory.mktemp("rpm")).read_bytes()


_STEPS = {"os.rename", "os.remove", "os.mkdir", "open"}
_DEAD, _MOST_STEPS = 9, 60


def _prepare(folder: Path, rpm: bytes, elsewhere: Path) -> None:
    (folder / "inbox/team").mkdir(parents=True)
    (folder / "inbox/team/x.rpm").write_bytes(rpm)
    (elsewhere / folder.name).mkdir()
    (folder / "rejected").symlink_to(elsewhere / folder.name)


def _die_at_every_step(action: str, base: Path, rpm: bytes, elsewhere: Path) -> None:
    """Do the action in one process per step, which dies before that step; the last one comes through.

    Runs in a process of its own that has no other threads, so it may fork.
    """
    for step in range(1, _MOST_STEPS):
        folder = base / str(step)
        _prepare(folder, rpm, elsewhere)
        child = os.fork()
        if child == 0:
            _die_at(step, action, folder)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != _DEAD:
            return


def _die_at(step: int, action: str, folder: Path) -> NoReturn:
    inbox = open_directory(folder / "inbox", watch="poll")
    arrival = only(inbox)
    checksum = inbox.take(arrival, folder / "copy")
    steps = itertools.count(1)

    def before_each_call(event: str, _: tuple[object, ...]) -> None:
        if event in _STEPS and next(steps) == step:
            os._exit(_DEAD)

    sys.addaudithook(before_each_call)
    _act(inbox, action, arrival, checksum)
    os._exit(0)


def _act(inbox: DirectoryInbox, action: str, arrival: Arrival, checksum: Sha256) -> None:
    if action == "remove":
        inbox.remove(arrival)
    else:
        inbox.reject(arrival, [FAULT], checksum, NOW)


@pytest.fixture(params=["one file system", "two file systems"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Where rejected packages go in truth."""
    with tempfile.TemporaryDirectory(dir=tmp_path if request.param == "one file system" else "/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize("action", ["remove", "reject"])
def test_a_death_at_any_step_loses_nothing_and_leaves_no_half_thing(
    tmp_path: Path, rpm: bytes, action: str, elsewhere: Path
) -> None:
    base = tmp_path / "steps"
    process = get_context("spawn").Process(target=_die_at_every_step, args=(action, base, rpm, elsewhere))
    process.start()
    process.join(200)
    assert process.exitcode == 0
    *deaths, survivor = sorted(base.iterdir(), key=lambda path: int(path.name))
    assert 3 <= len(deaths) < _MOST_STEPS - 2
    assert files_below(survivor / "inbox") == {}
    for folder in deaths:
        inbox = open_directory(folder / "inbox", watch="poll")
        left, rejected = names(inbox.scan()), files_below(folder / "rejected")
        assert left == ["team/x.rpm"] or action == "remove" or rejected["x.rpm"] == rpm
        assert "x.rpm" not in rejected or "x.rpm.reason.json" in rejected
        for arrival in inbox.scan():
            _act(inbox, action, arrival, inbox.take(arrival, folder / "again"))
        assert files_below(folder / "inbox") == {}
        assert files_below(folder / "rejected").keys() == files_below(survivor / "rejected").keys()


def test_what_a_stopped_process_had_hidden_comes_back_under_its_name(place: DirectoryPlace, rpm: bytes) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    (place.root / f".repod-{ended.pid}-0123456789abcdef-x.rpm").write_bytes(rpm)
    assert names(place.inbox.scan()) == ["x.rpm"]
    assert place.log.of("put back what a stopped process held")[0]["file"] == "x.rpm"
    assert place.lying() == {"x.rpm": rpm}


def test_what_comes_back_gives_way_to_a_newer_file_of_its_name(place: DirectoryPlace, rpm: bytes) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    (place.root / f".repod-{ended.pid}-0123456789abcdef-x.rpm").write_bytes(rpm)
    place.put("x.rpm", rpm + b"new")
    found = names(place.inbox.scan())
    assert len(found) == 2
    assert sorted(place.lying().values()) == sorted([rpm, rpm + b"new"])
    assert place.lying()["x.rpm"] == rpm + b"new"


def test_what_a_living_process_holds_stays_hidden_for_a_minute(place: DirectoryPlace, rpm: bytes) -> None:
    (place.root / f".repod-{os.getpid()}-0123456789abcdef-x.rpm").write_bytes(rpm)
    assert list(place.inbox.scan()) == []
    place.clock.added = 61
    assert names(place.inbox.scan()) == ["x.rpm"]


def test_half_written_files_among_the_rejected_are_swept(place: DirectoryPlace, rpm: bytes) -> None:
    (place.folder / "rejected").mkdir()
    (place.folder / "rejected/.repod-0123456789abcdef").write_bytes(b"half")
    place.put("x.rpm", rpm)
    place.inbox.reject(only(place.inbox), [FAULT], "", NOW)
    assert place.rejected().keys() == {"x.rpm", "x.rpm.reason.json"}


def test_many_inboxes_reject_one_name_into_one_directory_at_once(tmp_path: Path, rpm: bytes) -> None:
    inboxes = []
    for number in range(8):
        (tmp_path / f"inbox{number}").mkdir()
        (tmp_path / f"inbox{number}/x.rpm").write_bytes(rpm + b"%d" % (number // 2))
        inboxes.append(open_directory(tmp_path / f"inbox{number}", watch="poll"))
    start = threading.Barrier(8)

    def reject(inbox: DirectoryInbox) -> None:
        arrival = only(inbox)
        start.wait(60)
        inbox.reject(arrival, [FAULT], "", NOW)

    threads = [threading.Thread(target=reject, args=(inbox,)) for inbox in inboxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rejected = files_below(tmp_path / "rejected")
    packages = {name: data for name, data in rejected.items() if not name.endswith(".json")}
    assert packages.keys() == {"x.rpm", "x.rpm.2", "x.rpm.3", "x.rpm.4"}
    assert set(packages.values()) == {rpm + b"%d" % number for number in range(4)}
    for name, data in packages.items():
        assert json.loads(rejected[f"{name}.reason.json"])["size"] == len(data)
