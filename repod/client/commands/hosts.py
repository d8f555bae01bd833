"""``repoctl hosts``: hosts of groups: listed, updated, downgraded, followed."""

from collections.abc import Mapping

import click

from repod.lazy import LazyGroup

_COMMANDS: Mapping[str, str] = {
    "list": "hosts_list:list_hosts",
    "update": "hosts_run:update",
    "downgrade": "hosts_run:downgrade",
    "sync": "hosts_run:sync",
    "resume": "hosts_run:resume",
    "runs": "hosts_past:runs",
    "show": "hosts_past:show",
    "reported": "hosts_reported:reported",
    "forget": "hosts_reported:forget",
}


@click.group(cls=LazyGroup, table={name: f"repod.client.commands.{place}" for name, place in _COMMANDS.items()})
def hosts() -> None:
    """Hosts of a group: list them, update them in waves, bring them back."""
