"""``repod``: the command line. A command's module is imported when the command is asked for."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from repod import __version__
from repod.errors import RepodError

_EXIT_CODES = """\b
Exit codes:
  0  done
  1  failed
  2  wrong use: the command line, a setting or a key must be changed
  3  refused by policy
  4  conflict, or something is unavailable: try again later
"""

_COMMANDS: Mapping[str, str] = {
    "demo": "serve",
    "init": "first",
    "run": "serve",
    "once": "work",
    "check": "check",
    "prune": "work",
    "keys": "keys",
    "token": "token",
    "hooks": "hooks",
    "hosts": "hosts",
    "resign": "resign",
    "adopt": "adopt",
    "promote": "promote",
    "status": "look",
    "packages": "look",
    "diff": "back",
    "rollback": "back",
    "remove": "builds",
    "pin": "builds",
    "unpin": "builds",
    "label": "builds",
    "unlabel": "builds",
    "advisory": "documents",
    "comps": "documents",
    "history": "past",
    "why": "why",
    "verify": "mend",
    "rebuild": "mend",
    "audit": "audit",
}
"""Each command's name and its module in ``repod.commands``."""

_WITH_PROCESSES = {"demo", "run", "once", "adopt", "promote", "prune", "resign"}
"""The commands that read packages and sign in processes of their own."""


class _Group(click.Group):
    """Commands whose errors are a line each and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order in which one needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"repod.commands.{_COMMANDS[cmd_name]}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is to run; the server of its processes comes up while it is imported."""
        if args[0] in _WITH_PROCESSES:
            import_module("repod.processes").start_server()
        return super().resolve_command(ctx, args)

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
