"""``repod rollback``: what a repository listed before, published again."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from repod.commands.common import json_option, person, repository_argument, settings_option, why_option
from repod.comparison import KINDS, Comparison, Content, compare
from repod.config import load
from repod.errors import NotFound
from repod.generation import Document, Generation
from repod.log import open_log
from repod.repodata.listing import entries, plain
from repod.repodata.strictreader import StrictDocuments
from repod.rollback import Plan, Rollback
from repod.show import show
from repod.store.local import LocalStore
from repod.wiring import pause
from repod.workplace import Workplace, open_workplace


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--to", "number", type=int, metavar="N", help="The generation to go back to.")
@why_option
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def rollback(config: Path, name: str, number: int | None, why: str, *, dry_run: bool, as_json: bool) -> None:
    """Publish what REPO listed at generation N again, as a new generation.

    Packages, groups, module streams and advisories become what they were. Without --to it is the
    generation before the last one, leaving out those that retention made and those that list
    what is listed now; where the last one is a rollback itself, say which.

    Answers 3, with every file that is missing, where prune has been there.
    """
    settings = load(config)
    log = open_log(settings.log.format, settings.log.level)
    with open_workplace(settings, name, log, os.environ) as work:
        back = _rollback(work)
        if dry_run:
            plan, generation = back.plan(number), None
        else:
            plan, generation = back.run(number, actor=person(os.environ), why=why)
    _answer(name, plan, generation, as_json=as_json)


def _rollback(work: Workplace) -> Rollback:
    return Rollback(
        store=work.store,
        documents=StrictDocuments(work.store),
        repodata=work.repodata,
        publisher=work.publisher,
        ledger=work.ledger,
        plain=partial(_plain, work.store),
        entries=partial(entries, work.store),
        describe=work.headers.entry,
        pause=pause,
    )


def _plain(store: LocalStore, document: Document, view: str) -> bytes:
    """The plain text; where the live view has lost the document, from the frozen one."""
    try:
        return plain(store, document)
    except NotFound:
        return plain(store, document, view)


def _answer(name: str, plan: Plan, generation: Generation | None, *, as_json: bool) -> None:
    change = compare(Content(packages=plan.before), Content(packages=plan.after))
    row = {
        "repository": name,
        "to": plan.to.number,
        "generation": generation.number if generation and plan else None,
        "documents": list(plan.documents),
        **summary(change),
    }
    if as_json:
        show([row], as_json=True, empty="")
        return
    if not plan:
        click.echo(f"generation {plan.on.number} of {name} lists what generation {plan.to.number} did: nothing to do")
        return
    show(table(change), as_json=False, empty="no package changes")
    if plan.documents:
        click.echo(f"documents as they were: {', '.join(plan.documents)}")
    if generation is None:
        click.echo(f"would publish what generation {plan.to.number} of {name} listed")
        return
    click.echo(f"generation {generation.number} of {name} lists again what generation {plan.to.number} did")
    click.echo("hosts follow it down and up with: dnf --refresh distro-sync")


def summary(change: Comparison) -> dict[str, Any]:
    """A comparison of packages, for a machine."""
    steps = {
        kind: [{"before": _nevra(step.before), "after": _nevra(step.after)} for step in change.of(kind)]
        for kind in KINDS
    }
    others = {"came": _nevras(change.came), "went": _nevras(change.went)}
    return steps | {"others": others}


def table(change: Comparison) -> list[dict[str, Any]]:
    """A comparison of packages, for a person: what hosts see of each name, then other builds."""
    rows = [{"change": s.kind, "before": _nevra(s.before), "after": _nevra(s.after)} for s in change.steps]
    rows += [{"change": "older build came", "before": "", "after": nevra} for nevra in _nevras(change.came)]
    rows += [{"change": "older build went", "before": nevra, "after": ""} for nevra in _nevras(change.went)]
    return rows


def _nevra(package: Any) -> str | None:
    return str(package.nevra) if package else None


def _nevras(packages: Sequence[Any]) -> list[str]:
    return [str(package.nevra) for package in packages]
