"""``repod``: the command line. A command's module is imported when the command is asked for."""

from collections.abc import Mapping
from importlib import import_module

import click

from repod import __version__
from repod.lazy import EXIT_CODES, HELP, Program

_COMMANDS: Mapping[str, str] = {
    "demo": "serve",
    "init": "first",
    "run": "serve",
    "once": "work",
    "check": "check",
    "prune": "work",
    "keys": "keys",
    "token": "token",  # nosec B105
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
    "ring": "ring",
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


def _prepare(name: str) -> None:
    """The server of a command's processes comes up while the command is imported."""
    if name in _WITH_PROCESSES:
        import_module("repod.processes").start_server()


@click.group(
    cls=Program,
    table={name: f"repod.commands.{module}:{name}" for name, module in _COMMANDS.items()},
    before=_prepare,
    epilog=EXIT_CODES,
    context_settings=HELP,
)
@click.version_option(__version__, message="repod %(version)s")
def main() -> None:
    """A daemon that owns yum/dnf repositories: drop an RPM, get a signed, installable package."""
