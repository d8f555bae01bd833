"""``repoctl remove``, ``pin``, ``unpin``, ``label`` and ``unlabel``: single builds, by hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repod.client.commands.common import asked, repository_argument, settings_option, watched
from repod.errors import NotFound
from repod.options import json_option, label_argument, leave, nevras_argument, warn, why_option
from repod.package import Nevra
from repod.sheets import show_removal
from repod.show import show

if TYPE_CHECKING:
    from repod.client.api import Api


@click.command()
@settings_option
@json_option
@repository_argument
@nevras_argument
@why_option
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
def remove(config: Path | None, name: str, nevras: Sequence[str], why: str, *, dry_run: bool, as_json: bool) -> None:
    """Take builds out of the metadata of REPO: all of them, or none.

    A NEVRA may be a shell pattern, such as 'hello-1.0-*'. The files stay until prune, for hosts
    that still ask for them. Hosts that have the newest build keep it: what to do there is told.
    Answers 1 where a NEVRA is no build of REPO, 3 where a build is pinned or a ring names it.
    """
    with asked(config) as api, watched("removing") as tell:
        deed = api.remove(name, nevras, dry_run=dry_run, why=why, tell=tell)
    show_removal(deed, as_json=as_json)
    warn(deed.warnings)
    leave(deed)


@click.command()
@settings_option
@json_option
@repository_argument
@nevras_argument
@why_option
def pin(config: Path | None, name: str, nevras: Sequence[str], why: str, *, as_json: bool) -> None:
    """Never let retention take builds of REPO that are listed now. A NEVRA may be a shell pattern."""
    _mark(config, name, nevras, as_json=as_json, why=why)


@click.command()
@settings_option
@json_option
@repository_argument
@nevras_argument
def unpin(config: Path | None, name: str, nevras: Sequence[str], *, as_json: bool) -> None:
    """Let retention decide on builds of REPO again. A NEVRA may be a shell pattern over what is listed now."""
    _mark(config, name, nevras, as_json=as_json, off=True)


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("nevra", metavar="NEVRA")
@label_argument
@why_option
def label(config: Path | None, name: str, nevra: str, text: str, why: str, *, as_json: bool) -> None:
    """Put LABEL on a build of REPO that is listed now, such as what a test of it said."""
    _mark(config, name, [nevra], as_json=as_json, label=text, why=why)


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("nevra", metavar="NEVRA")
@label_argument
def unlabel(config: Path | None, name: str, nevra: str, text: str, *, as_json: bool) -> None:
    """Take LABEL off a build of REPO."""
    _mark(config, name, [nevra], as_json=as_json, label=text, off=True)


def _mark(config: Path | None, name: str, words: Sequence[str], *, as_json: bool, **how: Any) -> None:
    with asked(config) as api:
        meant = dict.fromkeys(nevra for word in words for nevra in _meant(api, name, word))
        rows = [row for nevra in meant for row in api.mark(name, nevra, **how).rows]
    show(rows, as_json=as_json, empty="")


def _meant(api: "Api", name: str, word: str) -> Iterator[str]:
    """The NEVRAs that a word means: itself, or those that are listed and fit the pattern."""
    try:
        yield str(Nevra.parse(word))
    except ValueError:
        found = api.packages(name, nevra=word)
        if not found:
            msg = f"no build of {name} is {word!r}; see: repoctl packages {name}"
            raise NotFound(msg) from None
        yield from (row.package for row in found)
