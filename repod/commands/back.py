"""``repod rollback`` and ``diff``: what a repository listed before, published again or compared."""

from pathlib import Path

import click

from repod.actions.back import End, difference
from repod.actions.changes import summary
from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.options import generation_number, json_option, repository_argument, warn, why_option
from repod.sheets import show_difference, show_rollback


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
    show_rollback(deed, dry_run=dry_run, as_json=as_json)
    warn(deed.warnings)


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
        numbers = [None if text is None else generation_number(text, names) for text in (second, third)]
        ends = ((first, numbers[0]), (first, numbers[1]))
    show_difference(summary(difference(settings, *ends)), as_json=as_json)
