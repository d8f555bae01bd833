"""``repoctl events``: what happens, as it happens."""

import contextlib
import json
from pathlib import Path

import click

from repod.client.commands.common import asked, settings_option
from repod.client.commands.suggest import repositories
from repod.options import json_option


@click.command()
@settings_option
@json_option
@click.argument("name", metavar="[REPO]", default="", shell_complete=repositories)
@click.option("--after", metavar="ID", default="", help="Begin with what followed the event of that id, if it is kept.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N events; else it goes on.")
def events(config: Path | None, name: str, after: str, count: int | None, *, as_json: bool) -> None:
    """Follow what happens in REPO, or in every repository: generations, refused arrivals, rollouts.

    With --json each line is a CloudEvent. Where the connection is lost it is made again, and what was missed
    comes first. Ctrl-C ends it.
    """
    from repod.client.hearing import hear, told  # noqa: PLC0415 - only who listens waits for HTTP

    with asked(config) as api, contextlib.suppress(KeyboardInterrupt):
        for number, event in enumerate(hear(api, name, after), start=1):
            click.echo(json.dumps(event) if as_json else told(event))
            if number == count:
                break
