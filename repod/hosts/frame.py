"""What the commands of hosts have in common: exit statuses, how faults, findings and written files are told."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from repod.hosts.faults import Fault
from repod.hosts.finding import Finding
from repod.hosts.install import Written

DONE, FAILED, WRONG_USE, REFUSED, UNAVAILABLE = 0, 1, 2, 3, 4


def carried_out(
    parser: argparse.ArgumentParser,
    words: Sequence[str] | None,
    statuses: Mapping[type[Fault], int],
    *,
    interrupted: int,
) -> int:
    """Run the command that ``words`` name; the exit status: of a fault, that of the first class it belongs to."""
    options = parser.parse_args(words)
    try:
        return int(options.run(options))
    except Fault as fault:
        print(f"{parser.prog}: {fault}", file=sys.stderr)
        return next(status for kind, status in statuses.items() if isinstance(fault, kind))
    except KeyboardInterrupt:
        return interrupted


def show_findings(found: Iterable[Finding], *, as_json: bool) -> int:
    """Tell each as soon as it is found; the exit status says whether all is well."""
    kept = []
    for one in found:
        kept.append(one)
        if not as_json:
            print(f"{'ok  ' if one.well else 'FAIL'}  {one.what}: {one.found}")
    well = all(one.well for one in kept)
    if as_json:
        print(json.dumps({"well": well, "findings": [asdict(one) for one in kept]}, indent=1))
    return DONE if well else FAILED


def show_written(files: Iterable[Written], then: str, *, as_json: bool) -> None:
    """Tell each file as it is put in place, and at the end what to do next."""
    done = []
    for written in files:
        done.append({"path": str(written.path), "what": written.what})
        if not as_json:
            print(f"{written.what:<9}  {written.path}")
    if as_json:
        print(json.dumps({"files": done}, indent=1))
    elif then:
        print(f"then: {then}")
