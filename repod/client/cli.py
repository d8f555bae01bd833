"""``repoctl``: the command line. A command's module is imported when the command is asked for."""

from collections.abc import Mapping

import click

from repod import __version__
from repod.lazy import EXIT_CODES, HELP, Program

_HOME = "repod.client.commands."

_COMMANDS: Mapping[str, str] = {
    "status": "look:status",
    "packages": "look:packages",
    "push": "push:push",
    "rejected": "look:rejected",
    "events": "events:events",
    "history": "past:history",
    "why": "past:why",
    "diff": "past:diff",
    "promote": "change:promote",
    "rollback": "change:rollback",
    "remove": "builds:remove",
    "pin": "builds:pin",
    "unpin": "builds:unpin",
    "label": "builds:label",
    "unlabel": "builds:unlabel",
    "advisory": "advisory:advisory",
    "prune": "change:prune",
    "prove": "change:prove",
    "verify": "verify:verify",
    "hosts": "hosts:hosts",
    "ring": "ring:ring",
    "keys": "about:keys",
    "audit": "about:audit",
    "login": "token:login",
    "logout": "token:logout",
    "completion": "complete:completion",
}
"""Each command's name, and its module and name in ``repod.client.commands``."""


@click.group(
    cls=Program,
    table={name: _HOME + place for name, place in _COMMANDS.items()},
    epilog=EXIT_CODES,
    context_settings=HELP,
)
@click.version_option(__version__, message="repoctl %(version)s")
def main() -> None:
    """Push packages, look after repositories and update hosts: a client of the daemon repod.

    Settings are optional: repoctl.toml says where the daemon is, REPOCTL_URL stands before it. The token is
    that of REPOCTL_TOKEN, REPOCTL_TOKEN_FILE, or the one that repoctl login kept.
    """
