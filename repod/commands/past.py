"""``repod history``: what became of a repository, by whom and why. It changes nothing."""

from collections.abc import Sequence
from pathlib import Path

import click

from repod.actions.past import Row
from repod.actions.past import history as past
from repod.commands.common import settings_option
from repod.config import load
from repod.options import json_option, repository_argument
from repod.package import Origin
from repod.show import show

_SHOWN = 20
"""Builds that a person is shown of one generation; a machine gets all."""


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--package", "package", metavar="NAME", default="", help="Only builds of that name.")
@click.option("--limit", default=20, show_default=True, help="How many generations, newest first; 0: all.")
def history(config: Path, name: str, package: str, limit: int, *, as_json: bool) -> None:
    """List the generations of REPO: when, by whom, why, what, and where that came from.

    With --package, those that added or removed builds of that name; builds that came before the
    oldest generation that is kept are listed too, as far as repod still knows them.
    """
    rows = past(load(config), name, package=package, limit=limit)
    show(rows if as_json else list(map(_brief, rows)), as_json=as_json, empty=_empty(package))


def _empty(package: str) -> str:
    return f"nothing is known of {package}" if package else "nothing published yet"


def _brief(row: Row) -> Row:
    """A row for a person: long lists cut, origins in words."""
    sources = [_source(Origin(**origin)) or "-" for origin in row["from"]]
    return row | {
        "added": _cut(row["added"]),
        "from": _cut(sources) if any(source != "-" for source in sources) else None,
        "removed": _cut(row["removed"] or ()),
    }


def _source(origin: Origin) -> str:
    """Where a build came from, in a word or two; empty where that is unknown."""
    words = {"rollback": f"generation {origin.of}", "unknown": ""}
    return words.get(origin.how, origin.of)


def _cut(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _SHOWN
    return [*texts[:_SHOWN], f"and {more} more"] if more > 1 else list(texts)
