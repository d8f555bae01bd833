"""Three repositories over a year: whatever happens, what was promised is there, and nothing else stays.

CI builds 200 applications 20,000 times; builds are promoted from dev to staging to prod, rolled back, pinned,
labelled, removed; hosts report what they run; caches are lost, processes die or fail at random steps; a
prune runs twice a day. ``tests/lab/year/`` says what must hold, and looks before every single change
of a store.

REPOD_YEAR_BUILDS is how many builds there are (default: a short form of 300, with 12 applications and a grace
of a day); 20,000 are a year. REPOD_YEAR_SEED is the only seed then; what happens is drawn from it, but for the
order in which the threads of one publish reach the store.
"""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.lab.year.world import DAY, Size, World

_BUILDS = int(os.environ.get("REPOD_YEAR_BUILDS", "0"))
_SEEDS = [int(seed) for seed in os.environ.get("REPOD_YEAR_SEED", "1" if _BUILDS else "1 2").split()]
_TELL = 500  # steps between two lines of a long run
_SHORT = Size(
    builds=300,
    applications=12,
    gap=DAY / 20,
    grace=DAY,
    generations=10,
    look=40,
    report_age=3 * DAY,
    trouble=0.08,
)
_LONG = Size(
    builds=_BUILDS,
    applications=max(12, _BUILDS // 100),
    gap=365 * DAY / 20_000,
    grace=3 * DAY,
    generations=50,
    look=200,
    report_age=30 * DAY,
    trouble=0.03,
)


@pytest.mark.timeout(0 if _BUILDS else 300)
@pytest.mark.parametrize("seed", _SEEDS)
def test_in_a_year_of_builds_promotions_rollbacks_and_crashes_every_promise_is_kept(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()

    def tell() -> None:
        if _BUILDS:
            with capsys.disabled():
                print(f"seed {seed}, {time.monotonic() - began:.0f} s: {world.told()}", flush=True)

    with closing(World(tmp_path, seed, _LONG if _BUILDS else _SHORT)) as world:
        try:
            while world.steps < world.size.builds:
                world.step()
                if world.steps % _TELL == 0:
                    tell()
            world.end()
        except BaseException as error:
            error.add_note(f"seed {seed}, step {world.steps}; again: REPOD_YEAR_SEED={seed} and as many builds")
            raise
        tell()
