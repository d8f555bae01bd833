"""``repoctl hosts update``, ``downgrade``, ``sync`` and ``resume``: runs over the hosts of a group, in waves."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from repod.client.commands.common import group_option, settings_of, settings_option
from repod.options import json_option

if TYPE_CHECKING:
    from repod.client.fleet import Action

_Command = TypeVar("_Command", bound=Callable[..., Any])

_STRATEGY = (
    "canary",
    "wave",
    "max_failures",
    "pause",
    "parallel",
    "check",
    "check_http",
    "on_failure",
    "downgrade",
    "restart",
)


def _strategy_options(command: _Command) -> _Command:
    """What stands in place of ``[group.NAME.rollout]``."""
    options = (
        click.option("--canary", type=click.IntRange(0, 10_000), metavar="N", help="Hosts that come first, alone."),
        click.option("--wave", metavar="N|N%", help="Hosts that are updated together then."),
        click.option("--max-failures", metavar="N|N%", help="How many hosts may fail before it stops."),
        click.option("--pause", metavar="TIME", help="How long to wait between waves, such as 5m."),
        click.option("--parallel", type=click.IntRange(1, 1000), metavar="N", help="Hosts at work at the same time."),
        click.option("--check", metavar="CMD", help="A command that succeeds on each host after the update."),
        click.option("--check-http", metavar="URL", help="A URL of each host that answers then; {host}, {address}."),
        click.option(
            "--on-failure",
            type=click.Choice(["stop", "downgrade"]),
            help="Whether hosts that failed get back what they ran.",
        ),
        click.option(
            "--take-back",
            "downgrade",
            type=click.Choice(["failed", "all"]),
            help="Which hosts do then, where the build stops the run: those that failed, or all that it updated.",
        ),
        click.option(
            "--restart",
            type=click.Choice(["none", "report", "services", "reboot"]),
            help="What becomes of services that still run what was before.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _run_options(command: _Command) -> _Command:
    """Where the report goes; ``--limit``, ``--dry-run``."""
    options = (
        click.option(
            "--limit",
            multiple=True,
            metavar="PATTERN",
            help="Only hosts whose name fits, such as 'web1*'; may be given again.",
        ),
        click.option("--dry-run", is_flag=True, help="Only show the plan; no host is asked anything."),
        *_OUTPUTS,
    )
    for option in reversed(options):
        command = option(command)
    return command


_OUTPUTS = (
    click.option(
        "--report", type=click.Path(path_type=Path, dir_okay=False), metavar="F", help="Write the report, JSON, to F."
    ),
    click.option(
        "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="F", help="Write it as JUnit XML to F."
    ),
)


@click.command()
@settings_option
@json_option
@click.argument("words", metavar="NAME[-EVR]...", nargs=-1, required=True)
@group_option
@_strategy_options
@_run_options
def update(config: Path | None, words: Sequence[str], group: str, **how: Any) -> None:
    """Update hosts of group G in waves, and prove that each runs the build, by NEVRA and header digest.

    NAME is the newest build of the group's repository, NAME-EVR that one; it is fixed at the start. First come
    the canaries, then waves; it stops if a canary fails or too many hosts do. [group.G.rollout] has the
    defaults of all options, and what else there is to set.

    Ctrl-C stops it after the hosts that are at work; repoctl hosts resume does the rest. Answers 0 only
    where every host is proven.
    """
    _start(config, "update", words, group, how)


@click.command()
@settings_option
@json_option
@click.argument("words", metavar="NAME[-EVR]...", nargs=-1, required=True)
@group_option
@_strategy_options
@_run_options
def downgrade(config: Path | None, words: Sequence[str], group: str, **how: Any) -> None:
    """Bring hosts of group G back to an older build, in waves, proven as by update.

    NAME alone is the build that the repository lists below the newest; the first line says which.
    """
    _start(config, "downgrade", words, group, how)


@click.command()
@settings_option
@json_option
@click.argument("words", metavar="[NAME[-EVR]]...", nargs=-1)
@group_option
@_strategy_options
@_run_options
def sync(config: Path | None, words: Sequence[str], group: str, **how: Any) -> None:
    """Have hosts of group G follow what the repository lists now, to older builds too.

    So it is after repoctl rollback: without a NAME all packages of the repository that a host has become
    those that are listed.
    """
    _start(config, "sync", words, group, how)


@click.command()
@settings_option
@json_option
@click.argument("run", metavar="[RUN]", default="")
@_OUTPUTS[0]
@_OUTPUTS[1]
def resume(config: Path | None, run: str, **how: Any) -> None:
    """Take up a run that was interrupted or killed: the last one, or RUN.

    Hosts that were proven are proven once more. What was begun on a host is followed, never begun again.
    Hosts that failed stay as they are: a new run tries them again, and finds the others done.
    """
    from repod.client.commands.running import carry_on  # noqa: PLC0415 - its parts take their time

    carry_on(settings_of(config), run, **how)


def _start(config: Path | None, action: "Action", words: Sequence[str], group: str, how: Mapping[str, Any]) -> None:
    from repod.client.commands.running import start  # noqa: PLC0415 - see above

    strategy = {key: how[key] for key in _STRATEGY}
    rest = {key: value for key, value in how.items() if key not in _STRATEGY}
    start(settings_of(config), action, words, group, strategy, **rest)
