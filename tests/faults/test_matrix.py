"""The short form of the crash matrix: some of its cells, others every day; the long form is ``tests.faults.matrix``.

C087, C091. A test that fails says which cell it was, and how to ask for it again.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.matrix import Wanted, deal
from tests.faults.matrix_cells import Cell, Lane, Start
from tests.faults.matrix_s3 import S3_FAULTS, BucketLane
from tests.faults.matrix_work import WORKS, Keys, Work, make_keys
from tests.lab.diskfaults import FAULTS
from tests.lab.seaweed import Seaweed

_SEED = int(os.environ.get("REPOD_MATRIX_SEED", str(int(time.time() // 86400))))

_IN_A_BUCKET = 4  # cells; there each takes longer


@pytest.fixture(scope="module")
def keys() -> Keys:
    return make_keys()


def _assert_all_right(lane: Lane, cells: Sequence[Cell]) -> None:
    for cell in cells:
        done = lane.run(cell)
        assert not done.problem, f"{cell}, REPOD_MATRIX_SEED={_SEED}: {done.problem}"


def _sample(lane: Lane, work: Work, bucket: bool) -> Sequence[Cell]:
    """A cell for each fault, each at a point of its own; dnf reads at one of them."""
    wanted = Wanted(seed=_SEED, works=[work.name], reads=10**6)
    cells = deal({work.name: lane.points(work)}, S3_FAULTS if bucket else FAULTS, wanted)
    return list({cell.fault.name: cell for cell in reversed(cells)}.values())


@pytest.mark.parametrize("work", WORKS, ids=[work.name for work in WORKS])
def test_whatever_befalls_a_disk_what_was_begun_is_finished_and_nothing_is_lost_doubled_or_left(
    work: Work, keys: Keys, tmp_path: Path
) -> None:
    with Lane(tmp_path / "lane", keys, Start(tmp_path / "start")) as lane:
        lane.prepare([work])
        cells = _sample(lane, work, bucket=False)
        assert len(cells) == len(FAULTS)
        _assert_all_right(lane, cells)


def test_whatever_befalls_a_bucket_what_was_begun_is_finished_and_nothing_is_lost_doubled_or_left(
    keys: Keys, tmp_path: Path, s3: Seaweed
) -> None:
    """One operation a day."""
    work = WORKS[_SEED % len(WORKS)]
    with BucketLane(tmp_path / "lane", keys, Start(tmp_path / "start"), s3) as lane:
        lane.prepare([work])
        _assert_all_right(lane, _sample(lane, work, bucket=True)[:_IN_A_BUCKET])
