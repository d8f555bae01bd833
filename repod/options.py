"""Options and words that the commands of both command lines share."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from repod.office import Deed

_Command = TypeVar("_Command", bound=Callable[..., Any])


def json_option(command: _Command) -> _Command:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")(command)


def repository_argument(command: _Command) -> _Command:
    """``REPO``."""
    return click.argument("name", metavar="REPO")(command)


def why_option(command: _Command) -> _Command:
    """``--why TEXT``."""
    return click.option("--why", default="", metavar="TEXT", help="The reason, for the record.")(command)


def leave(deed: Deed) -> None:
    """End with the exit code of what was done, where that is not 0."""
    if deed.code:
        sys.exit(deed.code)


def say(text: str) -> None:
    """Say a line on standard error, beside the answer."""
    click.echo(f"{click.get_current_context().find_root().info_name}: {text}", err=True)


def warn(texts: Iterable[str]) -> None:
    """Say warnings, each in a line on standard error, beside the answer."""
    for text in texts:
        say(f"warning: {text}")
