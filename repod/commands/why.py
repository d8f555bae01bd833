"""``repod why``: all that is known of one build. It changes nothing, and needs no key."""

from pathlib import Path

import click

from repod.actions.looks import builds
from repod.commands.common import means, settings_option
from repod.config import load
from repod.options import json_option, repository_argument, say
from repod.sheets import show_builds


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("word", metavar="NEVRA")
def why(config: Path, name: str, word: str, *, as_json: bool) -> None:
    """Show all that is known of one build of REPO: where it came from, who signed it, where it is listed.

    A build that is not listed any more is shown as far as repod still knows it. Answers 1 where it
    never heard of it.
    """
    rows = builds(means(load(config)), name, word, say)
    show_builds(rows, as_json=as_json)
