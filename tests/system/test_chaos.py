"""Several daemons on one bucket, killed at random, where calls fail, are slow, or lie about the outcome.

The short form runs with all tests. The long one:

    REPOD_CHAOS=4x2000 pytest tests/system/test_chaos.py -s

is daemons x packages; REPOD_CHAOS_SEED=N draws other faults.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.faultproxy import FaultProxy
from tests.lab.fleet import Fleet, Murderer, unreliable
from tests.lab.keys import Key
from tests.lab.onlooker import Onlooker
from tests.lab.queues import Moto
from tests.lab.rpms import quick
from tests.lab.s3faults import chaos
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_DAEMONS, _PACKAGES = (int(number) for number in os.environ.get("REPOD_CHAOS", "2x80").split("x"))
_SEED = int(os.environ.get("REPOD_CHAOS_SEED", "1"))
_FAULTS = 0.05
_PAUSE = 0.5  # seconds between two uploads of ten packages: so that there are many generations
_SECONDS = 120 + _PACKAGES  # until it must be through, on a slow machine


@pytest.fixture
def proxy(s3: Seaweed) -> Iterator[FaultProxy]:
    with FaultProxy(s3, seed=_SEED) as running:
        yield running


@pytest.mark.timeout(3 * _SECONDS)
def test_every_package_is_published_once_whatever_happens_to_daemons_and_to_calls(
    s3: Seaweed, queues: Moto, proxy: FaultProxy, key: Key, key_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "packages").mkdir()
    packages = [quick(tmp_path / "packages", f"p{number}") for number in range(_PACKAGES)]
    fleet = Fleet(tmp_path, key_file, s3, queues, proxy, count=_DAEMONS)
    start = time.monotonic()
    with fleet:
        until(fleet.records, 60, "the first generation")
        proxy.rules = chaos(_FAULTS)
        with Onlooker(s3, fleet.store) as onlooker, Murderer(fleet, onlooker, seed=_SEED) as murderer:
            for put, told in unreliable(packages, _SEED):
                fleet.put(*put)
                for package in told:
                    fleet.tell(package)
                time.sleep(_PAUSE)
            until(lambda: not fleet.waiting(), _SECONDS, "inbox and queue to be empty")
        seconds = time.monotonic() - start
        proxy.rules = []
        fleet.stop()
    records = fleet.check((f"p{number}-1.0-1.noarch" for number in range(_PACKAGES)), key.public)
    print(
        f"\n{_DAEMONS} daemons, {_PACKAGES} packages: {seconds:.0f} s, {len(records)} generations, "
        f"{murderer.killed} kills, {onlooker.looks} looks\nfaults: {dict(proxy.did)}\n{proxy.counts()}"
    )
    assert fleet.surprises() == []
    assert set(onlooker.highest.values()) == {len(records)}
