"""``repod status`` and ``packages``: what is there. They change nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from repod.actions.looks import states
from repod.actions.papers import streams
from repod.commands.common import settings_option
from repod.config import Settings, load
from repod.errors import Corrupt, NotFound
from repod.history import History
from repod.office import Row
from repod.options import json_option, repository_argument, say
from repod.places import open_store
from repod.repodata.listing import packages as listed_packages
from repod.sheets import show_packages, show_states


@click.command()
@settings_option
@json_option
def status(config: Path, *, as_json: bool) -> None:
    """Show each repository: generation, packages, inbox, rejected."""
    show_states(states(load(config)), as_json=as_json)


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("package", metavar="[NAME]", default="")
def packages(config: Path, name: str, package: str, *, as_json: bool) -> None:
    """List the packages of REPO, or those called NAME."""
    settings = load(config)
    store = open_store(settings, settings.named(name))
    generation = History(store).current()
    listed = listed_packages(store, generation) if generation else iter(())
    rows = [
        Row(
            package=str(item.nevra),
            name=item.nevra.name,
            evr=item.nevra.evr,
            arch=item.nevra.arch,
            size=item.size,
            sha256=item.pkgid,
            path=item.href,
        )
        for item in listed
        if package in {"", item.nevra.name}
    ]
    show_packages(rows, _streams(settings, name), as_json=as_json)


def _streams(settings: Settings, name: str) -> Mapping[str, Sequence[str]]:
    """The module streams of modular packages; a document that is not sound names none, with a word about it."""
    try:
        return streams(settings, name)
    except (Corrupt, NotFound) as error:
        say(f"module streams are not shown: {error}")
        return {}
