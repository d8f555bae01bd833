"""``repoctl hosts runs`` and ``show``: runs over hosts that were started on this machine."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from repod.client.commands.common import settings_of, settings_option
from repod.options import json_option, say
from repod.show import show as show_rows


@click.command()
@settings_option
@json_option
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", default=20, show_default=True, help="How many at the most."
)
def runs(config: Path | None, limit: int, *, as_json: bool) -> None:
    """List runs over hosts, newest first, as this machine keeps them.

    One that is killed or interrupted can be taken up again: repoctl hosts resume RUN.
    """
    show_rows(list(_rows(config, limit)), as_json=as_json, empty="no run was started on this machine")


@click.command()
@settings_option
@json_option
@click.argument("run", metavar="RUN")
def show(config: Path | None, run: str, *, as_json: bool) -> None:
    """Show a run: what became of each host."""
    from repod.client.commands.running import answer, folder  # noqa: PLC0415 - its parts take their time
    from repod.client.journal import read  # noqa: PLC0415
    from repod.client.live import summary  # noqa: PLC0415

    standing = read(folder(settings_of(config)), run)
    answer(standing, as_json=as_json)
    if not as_json:
        plan = standing.plan
        state = standing.end or "not ended"
        say(f"{plan.aim.action} {plan.asked} on {plan.group}, {state}: {summary(standing)}")


def _rows(config: Path | None, limit: int) -> Iterator[Mapping[str, Any]]:
    from repod.client.commands.running import folder  # noqa: PLC0415
    from repod.client.journal import at_work, names, read  # noqa: PLC0415
    from repod.errors import RepodError  # noqa: PLC0415
    from repod.times import stamp  # noqa: PLC0415

    place = folder(settings_of(config))
    for name in names(place)[:limit]:
        try:
            standing = read(place, name)
        except RepodError as error:
            say(str(error))
            continue
        rows = standing.rows
        running = standing.end is None and at_work(place, standing.plan.groups)
        yield {
            "run": name,
            "group": standing.plan.group,
            "what": f"{standing.plan.aim.action} {standing.plan.asked}",
            "state": standing.end or ("running" if running else "killed"),
            "hosts": len(rows),
            "proven": sum(row.state == "proven" for row in rows),
            "failed": len(standing.failed),
            "started": stamp(standing.plan.started),
            "ended": stamp(standing.ended) if standing.ended else "",
        }
