"""``repoctl status``, ``packages`` and ``rejected``: what is there. They change nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repod.client.commands.common import asked, repository_argument, settings_option
from repod.errors import RepodError
from repod.office import Refusal
from repod.options import json_option, say
from repod.sheets import show_packages, show_states
from repod.show import card, show
from repod.wording import steerless

if TYPE_CHECKING:
    from repod.client.api import Api


@click.command()
@settings_option
@json_option
def status(config: Path | None, *, as_json: bool) -> None:
    """Show each repository: generation, packages, inbox, rejected."""
    with asked(config) as api:
        show_states(api.states(), as_json=as_json)


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("package", metavar="[NAME]", default="")
def packages(config: Path | None, name: str, package: str, *, as_json: bool) -> None:
    """List the packages of REPO, or those called NAME."""
    with asked(config) as api:
        show_packages(api.packages(name, name=package), _streams(api, name), as_json=as_json)


def _streams(api: "Api", name: str) -> Mapping[str, Sequence[str]]:
    """The module streams of modular packages; a document that is not sound names none, with a word about it."""
    try:
        return api.modules(name)
    except RepodError as error:
        say(f"module streams are not shown: {error}")
        return {}


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--limit", metavar="N", default=20, show_default=True, help="How many, newest first; 0: all.")
def rejected(config: Path | None, name: str, limit: int, *, as_json: bool) -> None:
    """List the arrivals that REPO refused, newest first: each with every reason, and what to do."""
    with asked(config) as api:
        found = api.rejected(name, limit=limit)
    if as_json or not found:
        rows = [{key: getattr(one, key) for key in Refusal.__slots__} for one in found]
        show(rows, as_json=as_json, empty="nothing was rejected")
        return
    for number, one in enumerate(found):
        click.echo(("\n" if number else "") + steerless(one.file))
        card(_told(one))


def _told(one: Refusal) -> dict[str, Any]:
    """A refused arrival for a person."""
    reasons = [line for fault in one.faults for line in _reason(fault.get("text", ""), fault.get("remedy", ""))]
    return {"rejected": one.time, "why": reasons or "no reason is known", "sha256": one.sha256, "lies at": one.place}


def _reason(text: str, remedy: str) -> list[str]:
    return [text, *([f"  {remedy}"] if remedy else [])]
