"""``repod rollback`` and ``diff``: what a repository listed before, published again or compared."""

import os
from functools import partial
from pathlib import Path

import click

from repod.commands.changes import carried_sums, content, read_carried, summary, table
from repod.commands.common import json_option, person, repository_argument, settings_option, why_option
from repod.comparison import Content, compare
from repod.config import Settings, load
from repod.errors import Corrupt, NotFound
from repod.generation import Generation
from repod.log import open_log
from repod.places import open_store
from repod.records import contents, read_records
from repod.repodata.listing import entries
from repod.repodata.strictreader import StrictDocuments
from repod.rollback import Plan, Rollback
from repod.show import show
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
        plain=partial(read_carried, work.store),
        entries=partial(entries, work.store),
        describe=work.headers.entry,
        pause=pause,
    )


def _answer(name: str, plan: Plan, generation: Generation | None, *, as_json: bool) -> None:
    change = compare(
        Content(packages=plan.before, documents=carried_sums(plan.on)),
        Content(packages=plan.after, documents=carried_sums(plan.to)),
    )
    if as_json:
        number = generation.number if generation and plan else None
        row = {"repository": name, "to": plan.to.number, "generation": number, "pinned": list(map(str, plan.pinned))}
        show([row | summary(change)], as_json=True, empty="")
    elif not plan:
        click.echo(f"generation {plan.on.number} of {name} lists what generation {plan.to.number} did: nothing to do")
    else:
        show(table(change), as_json=False, empty="hosts see no difference")
        if generation is None:
            click.echo(f"would publish what generation {plan.to.number} of {name} listed")
        else:
            click.echo(f"generation {generation.number} of {name} lists again what generation {plan.to.number} did")
            click.echo("hosts follow it, down and up, with: dnf --refresh distro-sync")
    for nevra in plan.pinned:
        click.echo(f"repod: warning: {nevra} is pinned and is not listed at generation {plan.to.number}", err=True)


@click.command()
@settings_option
@json_option
@click.argument("first", metavar="REPO")
@click.argument("second", metavar="OTHER|N")
@click.argument("third", metavar="[M]", required=False)
def diff(config: Path, first: str, second: str, third: str | None, *, as_json: bool) -> None:
    """Show what would change for hosts: from REPO to another repository, or from generation N of REPO to M.

    Without M it is the current generation. For each name and architecture the newest builds are
    compared, as hosts do; a package that moved between noarch and an architecture stays one.
    """
    settings = load(config)
    names = {repository.name for repository in settings.repository}
    if third is None and second in names:
        ends = (_content(settings, first, None), _content(settings, second, None))
    else:
        numbers = [None if text is None else _number(text, names) for text in (second, third)]
        ends = (_content(settings, first, numbers[0]), _content(settings, first, numbers[1]))
    change = compare(*ends)
    if as_json:
        show([summary(change)], as_json=True, empty="")
    else:
        show(table(change), as_json=False, empty="nothing differs")


def _number(text: str, names: set[str]) -> int:
    if not text.isdecimal() or not text.isascii():
        msg = f"{text!r}: expected the number of a generation or one of the repositories: {', '.join(sorted(names))}"
        raise click.UsageError(msg)
    return int(text)


def _content(settings: Settings, name: str, number: int | None) -> Content:
    """What a repository lists now, or listed at a generation."""
    store = open_store(settings, settings.named(name))
    records, _ = read_records(store)
    if records.current is None and number is None:
        return Content(packages=[])
    try:
        generation = records.one(number)
    except NotFound as error:
        raise NotFound(f"{name}: {error}") from error
    listed = contents(records, StrictDocuments(store), generation)
    if listed is None:
        msg = f"{name}: generation {generation.number}: its documents are damaged; try: repod verify {name}"
        raise Corrupt(msg)
    return content(store, generation, listed.values())
