"""The making of metadata, same format against same format, and the floor that no machine gets under.

One corpus of real RPM files, and one repository per tool and format, which grow from size to
size; so the largest size costs little more than itself.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repod.config import load
from repod.signing.create import create_key
from repod.start import write_key, write_settings
from tests.bench.burst import started
from tests.bench.corpus import build
from tests.bench.measure import Cost, command, resident, table
from tests.bench.peers import Agent, Createrepo, agent, link
from tests.lab.processes import children

FORMS: Mapping[str, str] = {"gz": "", "zstd": 'compression = "zstd"\n'}
"""What is said in the settings for each format."""

_BATCHES = 3
# Above this, one run of a peer says enough: it takes seconds and hardly varies.
_LARGE = 20_000


@dataclass(kw_only=True)
class Row:
    """Seconds, bytes and MiB of one size and one format."""

    packages: int
    form: str
    createrepo: Cost
    createrepo_size: int
    agent: Cost | None = None
    once: float = 0.0
    cold: float = 0.0
    idle: float = 0.0
    floor: float = 0.0
    small: float = 0.0
    add: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0

    @property
    def one(self) -> float:
        """Median seconds of adding one package."""
        return statistics.median(self.add["one"])

    @property
    def hundred(self) -> float:
        """Median seconds of adding a hundred."""
        return statistics.median(self.add["hundred"])


class _Packages:
    """The corpus, dealt out: every package is added to a tool once."""

    def __init__(self, folder: Path, count: int) -> None:
        begun = time.monotonic()
        self._paths = list(dict.fromkeys(build(folder, count + count // 100)))[:count]
        print(f"corpus: {count} packages in {time.monotonic() - begun:.0f} s", file=sys.stderr)

    def take(self, count: int) -> list[Path]:
        taken, self._paths = self._paths[:count], self._paths[count:]
        return taken


class Bench:
    """All tools on their repositories in one folder."""

    def __init__(self, work: Path, forms: Sequence[str], server: Agent, packages: _Packages, rounds: int) -> None:
        self._work = work
        self._agent = server
        self._packages = packages
        self._rounds = rounds
        self._createrepo = {form: Createrepo(work / f"createrepo_c-{form}", form) for form in forms}
        key = create_key("bench <bench@localhost>", environ=os.environ).secret
        self._settings = {form: _repository(work / f"repod-{form}", FORMS[form], key) for form in forms}
        self._count = 0

    def rows(self, size: int) -> list[Row]:
        """Grow everything to ``size`` and measure every format."""
        base = self._packages.take(size - self._count)
        self._count = size
        for createrepo in self._createrepo.values():
            createrepo.add(base)
        self._agent.add(base)
        _steady("grow", ",".join(map(str, self._settings.values())), self._list("base", base))
        ones, hundreds = self._packages.take(self._rounds), self._packages.take(100 * _BATCHES)
        lists = [self._list("ones", ones), self._list("hundreds", hundreds)]
        # What is measured adds a handful; the next size counts them in.
        self._count += len(ones)
        peer = ones[: 1 if size > _LARGE else 3]
        rows = [self._row(size, form, lists, peer, ones) for form in self._settings]
        rows[0].agent = _median([self._agent.add([path]) for path in peer])
        self._agent.add(ones[len(peer) :])
        return rows

    def _row(self, size: int, form: str, lists: Sequence[str], peer: Sequence[Path], ones: Sequence[Path]) -> Row:
        createrepo, settings = self._createrepo[form], self._settings[form]
        before = createrepo.size()
        row = Row(
            packages=size,
            form=form,
            createrepo=_median([createrepo.add([path]) for path in peer]),
            createrepo_size=before,
        )
        createrepo.add(ones[len(peer) :])
        row.size = self._documents(settings)
        row.add = _steady("add", str(settings), *lists)
        store = Path(load(settings).repository[0].store)
        row.floor, row.small = _floor(store.parent.parent / "floor", [store / path for path in row.add["written"]])
        row.idle = _idle(settings)
        row.once = self._once(settings)
        row.cold = self._cold(settings)
        return row

    def _list(self, name: str, paths: Sequence[Path]) -> str:
        file = self._work / name
        file.write_text("\n".join(map(str, paths)))
        return str(file)

    def _documents(self, settings: Path) -> int:
        """Bytes of the live documents."""
        store = Path(load(settings).repository[0].store)
        record = max((store / ".repod/generations").glob("*.json"), key=lambda path: int(path.stem))
        return sum(document["size"] for document in json.loads(record.read_bytes())["documents"])

    def _once(self, settings: Path) -> float:
        seconds = []
        for path in self._packages.take(_BATCHES):
            link([path], settings.parent / "inbox/bench")
            seconds.append(command([sys.executable, "-m", "repod", "once", "-c", str(settings)]).seconds)
            self._count += 1
        return statistics.median(seconds)

    def _cold(self, settings: Path) -> float:
        shutil.rmtree(settings.parent / "state/cache")
        return float(_steady("start", str(settings))["seconds"])


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(seconds=statistics.median(c.seconds for c in costs), mib=max(c.mib for c in costs))


def _repository(folder: Path, more: str, key: bytes) -> Path:
    settings = write_settings(folder, "bench", "127.0.0.1:0")
    settings.write_text(settings.read_text() + more)
    write_key(folder, key)
    return settings


def _steady(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.steady", *words], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _floor(work: Path, documents: Sequence[Path]) -> tuple[float, float]:
    work.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "tests.bench.floor", str(work), *map(str, documents)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    floor, small = done.stdout.split()
    return float(floor) / 1000, float(small) / 1000


def _idle(settings: Path) -> float:
    """MiB of a daemon that has started and has nothing to do, with all its processes."""
    log = settings.parent / "log"
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "repod", "run", "-c", str(settings)], stderr=out)
    try:
        started(log)
        return sum(resident(pid) for pid in {process.pid} | children(process.pid))
    finally:
        process.terminate()
        process.wait()


def run(sizes: Sequence[int], rounds: int, forms: Sequence[str]) -> None:
    """Measure every size and print the tables."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name, ExitStack() as stack:
        work = Path(name)
        more = len(sizes) * (rounds + 100 * _BATCHES + len(forms) * _BATCHES)
        packages = _Packages(work / "corpus", max(sizes) + more)
        server = stack.enter_context(agent(work / "agent"))
        bench = Bench(work, forms, server, packages, rounds)
        rows = []
        for size in sorted(sizes):
            rows += bench.rows(size)
            print(f"{size}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    _print_adding(rows)
    _print_rest(rows)
    print(f"\nThe whole run took {(time.monotonic() - begun) / 60:.0f} minutes.")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def _times(peer: float, own: float) -> str:
    return f"{peer / own:.1f} x" if peer < 10 * own else f"{peer / own:.0f} x"


def _print_adding(rows: Sequence[Row]) -> None:
    print("One package added, milliseconds, median:\n")
    header = [
        *("packages", "format", "createrepo_c --update (cold)", "createrepo-agent (warm)"),
        *("repod daemon (warm)", "repod once (cold)", "daemon : createrepo_c", "daemon : agent", "once : createrepo_c"),
        *("physical floor", "daemon / floor"),
    ]
    cells = [
        [
            f"{row.packages:,}",
            row.form,
            _ms(row.createrepo.seconds),
            _ms(row.agent.seconds) if row.agent else "",
            _ms(row.one),
            _ms(row.once),
            _times(row.createrepo.seconds, row.one),
            _times(row.agent.seconds, row.one) if row.agent else "",
            _times(row.createrepo.seconds, row.once),
            _ms(row.floor),
            f"{row.one / row.floor:.2f}",
        ]
        for row in rows
    ]
    table(header, cells)
    print("\nrepod fsyncs, signs both indexes with RSA-4096 and makes a frozen view; the others do none of it.")
    print("The floor: SHA-256 of the open text of the documents that are written, on all cores; their packed")
    print("bytes copied, hashed and synced. Beside that a publish signs twice and makes eight small durable")
    print(f"writes, {_small(rows)} ms each.")


def _small(rows: Sequence[Row]) -> str:
    return f"{statistics.median(row.small for row in rows) * 1000:.1f}"


def _print_rest(rows: Sequence[Row]) -> None:
    print("\nThe rest:\n")
    header = [
        *("packages", "format", "one added, ms", "100 added at once, ms", "100 : one", "start without cache, s"),
        *("idle daemon, MiB", "createrepo_c, MiB", "agent, MiB"),
        *("size of the documents, MB", "createrepo_c's size, MB", "repod's : createrepo_c's"),
    ]
    cells = [
        [
            f"{row.packages:,}",
            row.form,
            _ms(row.one),
            _ms(row.hundred),
            _times(row.hundred, row.one),
            f"{row.cold:.1f}",
            f"{row.idle:.0f}",
            f"{row.createrepo.mib:.0f}",
            f"{row.agent.mib:.0f}" if row.agent else "",
            f"{row.size / 1e6:.2f}",
            f"{row.createrepo_size / 1e6:.2f}",
            f"{(row.size / row.createrepo_size - 1) * 100:+.1f} %",
        ]
        for row in rows
    ]
    table(header, cells)
    print("\nMemory: resident, of all processes of the idle daemon; of the others, at the peak.")
