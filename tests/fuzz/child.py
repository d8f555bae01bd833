"""One process that feeds a target: ``python -m tests.fuzz.child TARGET FOLDER ORDER``; see ``engine.py``.

What it does is in the folder at any time: ``heart`` holds the input at hand and since when, ``stats.json`` all that
came of the others, ``findings/`` the inputs that must not be.
"""

import contextlib
import hashlib
import json
import mmap
import os
import re
import resource
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.core import CORPUS, Finding, Opened, Target

HEART = struct.Struct(">ddI")
"""Since when the input at hand is worked on, the processor time at its beginning, its length; zeros: none is."""
MOST = 8 << 20
_SETTLE = 60.0
_POOL = 2000


class Feeder:
    """Runs inputs one by one, and keeps account."""

    def __init__(self, target: Target, opened: Opened, folder: Path) -> None:
        self.target = target
        self._opened = opened
        self._folder = folder
        self.outcomes: Counter[str] = Counter()
        self._findings: dict[str, str] = {}
        self._slowest = (0.0, "")
        self._executions = 0
        self._settled = self._told = time.monotonic()
        self._peak = _peak()
        (folder / "findings").mkdir(exist_ok=True)
        path = folder / "heart"
        path.write_bytes(bytes(HEART.size + MOST))
        with path.open("r+b") as file:
            self._heart = mmap.mmap(file.fileno(), 0)

    def feed(self, data: bytes) -> bool:
        """Run one input; whether something new came of it."""
        data = data[:MOST]
        self._heart[HEART.size : HEART.size + len(data)] = data
        started = time.process_time()
        self._heart[: HEART.size] = HEART.pack(time.monotonic(), started, len(data))
        outcome = self._outcome(data)
        seconds = time.process_time() - started
        self._heart[: HEART.size] = HEART.pack(0, 0, 0)
        self._executions += 1
        self._limits(data, seconds)
        self.outcomes[outcome] += 1
        now = time.monotonic()
        if now - self._settled > _SETTLE:
            self.settle()
        if now - self._told > 1:
            self.tell()
        return self.outcomes[outcome] == 1

    def _outcome(self, data: bytes) -> str:
        try:
            return self._opened.run(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of native code is no ordinary exception
            self._found(error, data)
            return f"FOUND: {type(error).__name__}"

    def _limits(self, data: bytes, seconds: float) -> None:
        if seconds > self._slowest[0]:
            self._slowest = (seconds, self._keep("slowest", data))
        if seconds > self.target.seconds:
            self._found(Finding(f"one input takes more than {self.target.seconds:g} s of processor time"), data)
        peak = _peak()
        if peak - self._peak > self.target.memory and self._executions > 1:
            self._found(Finding(f"one input takes more than {self.target.memory >> 20} MiB"), data)
        self._peak = max(peak, self._peak)

    def settle(self) -> None:
        """Prove together what single inputs let in."""
        try:
            self._opened.settle()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it was found
            self._found(error, None)
        self._settled = time.monotonic()
        self._peak = max(_peak(), self._peak)

    def _found(self, error: BaseException, data: bytes | None) -> None:
        data = error.data if isinstance(error, Finding) and error.data is not None else data
        where = _where(error)
        first = (data or b"").partition(b"\n")[0]
        door = first.decode() if len(first) < 20 and first.isascii() and where.startswith("core.py") else ""
        said = re.sub(r"[0-9]+", "#", str(error).partition(":")[0])[:60]
        kind = f"{type(error).__name__} {where} {said} {door}"
        if kind in self._findings or len(self._findings) > 200:
            return
        name = self._keep(f"findings/{hashlib.sha1(kind.encode()).hexdigest()[:10]}", data or b"")
        text = "".join(traceback.format_exception(error))[-3000:]
        (self._folder / f"{name}.txt").write_text(f"{kind}\n\n{text}", errors="backslashreplace")
        self._findings[kind] = name
        self.tell()

    def _keep(self, name: str, data: bytes) -> str:
        (self._folder / name).write_bytes(data)
        return name

    def tell(self) -> None:
        """Write down how it stands."""
        self._told = time.monotonic()
        row = {
            "executions": self._executions,
            "outcomes": self.outcomes,
            "findings": self._findings,
            "slowest": self._slowest[0],
            "peak": _peak(),
        }
        fresh = self._folder / "stats.new"
        fresh.write_text(json.dumps(row, default=dict))
        fresh.replace(self._folder / "stats.json")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _where(error: BaseException) -> str:
    """The innermost line of repod's own."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/repod/" in frame.filename and "/tests/" not in frame.filename]
    frame = (ours or frames or [None])[-1]
    return f"{Path(frame.filename).name}:{frame.name}" if frame else ""


def corpus(target: Target) -> Sequence[bytes]:
    """What is kept of the target in the repository, and its seeds."""
    kept = [path.read_bytes() for path in sorted((CORPUS / target.name).glob("*")) if path.is_file()]
    return [*kept, *target.seeds()]


def blind(feeder: Feeder, first: Sequence[bytes], draw: Random, goes_on: Callable[[int], bool]) -> None:
    """Mutants of mutants: of what had an outcome that was not seen before."""
    pool = list(first)
    for data in first:
        feeder.feed(data)
    count = 0
    while goes_on(count):
        count += 1
        # The newest are the least known.
        data = draw.choice(pool[-50:]) if draw.random() < 0.3 else draw.choice(pool)
        made = feeder.target.mutate(draw, data)
        if feeder.feed(made) and len(made) < 1 << 18:
            if len(pool) >= _POOL:
                pool.pop(draw.randrange(len(first), len(pool)))
            pool.append(made)


def guided(feeder: Feeder, first: Sequence[bytes], seed: int, folder: Path, until: float) -> None:
    """By coverage of repod's code: libFuzzer, through atheris. It does not come back."""
    import atheris  # noqa: PLC0415 - only the long form has it

    seeds = folder / "seeds"
    seeds.mkdir(exist_ok=True)
    for data in first:
        (seeds / hashlib.sha1(data).hexdigest()).write_bytes(data)

    def once(data: bytes) -> None:
        if time.monotonic() > until:
            feeder.settle()
            feeder.tell()
            os._exit(0)
        feeder.feed(data)

    def mutator(data: bytes, most: int, number: int) -> bytes:
        return feeder.target.mutate(Random(number), data)[:most]

    words = [
        sys.argv[0],
        str(seeds),
        f"-seed={seed}",
        "-max_len=1048576",
        "-timeout=3600",
        "-rss_limit_mb=0",
        f"-artifact_prefix={folder}/",
        "-len_control=0",
    ]
    atheris.Setup(words, once, custom_mutator=mutator)
    atheris.Fuzz()


@contextlib.contextmanager
def _instrumented(engine: str) -> Iterator[None]:
    if engine != "atheris":
        yield
        return
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=["repod"]):
        yield


def main(name: str, folder: Path, order: dict[str, Any]) -> None:
    """``order``: engine, seed, seconds, runs (0: as long as there is time)."""
    with (folder / "log").open("ab") as log:
        os.dup2(log.fileno(), 1)  # atheris tells there what ended it
        os.dup2(log.fileno(), 2)
    with _instrumented(order["engine"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - what is imported here is watched
    target = TARGETS[name]
    until = time.monotonic() + order["seconds"]
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=folder) as work, target.open(Path(work)) as opened:
        feeder = Feeder(target, opened, folder)
        first = corpus(target)
        if order["engine"] == "atheris":
            guided(feeder, first, order["seed"], folder, until)

        def goes_on(count: int) -> bool:
            return time.monotonic() < until and (not order["runs"] or count < order["runs"])

        blind(feeder, first, Random(order["seed"]), goes_on)
        feeder.settle()
        feeder.tell()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
