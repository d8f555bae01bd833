"""``repod once`` and ``prune``: the work of the daemon without it."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from repod.actions.prune import plan
from repod.commands.common import by, deeds, looped, means, settings_option
from repod.config import load
from repod.errors import Refused, RepodError, Unavailable
from repod.holdings import silent
from repod.log import open_log
from repod.loop import Loop
from repod.options import json_option, leave, repository_argument, say
from repod.show import show

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
        show(plan(means(settings), name), as_json=as_json, empty="nothing to remove")
        return
    deed = deeds(settings).prune(name, by(), silent)
    show(deed.rows, as_json=as_json, empty="nothing to remove")
    if deed.stopped:
        say(deed.stopped)
    leave(deed)
