"""What the commands share: options, times, and everything joined."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from repod.config import Settings
from repod.office import By
from repod.options import person

if TYPE_CHECKING:  # what one command needs, the others need not wait for
    from repod.actions.deeds import RecordedDeeds
    from repod.actions.means import Means
    from repod.actions.recorded import Outcome
    from repod.metrics import Metrics
    from repod.service import Looped
    from repod.wiring import System

_Command = TypeVar("_Command", bound=Callable[..., Any])


def settings_option(command: _Command) -> _Command:
    """``-c FILE``."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        default="/etc/repod/repod.toml",
        envvar="REPOD_CONFIG",
        show_default=True,
        show_envvar=True,
        help="The settings file.",
    )(command)


def opened(settings: Settings, log: Any, metrics: "Metrics") -> "System":
    """Everything that the settings describe, opened."""
    from repod.wiring import System  # noqa: PLC0415

    return System(
        settings, log=log, observe=metrics.stage, environ=os.environ, count=metrics.message, raced=metrics.conflict
    )


def looped(settings: Settings, log: Any, metrics: "Metrics") -> "Looped":
    """The same with a loop per repository."""
    from repod.service import Looped  # noqa: PLC0415

    return Looped(opened(settings, log, metrics), metrics, log)


def by(why: str = "") -> By:
    """Who runs the command, and why."""
    # Who is logged in from elsewhere says so by this; it is a hint, as the environment is the caller's own.
    address = os.environ.get("SSH_CONNECTION", "").split(" ")[0] or "local"
    return By(actor=person(os.environ), address=address, why=why)


def means(settings: Settings) -> "Means":
    """What actions of a command work with."""
    from repod.actions.means import Means  # noqa: PLC0415
    from repod.log import open_log  # noqa: PLC0415

    return Means(settings=settings, environ=os.environ, log=open_log(settings.log.format, settings.log.level))


def deeds(settings: Settings) -> "RecordedDeeds":
    """All changes that a command may make."""
    from repod.actions.deeds import RecordedDeeds  # noqa: PLC0415
    from repod.recording import open_record  # noqa: PLC0415

    with_log = means(settings)
    return RecordedDeeds(with_log, open_record(settings, with_log.log))


@contextmanager
def audited(
    settings: Settings, what: str, repository: str, details: Mapping[str, Any], why: str = "", *, dry: bool = False
) -> "Iterator[Outcome]":
    """While the command changes something; where it is ``dry`` nobody records it."""
    from repod.actions.recorded import Outcome, recorded  # noqa: PLC0415
    from repod.log import open_log  # noqa: PLC0415
    from repod.recording import open_record  # noqa: PLC0415

    if dry:
        yield Outcome()
        return
    log = open_log(settings.log.format, settings.log.level)
    with recorded(
        open_record(settings, log), log, by=by(why), what=what, repository=repository, details=details
    ) as outcome:
        yield outcome
