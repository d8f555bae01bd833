"""Groups of commands that are imported when they are asked for, and what becomes of their errors.

What both command lines share. A command whose module cannot be imported breaks itself alone.
"""

import errno
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from repod.errors import Misconfigured, RepodError, Unavailable
from repod.wording import steerless

EXIT_CODES = """\b
Exit codes:
  0  done
  1  failed
  2  wrong use: the command line, a setting or a key must be changed
  3  refused by policy
  4  conflict, or something is unavailable: try again later
"""

_OF_THE_MACHINE = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
}

HELP = {"help_option_names": ["-h", "--help"]}
"""Settings of the context of a whole program."""


class LazyGroup(click.Group):
    """Commands by a table: name -> ``MODULE:ATTRIBUTE``, in the order in which one needs them."""

    def __init__(self, *args: Any, table: Mapping[str, str], **kwargs: Any) -> None:
        """``table``: where each command is."""
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name].partition(":")
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ImportError as error:
            return _broken(cmd_name, error)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin so; no command is imported for it."""
        names = [CompletionItem(name) for name in self._table if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


def _broken(name: str, error: ImportError) -> click.Command:
    """A command that only says why it cannot run."""

    def say(*_: str) -> None:
        missing = re.match(r"(\S+): cannot open shared object file", str(error))
        what = f"the package of this system that has {missing[1]}" if missing else "repod again, with all that it needs"
        msg = f"{name} cannot run: {error}; install {what}"
        raise Misconfigured(msg) from error

    words = click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)
    return click.Command(
        name,
        callback=lambda words: say(*words),
        params=[words],
        help="Cannot run: a part is missing.",
        context_settings={"ignore_unknown_options": True},
    )


class Program(LazyGroup):
    """The commands of a whole program; an error that repod raises on purpose is told without a traceback."""

    def __init__(self, *args: Any, before: Callable[[str], object] = lambda _: None, **kwargs: Any) -> None:
        """``before`` hears which command was asked for, before it is imported."""
        super().__init__(*args, **kwargs)
        self._before = before

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is to run."""
        self._before(args[0])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; each line of an error is told, and the exit code says what kind it is."""
        try:
            return super().invoke(ctx)
        except RepodError as error:
            for line in str(error).splitlines():
                click.echo(f"{ctx.find_root().info_name}: {steerless(line)}", err=True)
            sys.exit(error.exit_code)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; a fault of the machine is one line, be it met by the command or by what tells of it."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            # The last of several nets: such a fault is the machine's, and a traceback tells nobody more of it.
            if error.errno not in _OF_THE_MACHINE:
                raise
            where = f"{steerless(str(error.filename))}: " if error.filename else ""
            places = "the places in the settings, and of where the output goes"
            text = f"{where}{error.strerror}; see the disks, and the owners and modes, of {places}"
            click.echo(f"{kwargs.get('prog_name') or self.name}: {text}", err=True)
            sys.exit(Unavailable.exit_code)
