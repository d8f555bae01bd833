"""``repod once`` and ``prune``: the work of the daemon without it."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from repod.commands.common import json_option, looped, repository_argument, settings_option
from repod.config import load
from repod.errors import Conflict, Refused, RepodError, Unavailable
from repod.log import open_log
from repod.loop import Loop
from repod.places import open_store
from repod.removal import Removal
from repod.retaining import open_planner, open_pruner
from repod.retention import Verdict
from repod.show import show
from repod.wiring import pause
from repod.workplace import open_workplace

if TYPE_CHECKING:
    from repod.metrics import Metrics


class _Unread:
    """Metrics that nobody will ask for: it takes everything and costs no import of a library."""

    def __getattr__(self, _name: str) -> "_Unread":
        return self

    def __call__(self, *_: object, **__: object) -> "_Unread":
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
        # When all have taken in what they got: what one of them lists may be needed in another.
        for loop, row in zip(service.loops, rows, strict=True):
            _prune(loop, row)
            loop.follow()
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


def _prune(loop: Loop, row: dict[str, Any]) -> None:
    try:
        generation = loop.prune()
        row["generation"] = generation.number if generation else row["generation"]
    except RepodError as error:
        click.echo(f"repod: {loop.name}: not pruned: {error}", err=True)
        row["failed"] = row["failed"] or 1  # what stopped the one stops the other, and is one failure


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
def prune(config: Path, name: str, *, dry_run: bool, as_json: bool) -> None:
    """Let go of what retention does not keep of REPO, with the reasons.

    Builds leave the metadata at once; files that no kept generation lists leave the store. A dry run
    changes nothing and needs no key.
    """
    settings = load(config)
    if dry_run:
        repository = settings.named(name)
        store = open_store(settings, repository)
        with tempfile.TemporaryDirectory() as folder:
            plan = open_planner(settings, repository, store, Path(folder), pause).plan(time.time())
        show(_rows(plan.retire, plan.removals, plan.notes), as_json=as_json, empty="nothing to remove")
        return
    log = open_log(settings.log.format, settings.log.level)
    with open_workplace(settings, name, log, os.environ) as place:
        planner = open_planner(settings, place.repository, place.store, place.workspace, pause)
        pruned = open_pruner(planner, place.store, place.publisher, pause).prune(time.time())
    rows = _rows(pruned.retired, pruned.removed, [*pruned.plan.notes, *pruned.left])
    show(rows, as_json=as_json, empty="nothing to remove")
    if pruned.error:
        raise pruned.error
    if pruned.plan.retire and not pruned.generation:
        sys.exit(Conflict.exit_code)


def _rows(retired: Sequence[Verdict], removals: Sequence[Removal], notes: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each build that leaves the metadata, each file that leaves the store, and each note."""
    builds = [
        {"what": "build", "name": str(one.build.nevra), "bytes": one.build.package.size, "why": list(one.why)}
        for one in retired
    ]
    files = [{"what": "file", "name": one.path, "bytes": one.size, "why": [one.why]} for one in removals]
    return [*builds, *files, *({"what": "note", "name": "", "bytes": 0, "why": [note]} for note in notes)]
