"""``repod remove``, ``pin``, ``unpin``, ``label`` and ``unlabel``: single builds, by hand."""

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from repod.commands.common import json_option, person, repository_argument, settings_option, why_option
from repod.comparison import Step
from repod.config import Settings, load
from repod.history import History
from repod.ledger import Build, Ledger, Mark
from repod.log import open_log
from repod.package import Package
from repod.places import open_store
from repod.remove import Plan, Removing
from repod.repodata.listing import packages as listed_packages
from repod.selection import select
from repod.show import show
from repod.wiring import pause
from repod.workplace import open_workplace

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _nevras_argument(command: _Command) -> _Command:
    return click.argument("nevras", metavar="NEVRA...", nargs=-1, required=True)(command)


@click.command()
@settings_option
@json_option
@repository_argument
@_nevras_argument
@why_option
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
def remove(config: Path, name: str, nevras: Sequence[str], why: str, *, dry_run: bool, as_json: bool) -> None:
    """Take builds out of the metadata of REPO: all of them, or none.

    A NEVRA may be a shell pattern, such as 'hello-1.0-*'. The files stay until prune, for hosts
    that still ask for them. Hosts that have the newest build keep it: what to do there is told.
    Answers 1 where a NEVRA is no build of REPO, 3 where a build is pinned.
    """
    settings = load(config)
    log = open_log(settings.log.format, settings.log.level)
    with open_workplace(settings, name, log, os.environ) as work:
        removing = Removing(
            repository=name, repodata=work.repodata, publisher=work.publisher, ledger=work.ledger, pause=pause
        )
        if dry_run:
            plan, generation = removing.plan(nevras), None
        else:
            plan, generation = removing.run(nevras, actor=person(os.environ), why=why)
    _answer(plan, generation.number if generation else None, as_json=as_json)


def _answer(plan: Plan, generation: int | None, *, as_json: bool) -> None:
    told = {step.before: step for step in plan.seen}
    rows = []
    for package in plan.gone:
        step = told.get(package)
        rows.append(
            {
                "package": str(package.nevra),
                "result": "removed" if generation else "would be removed",
                "generation": generation,
                "next": str(step.after.nevra) if step and step.after else None,
                "warning": _warning(step) if step else None,
            }
        )
    # A warning has its own line for a person; a table would fold it.
    shown = rows if as_json else [{key: row[key] for key in ("package", "result", "generation")} for row in rows]
    show(shown, as_json=as_json, empty="")
    for row in rows:
        if row["warning"]:
            click.echo(f"repod: warning: {row['warning']}", err=True)


def _warning(step: Step) -> str:
    before = step.before.nevra if step.before else None
    name = before.name if before else ""
    if step.after is None:
        return f"{before} was the last build of {name}: hosts keep it; on each: dnf remove {name}"
    return (
        f"{before} was the newest build, the next is {step.after.nevra}: "
        f"hosts do not go down by themselves; on each: dnf --refresh distro-sync {name}"
    )


@click.command()
@settings_option
@json_option
@repository_argument
@_nevras_argument
@why_option
def pin(config: Path, name: str, nevras: Sequence[str], why: str, *, as_json: bool) -> None:
    """Never let retention take builds of REPO that are listed now. A NEVRA may be a shell pattern."""
    _Desk(load(config), name).mark(nevras, "pinned", Ledger.pin, why, as_json=as_json)


@click.command()
@settings_option
@json_option
@repository_argument
@_nevras_argument
def unpin(config: Path, name: str, nevras: Sequence[str], *, as_json: bool) -> None:
    """Let retention decide on builds of REPO again. A NEVRA may be a shell pattern."""
    _Desk(load(config), name).unmark(nevras, ("unpinned", "was not pinned"), Ledger.unpin, as_json=as_json)


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("nevra", metavar="NEVRA")
@click.argument("text", metavar="LABEL")
@why_option
def label(config: Path, name: str, nevra: str, text: str, why: str, *, as_json: bool) -> None:
    """Put LABEL on a build of REPO that is listed now, such as what a test of it said."""
    if not _LABEL.fullmatch(text):
        msg = f"LABEL: expected letters, digits, '_', '.' and '-', a letter or digit first; found {text!r}"
        raise click.UsageError(msg)
    desk = _Desk(load(config), name)
    desk.mark(
        [nevra], f"labelled {text}", lambda book, build, mark: book.label(build, text, mark), why, as_json=as_json
    )


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("nevra", metavar="NEVRA")
@click.argument("text", metavar="LABEL")
def unlabel(config: Path, name: str, nevra: str, text: str, *, as_json: bool) -> None:
    """Take LABEL off a build of REPO."""
    words = (f"{text} taken off", f"had no label {text}")
    _Desk(load(config), name).unmark([nevra], words, lambda book, build: book.unlabel(build, text), as_json=as_json)


class _Desk:
    """Marks on the builds of one repository. No key is needed for them, nor the documents' cache."""

    def __init__(self, settings: Settings, name: str) -> None:
        store = open_store(settings, settings.named(name))
        self._name = name
        self._ledger = Ledger(store, pause)
        generation = History(store).current()
        self._listed = list(listed_packages(store, generation)) if generation else []

    def mark(
        self,
        nevras: Sequence[str],
        done: str,
        act: Callable[[Ledger, Package, Mark], None],
        why: str,
        *,
        as_json: bool,
    ) -> None:
        """Set a mark on builds that are listed now."""
        mark = Mark(time=time.time(), actor=person(os.environ), why=why)
        builds = select(self._listed, nevras, self._name)
        for build in builds:
            act(self._ledger, build, mark)
        show([{"package": str(build.nevra), "result": done} for build in builds], as_json=as_json, empty="")

    def unmark(
        self,
        nevras: Sequence[str],
        words: tuple[str, str],
        act: Callable[[Ledger, Build], bool],
        *,
        as_json: bool,
    ) -> None:
        """Take a mark off builds, listed or not; ``words``: what is said where it was there, and where not."""
        listed = {build.pkgid for build in self._listed}
        marked = [known for known in self._ledger.all().values() if (known.pin or known.labels)]
        others = [known for known in marked if known.pkgid not in listed]
        known: list[Build] = [*self._listed, *others]
        builds = select(known, nevras, self._name)
        rows = [{"package": str(b.nevra), "result": words[0] if act(self._ledger, b) else words[1]} for b in builds]
        show(rows, as_json=as_json, empty="")
