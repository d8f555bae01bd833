"""`kill -9` just before every single change of a file that taking in and publishing make.

The repository has three packages; two more lie in the inbox, one of which is to be refused.
After each kill the repository must be the old one or the new one, whole; and a plain
`repod once` must finish, with nothing lost, doubled or left lying about.
"""

import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab.checker import check
from tests.lab.clients import Dnf
from tests.lab.crashing import crash
from tests.lab.daemon import Repod
from tests.lab.damage import flip_bit
from tests.lab.keys import Key
from tests.lab.looks import assert_each_published_once, assert_nothing_left_over, assert_sound_or_torn, head, names
from tests.lab.rpms import nfpm, quick

# The points are dealt to so many tests, which can run beside each other.
_LANES = 8
_OLD = ["old-1.0-1.noarch", "old-1.1-1.noarch", "other-1.0-1.noarch"]
_NEW = ["new-1.0.0-1.noarch", *_OLD]
_SETTINGS = {"inbox": {"settle": 0}, "state_dir": "state"}


class Prepared(NamedTuple):
    """A repository to be copied for each point, and how many points there are."""

    base: Path
    points: int


def _copy(prepared: Prepared, base: Path, key_file: Path) -> Repod:
    shutil.copytree(prepared.base, base)
    return Repod(base, key_file, settings=_SETTINGS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, key_file: Path) -> Prepared:
    work = tmp_path_factory.mktemp("crash")
    base = work / "base"
    base.mkdir()
    repod = Repod(base, key_file, settings=_SETTINGS)
    quick(repod.inbox(), "old", "1.0")
    quick(repod.inbox(), "old", "1.1")
    quick(repod.inbox(), "other")
    done = repod.once()
    assert done.rc == 0, done
    nfpm(repod.inbox(), "new", "1.0.0")
    flip_bit(quick(work, "bad"), repod.inbox() / "bad.rpm", -1)
    counted = crash(_copy(Prepared(base, 0), work / "count", key_file), 0, "once")
    assert counted.returncode == 3, counted
    return Prepared(base, int(counted.stdout.split()[-1]))


def _dnf_reads(store: Path, root: Path) -> Sequence[str]:
    """What dnf lists, with the index's signature checked."""
    repo = (
        f"[test]\nname=test\nbaseurl=file://{store}\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n"
        f"gpgkey=file://{store}/RPM-GPG-KEY-test\n"
    )
    with Dnf(root, repo) as host:
        return host.available()


def _assert_old_or_new(store: Path, key: Key, root: Path | None) -> None:
    """By the independent checker, and by dnf where there is a ``root`` for it."""
    listed = sorted(check(store, key.public).packages)
    assert listed in (_OLD, _NEW)
    if not assert_sound_or_torn(store, key) and root:
        assert _dnf_reads(store, root) == listed


def _assert_finished(repod: Repod, key: Key) -> None:
    assert_each_published_once(repod, key, _NEW)
    assert head(repod.store()) == 3
    reason = json.loads((repod.rejected() / "bad.rpm.reason.json").read_bytes())
    assert [fault["code"] for fault in reason["faults"]] == ["digest"]
    assert names(repod.rejected()) == ["bad.rpm", "bad.rpm.reason.json"]
    assert_nothing_left_over(repod)


@pytest.mark.parametrize("lane", range(_LANES))
def test_a_kill_before_any_change_leaves_the_old_or_the_new_repository_and_the_next_run_finishes(
    lane: int, prepared: Prepared, key: Key, key_file: Path, tmp_path: Path
) -> None:
    """C087, C091."""
    points = range(1 + lane, prepared.points + 1, _LANES)
    assert len(points) >= 5
    for point in points:
        repod = _copy(prepared, tmp_path / f"{point}", key_file)
        killed = crash(repod, point, "once")
        if killed.returncode != -signal.SIGKILL:
            # Threads do not make the same number of changes every time.
            assert point > prepared.points - 5, killed
        # dnf takes longer than all else here: of three neighbouring points it reads at one.
        _assert_old_or_new(repod.store(), key, None if point % 3 else tmp_path / f"host{point}")
        done = repod.once()
        assert done.rc in {0, 3}, (point, done)
        _assert_finished(repod, key)
