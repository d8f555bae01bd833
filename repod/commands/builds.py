"""``repod remove``, ``pin``, ``unpin``, ``label`` and ``unlabel``: single builds, by hand."""

from collections.abc import Sequence
from pathlib import Path

import click

from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.options import json_option, label_argument, nevras_argument, repository_argument, warn, why_option
from repod.sheets import show_removal
from repod.show import show


@click.command()
@settings_option
@json_option
@repository_argument
@nevras_argument
@why_option
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
def remove(config: Path, name: str, nevras: Sequence[str], why: str, *, dry_run: bool, as_json: bool) -> None:
    """Take builds out of the metadata of REPO: all of them, or none.

    A NEVRA may be a shell pattern, such as 'hello-1.0-*'. The files stay until prune, for hosts
    that still ask for them. Hosts that have the newest build keep it: what to do there is told.
    Answers 1 where a NEVRA is no build of REPO, 3 where a build is pinned or a ring names it.
    """
    deed = deeds(load(config)).remove(name, nevras, by(why), dry_run=dry_run)
    show_removal(deed, as_json=as_json)
    warn(deed.warnings)


@click.command()
@settings_option
@json_option
@repository_argument
@nevras_argument
@why_option
def pin(config: Path, name: str, nevras: Sequence[str], why: str, *, as_json: bool) -> None:
    """Never let retention take builds of REPO that are listed now. A NEVRA may be a shell pattern."""
    show(deeds(load(config)).mark(name, nevras, by(why)).rows, as_json=as_json, empty="")


@click.command()
@settings_option
@json_option
@repository_argument
@nevras_argument
def unpin(config: Path, name: str, nevras: Sequence[str], *, as_json: bool) -> None:
    """Let retention decide on builds of REPO again. A NEVRA may be a shell pattern."""
    show(deeds(load(config)).mark(name, nevras, by(), off=True).rows, as_json=as_json, empty="")


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("nevra", metavar="NEVRA")
@label_argument
@why_option
def label(config: Path, name: str, nevra: str, text: str, why: str, *, as_json: bool) -> None:
    """Put LABEL on a build of REPO that is listed now, such as what a test of it said."""
    show(deeds(load(config)).mark(name, [nevra], by(why), label=text).rows, as_json=as_json, empty="")


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("nevra", metavar="NEVRA")
@label_argument
def unlabel(config: Path, name: str, nevra: str, text: str, *, as_json: bool) -> None:
    """Take LABEL off a build of REPO."""
    show(deeds(load(config)).mark(name, [nevra], by(), label=text, off=True).rows, as_json=as_json, empty="")
