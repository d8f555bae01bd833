"""``repod status`` and ``packages``: what is there. They change nothing."""

from collections.abc import Collection, Mapping
from pathlib import Path

import click

from repod.actions.looks import states
from repod.builds import Stream
from repod.commands.common import settings_option
from repod.config import load
from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.generation import Generation
from repod.history import History
from repod.options import json_option, repository_argument
from repod.package import Nevra
from repod.places import open_store
from repod.repodata import modules
from repod.repodata.listing import packages as listed_packages
from repod.repodata.listing import plain
from repod.show import show


@click.command()
@settings_option
@json_option
def status(config: Path, *, as_json: bool) -> None:
    """Show each repository: generation, packages, inbox, rejected."""
    shown = ("repository", "generation", "packages", "published", "inbox", "rejected", "url")
    rows = [{key: getattr(state, key) for key in shown} for state in states(load(config))]
    show(rows, as_json=as_json, empty="no repositories")


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
    streams = _streams(store, generation) if generation else {}
    rows = [
        {
            "package": str(item.nevra),
            "size": item.size,
            "sha256": item.pkgid,
            "path": item.href,
            "module": [":".join(stream) for stream in sorted(streams.get(item.nevra, ()))],
        }
        for item in listed
        if package in {"", item.nevra.name}
    ]
    show(rows, as_json=as_json, empty="no packages")


def _streams(store: Store, generation: Generation) -> Mapping[Nevra, Collection[Stream]]:
    """The module streams of each modular package; a document that is not sound names none, with a word about it."""
    document = generation.document(modules.TYPE)
    try:
        return modules.artifacts(plain(store, document)) if document else {}
    except (Corrupt, NotFound) as error:
        click.echo(f"repod: module streams are not shown: {error}", err=True)
        return {}
