"""What a shell offers while a command is typed: names of repositories and groups. It never says why it has none."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from repod.client.settings import Server, Settings, load
from repod.errors import RepodError

_SECONDS = 1.0


def repositories(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Repositories of the settings, and those that the daemon has, if it answers soon."""
    return _begin(ctx, incomplete, lambda settings: {*settings.repository, *_of_daemon(settings)})


def groups(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Groups of the settings."""
    return _begin(ctx, incomplete, lambda settings: settings.group)


def _begin(ctx: click.Context, incomplete: str, names: Callable[[Settings], Iterable[str]]) -> list[str]:
    given = ctx.params.get("config")
    try:
        settings = load(Path(given) if given else None, os.environ)
        return sorted(name for name in names(settings) if name.startswith(incomplete))
    except (RepodError, OSError):
        return []


def _of_daemon(settings: Settings) -> Iterable[str]:
    from repod.client.api import open_api  # noqa: PLC0415 - only who asks the daemon waits for HTTP
    from repod.client.wire import HURRIED  # noqa: PLC0415

    server = Server.model_copy(settings.server, update={"timeout": _SECONDS})
    try:
        with open_api(settings.model_copy(update={"server": server}), os.environ, patience=HURRIED) as api:
            return [state.repository for state in api.states()]
    except RepodError:
        return ()
