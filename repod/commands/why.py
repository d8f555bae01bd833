"""``repod why``: all that is known of one build. It changes nothing, and needs no key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from repod.actions.looks import builds
from repod.commands.common import means, settings_option
from repod.config import load
from repod.options import json_option, repository_argument, say
from repod.show import card, show


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("word", metavar="NEVRA")
def why(config: Path, name: str, word: str, *, as_json: bool) -> None:
    """Show all that is known of one build of REPO: where it came from, who signed it, where it is listed.

    A build that is not listed any more is shown as far as repod still knows it. Answers 1 where it
    never heard of it.
    """
    rows = builds(means(load(config)), name, word, say)
    if as_json:
        show(rows, as_json=True, empty="")
        return
    for number, row in enumerate(rows):
        click.echo(("\n" if number else "") + row["package"])
        card(_lines(row))


def _lines(row: dict[str, Any]) -> dict[str, Any]:
    """The story for a person."""
    return {
        "listed": _listed(row),
        "came": [line for coming in row["came"] for line in _came(coming)] or "not known any more",
        "signed": [f"{one['time']} by {one['key']}" for one in row["signed"]],
        "sha256": row["sha256"],
        "size": f"{decimal(row['size'])} ({row['size']} bytes)" if row["size"] is not None else None,
        "path": _path(row),
        "generations": _ranges(row["generations"]),
        "elsewhere": [f"{name}: {text}" for name, text in row["elsewhere"].items()],
        "labels": [f"{label} ({_marked(mark)})" for label, mark in row["labels"].items()],
        "pinned": _marked(row["pin"]) if row["pin"] else None,
        "module": row["module"],
        "advisories": row["advisories"],
        "retention": _fate(row["retention"]),
    }


def _fate(fate: dict[str, Any] | None) -> list[str]:
    if fate is None:
        return []
    word = "kept" if fate["kept"] else "goes"
    return [f"{word}: {why}" for why in fate["why"]]


def _listed(row: dict[str, Any]) -> str:
    if row["listed"]:
        since = row["since"]
        return f"since {_said(since)}" if since else "yes, from before the oldest generation that is kept"
    return f"no, it went with {_said(row['went'])}" if row["went"] else "no"


def _said(change: dict[str, Any]) -> str:
    why = f": {change['why']}" if change["why"] else ""
    return f"generation {change['generation']}, {change['time']}, by {change['actor']}{why}"


_WAYS = {
    "arrival": "uploaded as {}",
    "promotion": "promoted from {}",
    "adoption": "taken over from {}",
    "rollback": "it was listed in generation {} already",
    "resigning": "signed anew, {}",
}


def _came(coming: dict[str, Any]) -> list[str]:
    source = _WAYS.get(coming["how"], "from where is not known").format(coming["of"])
    checksum = f", sha256 {coming['checksum']}" if coming["checksum"] else ""
    return [f"{coming['repository']} {_said(coming)}", f"  {source}{checksum}"]


def _path(row: dict[str, Any]) -> str | None:
    return f"{row['path']}{'' if row['stored'] else ', which is not there'}" if row["path"] else None


def _ranges(runs: Sequence[Sequence[int]]) -> str:
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in reversed(runs))


def _marked(mark: dict[str, str]) -> str:
    return f"{mark['actor']}, {mark['time']}" + (f": {mark['why']}" if mark["why"] else "")
