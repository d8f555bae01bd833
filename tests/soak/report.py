"""What a run found, as text: for the terminal, and for README between its marks."""

import os
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.soak.judge import Verdict, percentiles
from tests.soak.plan import Shape

README = Path(__file__).with_name("README.md")
_BEGIN, _END = "<!-- last run: begin -->", "<!-- last run: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A run: its figures, its verdicts, and every violation in full."""

    shape: Shape
    command: str
    load: Sequence[float]
    figures: Sequence[tuple[str, str]]
    latencies: Sequence[tuple[str, Sequence[float]]]
    verdicts: Sequence[Verdict]
    violations: Sequence[str]

    @property
    def fine(self) -> bool:
        """Whether nothing was violated."""
        return not self.violations and all(verdict.fine is not False for verdict in self.verdicts)


def text_of(found: Found) -> str:
    """All of it, as Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found) -> Iterator[str]:
    yield f"    {found.command}"
    yield ""
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}; {_load(found.load)}."
    yield ""
    yield from ("| of the run | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in found.figures)
    yield ""
    yield "Seconds from the beginning of the drop until a fresh client saw the package in the live view:"
    yield ""
    yield from ("| drop | number | p50 | p90 | p99 | longest |", "|---|---|---|---|---|---|")
    for name, seconds in found.latencies:
        row = " | ".join(f"{value:.2f}" for value in percentiles(seconds))
        yield f"| {name} | {len(seconds):,} | {row} |"
    yield ""
    yield from ("| must hold | found | bound | |", "|---|---|---|---|")
    for verdict in found.verdicts:
        word = {True: "holds", False: "**violated**", None: "not judged: too short"}[verdict.fine]
        yield f"| {verdict.what} | {verdict.found} | {verdict.bound} | {word} |"
    if found.violations:
        yield ""
        yield from (f"- {line[:600]}" for line in found.violations[:50])
        yield f"\n{len(found.violations)} violations in all."


def machine() -> str:
    """One line that names the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.processor())
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _load(load: Sequence[float]) -> str:
    nice = f", the run itself at nice {level}" if (level := os.nice(0)) else ""
    if not load:
        return f"load not sampled{nice}"
    return (
        f"load of the machine, the run's own included: {load[0]:.1f} at its start, "
        f"{sum(load) / len(load):.1f} on average, {max(load):.1f} at the most{nice}"
    )


def write(text: str, readme: Path = README) -> None:
    """Put a run into README, in place of the one before."""
    before = readme.read_text()
    pattern = re.compile(f"{re.escape(_BEGIN)}\n.*?{re.escape(_END)}", re.DOTALL)
    readme.write_text(pattern.sub(lambda _: f"{_BEGIN}\n{text}{_END}", before))
