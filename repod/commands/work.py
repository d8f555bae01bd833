"""``repod once`` and ``prune``: the work of the daemon without it."""

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from repod.commands.common import json_option, looped, repository_argument, settings_option
from repod.config import load
from repod.errors import Refused, RepodError, Unavailable
from repod.log import open_log
from repod.loop import Loop
from repod.show import show
from repod.wiring import open_pruner, open_store

if TYPE_CHECKING:
    from repod.metrics import Metrics


class _Unread:
    """Metrics that nobody will ask for: it takes everything and costs no import of a library."""

    def __getattr__(self, _name: str) -> "_Unread":
        return self

    def __call__(self, *_: object) -> "_Unread":
        return self


@click.command()
@settings_option
@json_option
def once(config: Path, *, as_json: bool) -> None:
    """Take in what the inboxes hold, publish, and exit (for cron and CI).

    Answers 3 where an arrival was rejected, 4 where one could not be taken in now.
    """
    settings = load(config)
    log = open_log(settings.log.format, settings.log.level)
    # Nobody waits for what comes in later, so nothing is watched.
    settings = settings.model_copy(update={"inbox": settings.inbox.model_copy(update={"watch": "poll"})})
    with contextlib.closing(looped(settings, log, cast("Metrics", _Unread()))) as service:
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
        loop.prune()
    except RepodError as error:
        click.echo(f"repod: {loop.name}: {error}", err=True)
        row["failed"] += 1
    return row


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
def prune(config: Path, name: str, *, dry_run: bool, as_json: bool) -> None:
    """Remove generations of REPO that retention lets go, and their documents."""
    repository = load(config).named(name)
    pruner = open_pruner(repository, open_store(repository))
    removals = pruner.plan(time.time()) if dry_run else pruner.prune(time.time())
    rows = [{"path": removal.path, "bytes": removal.size, "why": removal.why} for removal in removals]
    show(rows, as_json=as_json, empty="nothing to remove")
