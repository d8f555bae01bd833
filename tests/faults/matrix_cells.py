"""One cell of the matrix: an operation meets a fault at one call, is looked at, and is finished."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from tests.faults.matrix_look import Look, assert_finished, assert_old_or_new, bucket, dnf_reads, look
from tests.faults.matrix_work import REPOSITORIES, Keys, Site, Work, begin, tree
from tests.lab.daemon import Ended
from tests.lab.diskfaults import Disk, Fault, Point
from tests.lab.ready import Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A fault at a call of an operation. ``read``: dnf reads too, in the middle and at the end."""

    work: Work
    point: Point
    fault: Fault
    read: bool = False

    def __str__(self) -> str:
        """How to ask for it again."""
        return f"{self.work.name} @ {self.point.number} ({self.point.call} {self.point.path}) x {self.fault.name}"


class Done(NamedTuple):
    """How a cell ended: where it happened (None: the command had fewer calls this time), and what was wrong."""

    cell: Cell
    where: Point | None
    problem: str = ""
    reads: int = 0


class Start:
    """Where operations begin, to be copied for each cell, and what a run without a fault leaves; lanes share one."""

    def __init__(self, folder: Path) -> None:
        """``folder``: where the beginnings lie."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.clean: dict[str, Counter[str]] = {}
        self.numbers: dict[str, list[Sequence[int]]] = {}
        self.bucket = ""  # where they lie in one


class Lane:
    """Cells one after the other, on disk; lanes run beside each other. A context manager."""

    def __init__(self, folder: Path, keys: Keys, start: Start) -> None:
        """``folder`` is its own."""
        folder.mkdir(parents=True)
        self.folder, self.keys, self.start = folder, keys, start
        self._count = 0
        for where in (folder, start.folder):
            self._write_keys(where)
        own = folder / "own"
        own.mkdir()
        self.disk = Disk(own)
        self._stack = ExitStack()
        self._stack.callback(self.disk.close)
        self._ready = self._stack.enter_context(Ready(own, self.disk.environ | self.environ()))

    def _write_keys(self, where: Path) -> None:
        for name, key in zip(("old", "new"), self.keys, strict=True):
            (where / f"{name}.asc").touch(0o600)
            (where / f"{name}.asc").write_bytes(key.secret)

    def environ(self) -> Mapping[str, str]:
        """What commands have in their environment beside the disk's."""
        return {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prepare(self, works: Sequence[Work]) -> None:
        """The beginning of each operation."""
        making = self.folder / "making"
        making.mkdir()
        base = self.start.folder / "begin"
        base.mkdir()
        begin(self.new_site(base), making)
        for work in works:
            shutil.rmtree(making)
            making.mkdir()
            work.prepare(self.copied(base, self.start.folder / work.name), making)

    def points(self, work: Work) -> list[Point]:
        """The calls of the operation without a fault; what it leaves is the measure for its cells."""
        site = self._fresh(work)
        self.start.numbers[work.name] = [look(site, name, self.keys).numbers for name in REPOSITORIES]
        self.record(site)
        done = self._command(site, work)
        points = self.recorded()
        assert done.rc in work.ends, done
        self._finish(site, work)
        clean = self.start.clean[work.name] = tree(site.base) + bucket(site)
        assert_finished(site, work, self.keys, [look(site, name, self.keys) for name in REPOSITORIES], clean)
        self.forget(site)
        return points

    def run(self, cell: Cell) -> Done:
        """The cell; what was wrong is told, and its folder stays then."""
        site = self._fresh(cell.work)
        try:
            where, reads = self._meet(site, cell)
        except Exception as error:  # noqa: BLE001 - whatever a look stumbles over is what is wrong
            self.lift()
            return Done(cell, cell.point, f"{type(error).__name__}: {error} [{site.base}]")
        self.forget(site)
        return Done(cell, where, "", reads)

    # ------------------------------------------------------------ what is otherwise in a bucket

    def new_site(self, base: Path) -> Site:
        """An empty one."""
        return Site(base)

    def copied(self, base: Path, to: Path) -> Site:
        """A copy of the one at ``base``."""
        shutil.copytree(base, to)
        return Site.at(to)

    def forget(self, site: Site) -> None:
        """Remove it."""
        shutil.rmtree(site.base.parent)

    def record(self, site: Site) -> None:
        """Take note of the points of the command that comes."""
        self.disk.trace(site.base)

    def recorded(self) -> list[Point]:
        """What was noted."""
        return self.disk.points()

    def arm(self, site: Site, cell: Cell) -> None:
        """Let the fault happen to the command that comes."""
        self.disk.watch(site.base)
        self.disk.at(cell.point.number, cell.fault, everywhere=cell.point.number % 2 == 1)

    def fired(self) -> Point | None:
        """Where it happened."""
        return self.disk.fired

    def lift(self) -> None:
        """No fault any more; the clock stays as it is."""
        self.disk.lift()

    # ------------------------------------------------------------ one cell

    def _meet(self, site: Site, cell: Cell) -> tuple[Point | None, int]:
        work, fault = cell.work, cell.fault
        self.arm(site, cell)
        met = self._command(site, work)
        where = self.fired()
        self.lift()
        assert "Traceback" not in met.err, met.err
        looks = self._looks(site, work)
        assert_old_or_new(work, looks, done=met.rc in work.ends and not fault.signal)
        reads = self._reads(site, looks, frozen=cell.point.number % 4 < 2) if cell.read else 0
        if fault.clock:  # first while it is wrong still, then when it is right again
            self._command(site, work)
            self._looks(site, work)
            self.disk.set_clock(0)
        self._finish(site, work)
        looks = self._looks(site, work)
        clean = self.start.clean[work.name]
        due = None if self._signed_twice(cell, looks) else clean
        assert_finished(site, work, self.keys, looks, due, wrong_clock=bool(fault.clock))
        # A record that was torn stays, and the next one says so: here that of a prune that finds nothing.
        assert self._ready.run("prune", "-c", site.config, "prod").rc == 0
        verified = self._ready.run("audit", "verify", "-c", site.config)
        assert verified.rc == 0, verified
        reads += self._reads(site, looks, frozen=cell.point.number % 4 >= 2) if cell.read else 0
        return where, reads

    def _finish(self, site: Site, work: Work) -> None:
        """The command again, as often as the operation takes."""
        for _ in range(work.runs):
            done = self._command(site, work)
            assert done.rc in work.ends, f"after the fault: {done}"

    @staticmethod
    def _signed_twice(cell: Cell, looks: Sequence[Look]) -> bool:
        """Whether a package was left to the second run, since its signature was made before the clock went back."""
        late = cell.work.name == "resign" and bool(cell.fault.clock)
        return late and looks[0].numbers[0] == cell.work.generations[REPOSITORIES[0]] + 1

    def _looks(self, site: Site, work: Work) -> list[Look]:
        before = self.start.numbers[work.name]
        return [look(site, name, self.keys, one) for name, one in zip(REPOSITORIES, before, strict=True)]

    def _reads(self, site: Site, looks: Sequence[Look], *, frozen: bool) -> int:
        wanted = [seen for seen in looks if seen.listed]
        for number, seen in enumerate(wanted):
            root = site.base.parent / f"host{number}{int(frozen)}"
            dnf_reads(seen, root, frozen=frozen)
            shutil.rmtree(root)
        return len(wanted)

    def _command(self, site: Site, work: Work) -> Ended:
        command, *rest = work.words
        return self._ready.run(command, "-c", site.config, *rest, began=self.began)

    def began(self, pid: int) -> None:
        """A command begins under this process id."""
        self.disk.command(pid)

    def _fresh(self, work: Work) -> Site:
        self._count += 1
        folder = self.folder / f"cell{self._count}"
        folder.mkdir()
        self._write_keys(folder)
        return self.copied(self.start.folder / work.name, folder / "site")
