"""``repod``: the command line."""

import sys
from typing import Any

import click

from repod import __version__
from repod.commands import first, look, run
from repod.errors import RepodError

_EXIT_CODES = """\b
Exit codes:
  0  done
  1  failed
  2  wrong use: the command line, a setting or a key must be changed
  3  refused by policy
  4  conflict, or something is unavailable: try again later
"""


class _Group(click.Group):
    """Commands whose errors are a line each and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that repod raises on purpose is told without a traceback."""
        try:
            return super().invoke(ctx)
        except RepodError as error:
            for line in str(error).splitlines():
                click.echo(f"repod: {line}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Group, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="repod %(version)s")
def main() -> None:
    """A daemon that owns yum/dnf repositories: drop an RPM, get a signed, installable package."""


for _command in (
    first.demo,
    first.init,
    run.run,
    run.once,
    run.check,
    look.status,
    look.packages,
    look.history,
    look.verify,
):
    main.add_command(_command)
