"""``repod run``, ``once`` and ``check``: the work itself."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from repod import __version__
from repod.check import check_all
from repod.commands.common import json_option, looped, run_daemon, settings_option
from repod.config import load
from repod.errors import Misconfigured, Refused, RepodError, Unavailable
from repod.log import open_log
from repod.loop import Loop
from repod.metrics import Metrics
from repod.show import show


@click.command()
@settings_option
def run(config: Path) -> None:
    """Run the daemon."""
    run_daemon(config, load(config), lambda _url: None)


@click.command()
@settings_option
@json_option
def once(config: Path, *, as_json: bool) -> None:
    """Take in what the inboxes hold, publish, and exit (for cron and CI).

    Answers 3 where an arrival was rejected, 4 where one could not be taken in now.
    """
    settings = load(config)
    log = open_log(settings.log.format, settings.log.level)
    with contextlib.closing(looped(settings, log, Metrics(__version__))) as service:
        rows = [_drain(loop) for loop in service.loops]
    show(rows, as_json=as_json, empty="no repositories")
    if any(row["failed"] for row in rows):
        sys.exit(Unavailable.exit_code)
    if any(row["rejected"] for row in rows):
        sys.exit(Refused.exit_code)


def _drain(loop: Loop) -> dict[str, Any]:
    """Turns of one repository until nothing that is ready is left."""
    row: dict[str, Any] = {"repository": loop.name, "generation": None}
    row |= dict.fromkeys(("published", "duplicate", "rejected", "waiting", "failed"), 0)
    try:
        row["generation"] = loop.open().number
        more = True
        while more:
            report = loop.once()
            more = report.more
            for outcome in report.outcomes:
                row["published" if outcome.result == "accepted" else outcome.result] += 1
            row["waiting"] = sum(bool(arrival.waiting) for arrival in report.seen)
            row["generation"] = report.generation.number if report.generation else row["generation"]
    except RepodError as error:
        click.echo(f"repod: {loop.name}: {error}", err=True)
        row["failed"] += 1
    return row


@click.command()
@settings_option
@json_option
def check(config: Path, *, as_json: bool) -> None:
    """Check settings, keys, stores, inboxes and the clock: all faults at once."""
    findings = check_all(load(config), time.time(), os.environ)
    rows = [{"severity": f.severity, "where": f.where, "what": f.text} for f in findings]
    show(rows, as_json=as_json, empty="no faults")
    if any(row["severity"] == "fault" for row in rows):
        sys.exit(Misconfigured.exit_code)
