"""``repoctl keys`` and ``audit``: what belongs to no single repository."""

from pathlib import Path

import click

from repod.client.commands.common import asked, settings_option
from repod.options import json_option
from repod.sheets import show_keys
from repod.show import show


@click.group()
def keys() -> None:
    """Keys that hosts get."""


@keys.command("list")
@settings_option
@json_option
def list_(config: Path | None, *, as_json: bool) -> None:
    """Show every key that hosts get: what it is for, its end, and what is signed by it where."""
    with asked(config) as api:
        show_keys(api.keys(), as_json=as_json)


@click.group()
def audit() -> None:
    """The audit log of the daemon."""


@audit.command()
@settings_option
@json_option
def head(config: Path | None, *, as_json: bool) -> None:
    """Show the last record as N:HASH. Keep it elsewhere: repod audit verify --head tells whether it still is one."""
    with asked(config) as api:
        found = api.audit_head()
    if as_json:
        show([{key: found[key] for key in ("n", "hash")}], as_json=True, empty="")
    else:
        click.echo(found["head"])
