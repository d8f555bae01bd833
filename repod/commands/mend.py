"""``repod verify`` and ``repod rebuild``: prove a repository, mend it, make its documents anew."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.holdings import silent
from repod.office import Far
from repod.options import json_option, leave, repository_argument
from repod.sheets import SOUND
from repod.show import show


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--repair", is_flag=True, help="Mend what can be mended without inventing.")
def verify(config: Path, name: str, *, repair: bool, as_json: bool) -> None:
    """Prove that REPO holds what it shows: views, documents, records and every package.

    Answers 1 where a fault is left. Reads everything; may run beside the daemon.
    """
    with _progress() as tell:
        deed = deeds(load(config)).verify(name, by(), tell, repair=repair)
    show(deed.rows, as_json=as_json, empty=SOUND)
    leave(deed)


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--drop-missing", is_flag=True, help="Leave out packages that are listed and whose files are missing.")
def rebuild(config: Path, name: str, *, drop_missing: bool, as_json: bool) -> None:
    """Make the documents of REPO anew from its packages.

    Where they come out as they were, what is missing or altered is put back. Else a new generation
    is published. Of packages that a document or the records know, only headers are read.
    """
    with _progress() as tell:
        deed = deeds(load(config)).rebuild(name, by(), tell, drop_missing=drop_missing)
    show(deed.rows, as_json=as_json, empty="")
    leave(deed)


@contextlib.contextmanager
def _progress() -> Iterator[Far]:
    """How far it is, on a terminal; nothing elsewhere. It stands on standard error, beside the answer."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield tell
