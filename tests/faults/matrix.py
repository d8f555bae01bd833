"""The crash matrix: every call that changes a file, and every request that changes a bucket, meets every fault.

    python -m tests.faults.matrix --minutes 20        deals cells until the time is over; writes the table
    python -m tests.faults.matrix --all               every cell, however long that takes
    python -m tests.faults.matrix --work prune --fault ENOSPC --store disk --point 106      some of them

See README.md beside it. It ends with 1 where a cell found something, and says how to ask for that cell again.
"""

import argparse
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests.faults.matrix_cells import Cell, Done, Lane, Start
from tests.faults.matrix_s3 import S3_FAULTS, BucketLane
from tests.faults.matrix_table import write_table
from tests.faults.matrix_work import WORKS, Keys, Work, make_keys, part
from tests.lab import processes
from tests.lab.diskfaults import FAULTS, Fault, Point
from tests.lab.seaweed import seaweed

_EACH_TURN = 3


class Wanted(NamedTuple):
    """Which cells: names that are empty stand for all."""

    seed: int
    works: Sequence[str] = ()
    faults: Sequence[str] = ()
    points: Sequence[int] = ()
    reads: int = 4  # at each so manieth cell dnf reads

    def work(self) -> list[Work]:
        """The operations."""
        return [work for work in WORKS if not self.works or work.name in self.works]


def deal(points: Mapping[str, Sequence[Point]], faults: Sequence[Fault], wanted: Wanted) -> list[Cell]:
    """All cells, in turns: each part of each operation meets as many as any other, however many points it has.

    In a turn three points of a part meet one fault each; which, and which fault, is drawn.
    """
    drawn = random.Random(wanted.seed)
    ranked: list[tuple[int, float, Work, Point, Fault]] = []
    for work in wanted.work():
        parts: dict[str, list[Point]] = {}
        for point in points[work.name]:
            if not wanted.points or point.number in wanted.points:
                parts.setdefault(part(point.path), []).append(point)
        for members in parts.values():
            cells = [
                (fault, point)
                for point in members
                for fault in faults
                if fault.fits(point.call) and (not wanted.faults or fault.name in wanted.faults)
            ]
            drawn.shuffle(cells)
            met: dict[str, int] = {}
            # Faults take turns as well, so that none waits for the others.
            for place, (fault, point) in enumerate(sorted(cells, key=lambda cell: _next(met, cell[0].name))):
                ranked.append((place // _EACH_TURN, drawn.random(), work, point, fault))
    ranked.sort(key=lambda row: row[:2])
    return [
        Cell(work=work, point=point, fault=fault, read=number % wanted.reads == 0)
        for number, (_, _, work, point, fault) in enumerate(ranked)
    ]


def _next(met: dict[str, int], name: str) -> int:
    """How often ``name`` was met before."""
    met[name] = met.get(name, -1) + 1
    return met[name]


def run(lanes: Sequence[Lane], cells: Sequence[Cell], ends: float) -> Iterator[Done]:
    """The cells, each on the lane that is free first, until the time ``ends`` (monotonic)."""
    left, lock = iter(cells), threading.Lock()
    done: list[Done] = []
    ready = threading.Semaphore(0)

    def work(lane: Lane) -> None:
        while time.monotonic() < ends:
            with lock:
                cell = next(left, None)
            if cell is None:
                return
            found = lane.run(cell)
            with lock:
                done.append(found)
            ready.release()

    with ThreadPoolExecutor(len(lanes)) as threads:
        running = [threads.submit(work, lane) for lane in lanes]
        shown = 0
        while not all(one.done() for one in running) or shown < len(done):
            if ready.acquire(timeout=0.5):
                yield done[shown]
                shown += 1
        for one in running:
            one.result()


def lanes_of(stack: ExitStack, folder: Path, store: str, keys: Keys, count: int, works: Sequence[Work]) -> list[Lane]:
    """So many lanes with the beginnings of the operations made; ``stack`` ends them."""
    start = Start(folder / "start")
    lanes: list[Lane] = []
    server = stack.enter_context(seaweed(_made(folder / "weed"))) if store == "s3" else None
    for number in range(count):
        own = folder / f"lane{number}"
        lane = BucketLane(own, keys, start, server) if server else Lane(own, keys, start)
        lanes.append(stack.enter_context(lane))
    lanes[0].prepare(works)
    return lanes


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _tell(done: Done, count: int, seconds: float) -> None:
    if done.problem:
        print(f"PROBLEM {done.cell}\n    {done.problem}", flush=True)
    if count % 20 == 0:
        print(f"{count} cells in {seconds:.0f} s", flush=True)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--all", action="store_true", help="without end of time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--reads", type=int, default=4, help="dnf reads at each so manieth cell")
    parser.add_argument("--work", action="append", default=[], choices=[work.name for work in WORKS])
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--point", action="append", default=[], type=int)
    parser.add_argument("--store", action="append", default=[], choices=["disk", "s3"])
    parser.add_argument("--no-table", action="store_true", help="leave README.md as it is")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """See above."""
    given = _arguments(words)
    processes.mark()
    wanted = Wanted(given.seed, given.work, given.fault, given.point, given.reads)
    stores = given.store or ["disk", "s3"]
    print(f"seed {given.seed}, {given.lanes} lanes", flush=True)
    began = time.monotonic()
    found: list[Done] = []
    counted: dict[str, dict[str, list[Point]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="matrix-")))
        keys = make_keys()
        for number, store in enumerate(stores):
            lanes = lanes_of(stack, folder / store, store, keys, given.lanes, wanted.work())
            counted[store] = {work.name: lanes[0].points(work) for work in wanted.work()}
            cells = deal(counted[store], FAULTS if store == "disk" else S3_FAULTS, wanted)
            print(f"{store}: {sum(map(len, counted[store].values()))} points, {len(cells)} cells", flush=True)
            share = (number + 1) / len(stores)
            ends = began + (given.minutes * 60 * share if not given.all else float("inf"))
            for done in run(lanes, cells, ends):
                found.append(done)
                _tell(done, len(found), time.monotonic() - began)
    problems = [done for done in found if done.problem]
    seconds = time.monotonic() - began
    reads = sum(done.reads for done in found)
    print(f"{len(found)} cells, {reads} reads by dnf, {len(problems)} problems, {seconds:.0f} s")
    if not given.no_table:
        about = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} processors"
        command = f"`python -m tests.faults.matrix {' '.join(words or sys.argv[1:])}`"
        write_table(found, counted, command, about, seconds)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
