"""Random schedules of concurrent daemons and commands, each checked.

``python -m tests.histories --schedules N --seed S`` runs those of the seeds S, S + 1, ...; the same seed is the same
history. It prints a table in Markdown, and of each history that breaks a promise its seed, what is broken, and all that
was asked and answered. It ends with 1 where there was one.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import fields

from tests.histories.schedule import Cast, Result, schedules

_TELL = 1000
_ROWS = ("operations", "looks", "changes", "steps", "races", "crashes", "unknown", "late")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--actors", default="", help="at most so many: daemons=2,people=3,hosts=2,deeds=3")
    asked = parser.parse_args(arguments)
    began, counts, broken = time.monotonic(), Counter[str](), 0
    with schedules(cast=_cast(parser, asked.actors)) as some:
        for done, seed in enumerate(range(asked.seed, asked.seed + asked.schedules), 1):
            result = some.run(seed)
            counts += result.counts
            if result.violations:
                broken += 1
                print(told(result), flush=True)
            if done % _TELL == 0:
                rate = done / (time.monotonic() - began)
                print(
                    f"{done} schedules, seeds {asked.seed} to {seed}, {broken} broken, {rate:.1f} a second", flush=True
                )
    print(table(asked.schedules, asked.seed, broken, time.monotonic() - began, counts))
    return 1 if broken else 0


def _cast(parser: argparse.ArgumentParser, text: str) -> Cast:
    known = {field.name for field in fields(Cast)}
    try:
        words = {name: int(number) for name, _, number in (word.partition("=") for word in text.split(",") if word)}
    except ValueError:
        parser.error(f"--actors {text!r}: expected NAME=NUMBER, ...")
    if not words.keys() <= known:
        parser.error(f"--actors {text!r}: expected of {', '.join(sorted(known))}")
    return Cast(**words)


def told(result: Result) -> str:
    """What is wrong with one history, and the whole of it, in the order in which things began."""
    wrong = "\n".join(f"  {violation}" for violation in result.violations)
    story = "\n".join(f"    {line}" for line in result.story)
    again = f"python -m tests.histories --schedules 1 --seed {result.seed}"
    return (
        f"seed {result.seed} (again: {again}):\n{wrong}\n  what was asked, and which generations came of it:\n{story}"
    )


def table(schedules: int, seed: int, broken: int, seconds: float, counts: Counter[str]) -> str:
    """The figures of a run."""
    rows = [
        ("schedules", f"{schedules:,} (seeds {seed} to {seed + schedules - 1})"),
        ("that break a promise", f"{broken:,}"),
        ("seconds", f"{seconds:,.0f} ({schedules / seconds:.1f} schedules a second)"),
        *((_NAMES.get(name, name), f"{counts[name]:,}") for name in _ROWS),
    ]
    kinds = sorted({name.rpartition(" ")[0] for name in counts if " " in name})
    lines = ["| what | how many |", "|---|---|", *(f"| {name} | {number} |" for name, number in rows), ""]
    lines += ["| operation | done | refused | failed | died |", "|---|---|---|---|---|"]
    for kind in kinds:
        numbers = (f"{counts[f'{kind} {told}']:,}" for told in ("done", "refused", "failed", "nothing"))
        lines.append(f"| {kind} | {' | '.join(numbers)} |")
    return "\n".join(lines)


_NAMES = {
    "looks": "looks of readers",
    "changes": "changes of stores",
    "steps": "scheduling points",
    "races": "lost races, after which somebody tried again",
    "crashes": "deaths of processes",
    "unknown": "writes whose answer was lost",
    "late": "of these, done later",
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
