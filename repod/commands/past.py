"""``repod history``: what became of a repository, by whom and why. It changes nothing."""

from pathlib import Path

import click

from repod.actions.past import history as past
from repod.commands.common import settings_option
from repod.config import load
from repod.options import json_option, repository_argument
from repod.sheets import show_history


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--package", "package", metavar="NAME", default="", help="Only builds of that name.")
@click.option("--limit", metavar="N", default=20, show_default=True, help="How many generations, newest first; 0: all.")
def history(config: Path, name: str, package: str, limit: int, *, as_json: bool) -> None:
    """List the generations of REPO: when, by whom, why, what, and where that came from.

    With --package, those that added or removed builds of that name; builds that came before the
    oldest generation that is kept are listed too, as far as repod still knows them.
    """
    rows = past(load(config), name, package=package, limit=limit)
    show_history(rows, package, as_json=as_json)
