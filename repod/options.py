"""Options and words that the commands of both command lines share."""

import os
import pwd
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from repod.office import Deed
from repod.rings import RingChange
from repod.values import LABEL, LABEL_FORM, seconds
from repod.wording import steerless

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


class _Duration(click.ParamType[int]):
    """A time such as 30m or 4h, in seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See ``click.ParamType``."""
        try:
            found = seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return int(float(str(found)))


DURATION = _Duration()

ring_argument = click.argument("ring_name", metavar="RING")


def ring_options(command: _Command) -> _Command:
    """What ``ring set`` takes: builds, and how hosts come to them."""
    options = (
        click.argument("names", metavar="[BUILD]...", nargs=-1),
        click.option(
            "--percent",
            type=click.IntRange(0, 100),
            metavar="N",
            help="Share of its hosts in percent, the same ones first.",
        ),
        click.option("--spread", type=DURATION, help="Time over which these begin; 1h for a new ring."),
        click.option(
            "--window",
            "windows",
            multiple=True,
            metavar="WINDOW",
            help="When hosts may; '': always. May be given again.",
        ),
        click.option("--on-failure", type=click.Choice(["downgrade", "stay"]), help="After a health check that fails."),
        click.option("--check/--no-check", default=None, help="Whether only hosts with a health check update."),
        why_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def ring_change(names: Sequence[str], how: Mapping[str, Any]) -> RingChange:
    """What ``ring set`` asks for; ``how`` are the options beside ``why``."""
    windows = how["windows"]
    return RingChange(names=names, **{**how, "windows": tuple(filter(None, windows)) if windows else None})


def leave(deed: Deed) -> None:
    """End with the exit code of what was done, where that is not 0."""
    if deed.code:
        sys.exit(deed.code)


def say(text: str) -> None:
    """Say a line on standard error, beside the answer."""
    click.echo(f"{click.get_current_context().find_root().info_name}: {steerless(text)}", err=True)


def warn(texts: Iterable[str]) -> None:
    """Say warnings, each in a line on standard error, beside the answer."""
    for text in texts:
        say(f"warning: {text}")


def person(environ: Mapping[str, str]) -> str:
    """Who runs the command, for the record of a generation: behind sudo, who called it."""
    try:
        return environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
