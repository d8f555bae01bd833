"""What the daemon takes of the machine, as it goes: a sample every few seconds."""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.lab import processes
from tests.soak.fates import Log
from tests.soak.onlookers import Series, get, series_of, ticks
from tests.soak.system import System

_MIB = 1024.0
_TICKS = os.sysconf("SC_CLK_TCK")
GAUGES = (
    "daemon RSS, MiB",
    "daemon PSS, MiB",
    "workers RSS, MiB",
    "workers PSS, MiB",
    "processes",
    "threads",
    "open files",
    "files in TMPDIR",
    "files in state_dir/work",
    "files in state_dir",
    "bytes of /metrics",
)
"""What must be flat, each a number in every sample."""


@dataclass(slots=True)
class Samples:
    """``at``: seconds since the first; ``gauges``: the numbers of each of ``GAUGES``.

    ``series``: the series of /metrics at first; ``changed``: what joined or left them later; ``before`` and
    ``metrics``: their values at first and at last.
    """

    at: list[float] = field(default_factory=list)
    gauges: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in GAUGES})
    cpu: list[float] = field(default_factory=list)
    series: set[object] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    before: dict[Series, float] = field(default_factory=dict)
    metrics: dict[Series, float] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    def last(self, gauge: str) -> float:
        """The newest number."""
        return self.gauges[gauge][-1] if self.gauges[gauge] else 0.0


class Probe:
    """Takes samples while it is used as a context; reads the log as it grows, too."""

    def __init__(self, system: System, log: Log, every: float) -> None:
        """``every``: seconds between two samples."""
        self._system, self._log, self._every = system, log, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe")
        self.samples = Samples()
        self.scrapes = 0
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for at in ticks(self._every, self._stop.wait):
            try:
                self._sample(at)
            except (OSError, AssertionError, ValueError) as error:
                self.errors.append(f"sample after {at:.0f} s: {error!r}")

    def _sample(self, at: float) -> None:
        self._log.read()
        status, page = get(f"{self._system.url}/metrics")
        assert status == 200, f"/metrics answers {status}: {page[:200]!r}"
        self.scrapes += 1
        self._compare(page)
        values = [*memory_of(self._system.repod.pid), *self._files(), float(len(page))]
        samples = self.samples
        for name, value in zip(GAUGES, values, strict=True):
            samples.gauges[name].append(value)
        samples.at.append(at)
        samples.cpu.append(_cpu(self._system.repod.pid))
        samples.load.append(os.getloadavg()[0])

    def _compare(self, page: bytes) -> None:
        samples = self.samples
        samples.metrics = series_of(page)
        samples.before = samples.before or samples.metrics
        # Sizes of file systems are there when they were measured first, by a thread of their own.
        now = {one for one in samples.metrics if not one[0].startswith("repod_filesystem_")}
        samples.series = samples.series or set(now)
        samples.changed |= {f"+ {one}" for one in now - samples.series}
        samples.changed |= {f"- {one}" for one in samples.series - now}

    def _files(self) -> Iterator[float]:
        state = self._system.state
        work = count(state / "work")
        yield count(self._system.temporary)
        yield work
        yield count(state) - work


def count(folder: Path) -> float:
    """How many files are in it; what goes meanwhile may be missed."""
    return float(sum(len(files) for _, _, files in os.walk(folder)))


def memory_of(pid: int) -> Sequence[float]:
    """RSS and PSS of the daemon and of all below it, in MiB; processes; threads and open files of the daemon."""
    workers = processes.children(pid)
    pairs = [_memory(one) for one in workers]
    rss, pss = _memory(pid)
    return [
        rss,
        pss,
        sum(one for one, _ in pairs),
        sum(one for _, one in pairs),
        1.0 + len(workers),
        float(len(list(Path(f"/proc/{pid}/task").iterdir()))),
        float(len(list(Path(f"/proc/{pid}/fd").iterdir()))),
    ]


def _memory(pid: int) -> tuple[float, float]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended meanwhile
        return 0.0, 0.0
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return found["Rss"] / _MIB, found["Pss"] / _MIB


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
