"""A daemon that stalls in the midst of its work while others publish, and wakes: nothing moves back or is lost."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.faultproxy import FaultProxy
from tests.lab.fleet import Fleet
from tests.lab.keys import Key
from tests.lab.onlooker import Onlooker
from tests.lab.queues import Moto
from tests.lab.rpms import quick
from tests.lab.s3faults import Rule
from tests.lab.s3requests import Request
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_STEPS = ("package", "document", "record", "frozen index", "pointer", "link", "live index")
"""What a publish writes, in this order: at the first write of each kind it stalls."""

_SECONDS = 60.0


@pytest.fixture
def proxy(s3: Seaweed) -> Iterator[FaultProxy]:
    with FaultProxy(s3) as running:
        yield running


@pytest.fixture
def fleet(s3: Seaweed, queues: Moto, proxy: FaultProxy, key_file: Path, tmp_path: Path) -> Iterator[Fleet]:
    """Two daemons on one store in a bucket, each with an inbox of its own."""
    with Fleet(tmp_path, key_file, s3, queues, proxy, count=2, inbox="inbox/el9", queue="") as running:
        until(lambda: all(daemon.find_events("opened") for daemon in running.daemons), _SECONDS, "both to be at work")
        yield running


def _arrives(fleet: Fleet, number: int, folder: Path, name: str) -> str:
    """Put a package into the inbox of daemon ``number``; its NEVRA."""
    made = quick(folder, name)
    made.rename(fleet.daemons[number].inbox("el9") / made.name)
    return f"{name}-1.0-1.noarch"


def _published(fleet: Fleet, number: int, nevra: str) -> bool:
    return bool(fleet.daemons[number].find_events("package published", package=nevra))


def _writes(kind: str, client: str) -> Rule:
    def where(request: Request) -> bool:
        return request.client == client and request.kind == kind and request.method in {"PUT", "POST", "DELETE"}

    return Rule(does="hold", where=where, times=1)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("asleep", [True, False], ids=["process and request", "request"])
def test_one_that_stalls_at_any_write_and_wakes_moves_nothing_back_and_loses_nothing(
    s3: Seaweed, proxy: FaultProxy, fleet: Fleet, key: Key, tmp_path: Path, *, asleep: bool
) -> None:
    """``asleep``: the process sleeps too; otherwise it gives the request up, and that is done long after."""
    expected = []
    with Onlooker(s3, fleet.store) as onlooker:
        for step, kind in enumerate(_STEPS):
            sleeper = fleet.daemons[0].pid
            proxy.rules = [_writes(kind, "0")]
            mine = _arrives(fleet, 0, tmp_path, f"mine{step}")
            until(lambda: proxy.held("0"), _SECONDS, f"the write of a {kind}")
            if asleep:
                os.kill(sleeper, signal.SIGSTOP)
            for n in range(2):
                theirs = _arrives(fleet, 1, tmp_path, f"theirs{step}-{n}")
                until(lambda theirs=theirs: _published(fleet, 1, theirs), _SECONDS, f"{theirs}, at {kind}")
                expected.append(theirs)
            if not asleep:
                until(lambda mine=mine: _published(fleet, 0, mine), _SECONDS, f"{mine}, tried again at {kind}")
            before = onlooker.look()
            proxy.release("0")
            if asleep:
                os.kill(sleeper, signal.SIGCONT)
            until(lambda mine=mine: _published(fleet, 0, mine), _SECONDS, f"{mine}, after {kind}")
            assert all(onlooker.look()[path] >= number for path, number in before.items())
            expected.append(mine)
        proxy.rules = []
        fleet.stop()
    fleet.check(expected, key.public)


@pytest.mark.timeout(300)
def test_a_stalled_prune_takes_nothing_away_that_was_added_again(
    proxy: FaultProxy, fleet: Fleet, key: Key, tmp_path: Path
) -> None:
    old = _arrives(fleet, 1, tmp_path, "old")
    until(lambda: _published(fleet, 1, old), _SECONDS, old)
    pruner = fleet.hand(retention={"generations": 1, "grace": "0s"})
    assert pruner.cli("remove", "el9", old).rc == 0
    proxy.rules = [_writes("package", "hand")]
    with ThreadPoolExecutor(1) as thread:
        pruning = thread.submit(pruner.cli, "prune", "el9")
        until(lambda: proxy.held("hand"), _SECONDS, "the removal of the package")
        (held,) = proxy.held("hand")
        assert (held.method, held.key) == ("DELETE", "el9/Packages/o/old-1.0-1.noarch.rpm")
        _arrives(fleet, 1, tmp_path, "old")
        until(lambda: len(fleet.daemons[1].find_events("package published", package=old)) == 2, _SECONDS, old)
        proxy.release("hand")
        assert pruning.result(_SECONDS).rc == 0
    fleet.stop()
    assert fleet.listed(key.public) == [old]
