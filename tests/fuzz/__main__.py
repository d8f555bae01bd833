"""The long form: ``python -m tests.fuzz [TARGET…] [--minutes M] [--seed S]``; see README.md beside it."""

import argparse
import datetime as dt
import os
import platform
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz.core import Target
from tests.fuzz.engine import Result, feed
from tests.fuzz.targets import TARGETS

_README = Path(__file__).parent / "README.md"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> int:
    """Exit status: 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all where none is named"
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target (default: 1)")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    parser.add_argument("--engine", choices=("atheris", "blind"), default="atheris", help="default: atheris")
    parser.add_argument("--figures", action="store_true", help="write the table into README.md")
    parser.add_argument("--show", action="store_true", help="print all outcomes")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if given.seed is None else given.seed
    chosen = [TARGETS[name] for name in given.targets] if given.targets else list(TARGETS.values())
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    print(f"seed {seed}; what is found lies in {folder}", flush=True)
    results = [_one(target, folder, given, seed) for target in chosen]
    table = _table(results, f"python -m tests.fuzz {' '.join(sys.argv[1:])}", seed, given.engine)
    print(f"\n{table}")
    if given.figures:
        text = _README.read_text()
        start, end = text.index(_BEGIN) + len(_BEGIN), text.index(_END)
        _README.write_text(f"{text[:start]}\n{table}\n{text[end:]}")
    return 1 if any(result.findings for result in results) else 0


def _one(target: Target, folder: Path, given: argparse.Namespace, seed: int) -> Result:
    print(f"\n{target.name}: {target.what}", flush=True)
    result = feed(target, folder / target.name, engine=given.engine, seed=seed, seconds=60 * given.minutes)
    print(
        f"  {result.executions} executions, {result.executions / result.seconds:.0f} a second; "
        f"{len(result.outcomes)} outcomes; coverage {result.coverage}; peak {result.peak >> 20} MiB; "
        f"slowest {result.slowest:.2f} s; {result.contained} contained",
        flush=True,
    )
    if given.show:
        for outcome, count in result.outcomes.most_common():
            print(f"  {count:8} {outcome[:200]}")
    for text, place in result.findings.items():
        print(f"  FOUND {text[:400]}\n        {place}", flush=True)
    return result


def _table(results: list[Result], command: str, seed: int, engine: str) -> str:
    where = f"{os.cpu_count()} cores shared with other work ({platform.machine()}), Python {platform.python_version()}"
    lines = [
        f"`{command}`, seed {seed}, {dt.datetime.now(dt.UTC):%Y-%m-%d}, {where}, {engine}:",
        "",
        "| target | minutes | executions | a second | outcomes | edges | peak MiB | slowest input, s | findings |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.target} | {one.seconds / 60:.1f} | {one.executions:,} | {one.executions / max(one.seconds, 1):.0f} "
        f"| {len(one.outcomes)} | {one.coverage or '-'} | {one.peak >> 20} | {one.slowest:.2f} | {len(one.findings)} |"
        for one in results
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
