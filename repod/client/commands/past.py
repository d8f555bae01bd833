"""``repoctl history``, ``why`` and ``diff``: what became of a repository and of single builds. They change nothing."""

from pathlib import Path

import click

from repod.client.commands.common import asked, repository_argument, settings_option
from repod.client.commands.suggest import repositories
from repod.options import generation_number, json_option
from repod.sheets import show_builds, show_difference, show_history


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--package", "package", metavar="NAME", default="", help="Only builds of that name.")
@click.option("--limit", metavar="N", default=20, show_default=True, help="How many generations, newest first; 0: all.")
def history(config: Path | None, name: str, package: str, limit: int, *, as_json: bool) -> None:
    """List the generations of REPO: when, by whom, why, what, and where that came from.

    With --package, those that added or removed builds of that name.
    """
    with asked(config) as api:
        show_history(api.generations(name, package=package, limit=limit), package, as_json=as_json)


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("word", metavar="NEVRA")
def why(config: Path | None, name: str, word: str, *, as_json: bool) -> None:
    """Show all that is known of one build of REPO: where it came from, who signed it, where it is listed.

    Answers 1 where the daemon never heard of it.
    """
    with asked(config) as api:
        show_builds(api.package(name, word)["builds"], as_json=as_json)


@click.command()
@settings_option
@json_option
@click.argument("first", metavar="REPO", shell_complete=repositories)
@click.argument("second", metavar="OTHER|N", shell_complete=repositories)
@click.argument("third", metavar="[M]", required=False)
def diff(config: Path | None, first: str, second: str, third: str | None, *, as_json: bool) -> None:
    """Show what would change for hosts: from REPO to another repository, or from generation N of REPO to M.

    Without M it is the current generation. For each name and architecture the newest builds are
    compared, as hosts do; a package that moved between noarch and an architecture stays one.
    """
    with asked(config) as api:
        names = {state.repository for state in api.states()}
        if third is None and second in names:
            found = api.diff(first, None, second, None)
        else:
            start, end = (None if text is None else generation_number(text, names) for text in (second, third))
            found = api.diff(first, start, first, end)
    show_difference(found, as_json=as_json)
