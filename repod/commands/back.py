"""``repod rollback`` and ``diff``: what a repository listed before, published again or compared."""

from pathlib import Path

import click

from repod.actions.back import End, difference
from repod.actions.changes import summary, table
from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.office import Deed
from repod.options import json_option, repository_argument, warn, why_option
from repod.show import show


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
    deed = deeds(load(config)).rollback(name, number, by(why), dry_run=dry_run)
    if as_json:
        show(deed.rows, as_json=True, empty="")
    else:
        _print(deed, dry_run=dry_run)
    warn(deed.warnings)


def _print(deed: Deed, *, dry_run: bool) -> None:
    if deed.facts["needed"]:
        show(deed.facts["changes"], as_json=False, empty="hosts see no difference")
    click.echo(deed.text)
    if deed.facts["needed"] and not dry_run:
        click.echo("hosts follow it, down and up, with: dnf --refresh distro-sync")


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
        ends: tuple[End, End] = ((first, None), (second, None))
    else:
        numbers = [None if text is None else _number(text, names) for text in (second, third)]
        ends = ((first, numbers[0]), (first, numbers[1]))
    change = difference(settings, *ends)
    if as_json:
        show([summary(change)], as_json=True, empty="")
    else:
        show(table(change), as_json=False, empty="nothing differs")


def _number(text: str, names: set[str]) -> int:
    if not text.isdecimal() or not text.isascii():
        msg = f"{text!r}: expected the number of a generation or one of the repositories: {', '.join(sorted(names))}"
        raise click.UsageError(msg)
    return int(text)
