"""Feeds a target from processes of its own, which may die or stand still: then that is what was found."""

import json
import os
import re
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.child import HEART
from tests.fuzz.core import Target, kind_of
from tests.lab import processes

_ENDING = 10.0
_GRACE = 90.0
"""Seconds in which a process starts, and settles at its end."""
_LOOK = 0.1
_STUCK, _OVER = -1000, -1001
"""How a process ends that was held up by one input, or that a busy machine did not let come to its end in time."""
_ROOT = Path(__file__).parents[2]


@dataclass(kw_only=True)
class Result:
    """What came of feeding a target. ``findings``: texts, with the names of the inputs in the folder."""

    target: str
    seconds: float = 0.0
    executions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    contained: int = 0
    coverage: int = 0
    slowest: float = 0.0
    peak: int = 0


def feed(target: Target, folder: Path, *, engine: str, seed: int, seconds: float, runs: int = 0) -> Result:
    """Feed ``target`` for so many ``seconds``, or with so many ``runs``; ``folder`` keeps what was found."""
    result = Result(target=target.name)
    began = time.monotonic()
    for turn in range(1000):
        left = began + seconds - time.monotonic()
        if left <= 0:
            break
        place = folder / f"{turn}"
        place.mkdir(parents=True)
        order = {"engine": engine, "seed": seed + turn, "seconds": left, "runs": runs}
        status = _child(target, place, order, began + seconds + _GRACE)
        _add(result, place)
        if status in {0, _OVER}:
            break
        _died(target, result, place, status)
        if runs:
            break
    result.seconds = time.monotonic() - began
    return result


def _child(target: Target, place: Path, order: dict[str, Any], until: float) -> int:
    words = [sys.executable, "-m", "tests.fuzz.child", target.name, str(place), json.dumps(order)]
    plain = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONHASHSEED": "0", "RUST_BACKTRACE": "0"}
    mark, environ = processes.marked(plain)
    process = subprocess.Popen(words, cwd=_ROOT, env=environ, stdin=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            time.sleep(_LOOK)
            late = time.monotonic() > until
            if late or _stuck(process.pid, place, 4 * target.seconds):
                process.kill()
                process.wait()
                return _OVER if late else _STUCK
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        # However it ended: a daemon that it had started, say.
        processes.end(lambda: processes.bearers(mark), _ENDING, "what the process had started")
    return process.returncode


def _at_hand(place: Path) -> tuple[float, float, bytes]:
    """Since when the input at hand is worked on, the processor time then, and the input; zeros where there is none."""
    try:
        with (place / "heart").open("rb") as file:
            since, used, size = HEART.unpack(file.read(HEART.size))
            return since, used, file.read(size)
    except (OSError, struct.error):  # it is being made just now
        return 0.0, 0.0, b""


def _stuck(pid: int, place: Path, seconds: float) -> bool:
    """Whether one input takes so many seconds of processor time, or ten times as many by the clock, asleep."""
    since, used, _ = _at_hand(place)
    if not since:
        return False
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    spent = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent - used > seconds or time.monotonic() - since > 10 * seconds


def _died(target: Target, result: Result, place: Path, status: int) -> None:
    """Another one of an input by which the process died or stood still."""
    since, _, data = _at_hand(place)
    log = (place / "log").read_text(errors="replace")[-1500:]
    what = "stands still" if status == _STUCK else f"ends its process ({status})"
    if since and target.contain:
        try:
            result.outcomes[f"contained: {kind_of(target.contain(data))}"] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it was found
            what = f"{what}, and is not contained: {error}"
        else:
            result.contained += 1
            return
    name = place / f"died{status}"
    name.write_bytes(data)
    result.findings[f"{what}: {log}"] = str(name)


def _add(result: Result, place: Path) -> None:
    try:
        row = json.loads((place / "stats.json").read_bytes())
    except OSError:
        return
    result.executions += row["executions"]
    result.outcomes.update(row["outcomes"])
    result.findings.update({kind: str(place / name) for kind, name in row["findings"].items()})
    result.slowest = max(result.slowest, row["slowest"])
    result.peak = max(result.peak, row["peak"])
    log = (place / "log").read_text(errors="replace")
    result.coverage = max([result.coverage, *map(int, re.findall(r"cov: (\d+)", log))])
