"""``repod init``: a first repository."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from repod.config import Settings, load
from repod.signing.create import create_key
from repod.start import write_key, write_settings

listen_option = click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8470",
    show_default=True,
    help="Where the HTTP listener is, in new settings.",
)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", metavar="REPO", default="apps", show_default=True, help="Name of the first repository.")
@listen_option
def init(folder: Path, name: str, listen: str) -> None:
    """Write a commented repod.toml, a key and folders into DIR."""
    path = make(folder, name, listen)
    click.echo(f"wrote {path}\nnext: repod check -c {path} && repod run -c {path}")


def make(folder: Path, name: str, listen: str, refuse: Callable[[Settings], object] = lambda _settings: None) -> Path:
    """Write settings, folders and a key; the path of the settings. Where ``refuse`` raises, there is neither."""
    path = write_settings(folder, name, listen)
    try:
        refuse(load(path))
        write_key(folder, create_key(f"repod {name} <repod@localhost>", environ=os.environ).secret)
    except BaseException:
        path.unlink()  # a second try must not find a half-made folder
        raise
    return path
