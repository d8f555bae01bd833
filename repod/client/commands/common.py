"""What the commands of ``repoctl`` share: where the settings are, and the daemon that they name."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from repod.client.commands import suggest
from repod.client.settings import Settings, load
from repod.office import Far
from repod.progress import progress

if TYPE_CHECKING:  # httpx takes its time, and not every command asks the daemon
    from repod.client.api import Api

_Command = TypeVar("_Command", bound=Callable[..., Any])


def settings_option(command: _Command) -> _Command:
    """``-c FILE``."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="REPOCTL_CONFIG",
        show_envvar=True,
        help="The settings file, instead of ./repoctl.toml, ~/.config/repoctl/repoctl.toml, /etc/repod/repoctl.toml.",
    )(command)


def repository_argument(command: _Command) -> _Command:
    """``REPO``."""
    return click.argument("name", metavar="REPO", shell_complete=suggest.repositories)(command)


def group_option(command: _Command) -> _Command:
    """``--group G``."""
    return click.option(
        "--group", "group", metavar="G", required=True, shell_complete=suggest.groups, help="The group of the settings."
    )(command)


def settings_of(config: Path | None) -> Settings:
    """The settings of a command."""
    return load(config, os.environ)


def asked(config: Path | None) -> "Api":
    """The daemon that a command asks; to be closed."""
    from repod.client.api import open_api  # noqa: PLC0415 - see above

    return open_api(settings_of(config), os.environ)


@contextlib.contextmanager
def watched(first: str) -> Iterator[Far | None]:
    """What hears how far a change is, and shows it; None where nobody looks. ``first``: what is done first."""
    with progress(first) as tell:
        yield tell if sys.stderr.isatty() else None
