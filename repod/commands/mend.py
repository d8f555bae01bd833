"""``repod verify`` and ``repod rebuild``: prove a repository, mend it, make its documents anew."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from repod.care import Care, open_care
from repod.commands.common import json_option, repository_argument, settings_option
from repod.config import load
from repod.errors import RepodError
from repod.finding import FAULT, Finding
from repod.holdings import Tell, silent
from repod.show import show

_SOUND = "sound: everything it lists is there, unaltered and signed"


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--repair", is_flag=True, help="Mend what can be mended without inventing.")
def verify(config: Path, name: str, *, repair: bool, as_json: bool) -> None:
    """Prove that REPO holds what it shows: views, documents, records and every package.

    Answers 1 where a fault is left. Reads everything; may run beside the daemon.
    """
    with _progress() as tell, open_care(load(config), name, os.environ, tell) as care:
        findings = list(_mended(care) if repair else care.audit.verify())
    _answer(findings, as_json=as_json, empty=_SOUND)


def _mended(care: Care) -> Iterator[Finding]:
    """The repairs, and what is left after them."""
    done = list(care.repair.mend(list(care.audit.structure())))
    yield from done
    told = {finding.path for finding in done if finding.severity == FAULT}
    yield from (finding for finding in care.audit.verify() if finding.path not in told)


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
    with _progress() as tell, open_care(load(config), name, os.environ, tell) as care:
        done = care.rebuild.run(drop=drop_missing)
        care.write_host_files()
    number = done.generation.number
    text = f"{done.packages} packages, {done.read} bytes of them read"
    last = Finding(severity="done", path=done.generation.view, text=f"generation {number} is current: {text}", what="")
    _answer([*done.findings, last], as_json=as_json, empty="")


def _answer(findings: Iterable[Finding], *, as_json: bool, empty: str) -> None:
    rows: list[dict[str, Any]] = [{"severity": f.severity, "path": f.path, "what": f.text} for f in findings]
    show(rows, as_json=as_json, empty=empty)
    if any(row["severity"] == FAULT for row in rows):
        sys.exit(RepodError.exit_code)


@contextlib.contextmanager
def _progress() -> Iterator[Tell]:
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
