"""Options and words that the commands of both command lines share."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import click

from repod.office import Deed
from repod.values import LABEL, LABEL_FORM

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


def nevras_argument(command: _Command) -> _Command:
    """``NEVRA...``."""
    return click.argument("nevras", metavar="NEVRA...", nargs=-1, required=True)(command)


def label_argument(command: _Command) -> _Command:
    """``LABEL``."""
    return click.argument("text", metavar="LABEL", callback=_label)(command)


def _label(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not LABEL.fullmatch(value):
        msg = f"LABEL: {LABEL_FORM}; found {value!r}"
        raise click.UsageError(msg)
    return value


def generation_number(text: str, names: Collection[str]) -> int:
    """The number of a generation; ``UsageError`` where ``text`` is none. ``names``: repositories there are."""
    if not text.isdecimal() or not text.isascii():
        msg = f"{text!r}: expected the number of a generation or one of the repositories: {', '.join(sorted(names))}"
        raise click.UsageError(msg)
    return int(text)


Offer = Callable[[click.Context, click.Parameter, str], list[str]]
"""What a shell offers in place of what was typed so far."""


def promotion_options(offer: Offer | None = None) -> Callable[[_Command], _Command]:
    """What ``promote`` takes: builds, repositories, and how. ``offer``: names of repositories."""
    source, target = "The repository that lists the builds.", "The repository that is to list them."
    whole = "As A was then; without names, all that it listed."
    options = (
        click.argument("names", metavar="[NAME[-EVR]]...", nargs=-1),
        click.option("--from", "source", metavar="A", required=True, help=source, shell_complete=offer),
        click.option("--to", "target", metavar="B", required=True, help=target, shell_complete=offer),
        click.option(
            "--advisory", "advisories", metavar="ID", multiple=True, help="An advisory, and the builds it lists."
        ),
        click.option("--generation", type=int, metavar="N", help=whole),
        click.option("--siblings", is_flag=True, help="Also all builds of the same source packages."),
        click.option("--force", is_flag=True, help="Also where B lists a newer build."),
        why_option,
        click.option("--dry-run", is_flag=True, help="Only show what would be done."),
    )

    def with_all(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return with_all


def refuse_nonsense(source: str, target: str, what: Mapping[str, Any]) -> None:
    """``UsageError`` where what ``promote`` is asked for can be nothing; ``what`` are its other options."""
    whole = not what["names"] and not what["advisories"]
    if whole and what["generation"] is None:
        msg = "say what to promote: NAME..., --advisory ID, or --generation N for all that A listed then"
        raise click.UsageError(msg)
    if whole and what["siblings"]:
        msg = "--siblings: a whole generation has them all; leave it out, or say a NAME"
        raise click.UsageError(msg)
    if source == target:
        msg = f"--from and --to are both {source}; expected two repositories"
        raise click.UsageError(msg)


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
