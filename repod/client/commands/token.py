"""``repoctl login`` and ``logout``: keep the token by which the daemon knows who calls, and let go of it."""

import os
import sys
from pathlib import Path

import click

from repod.client.commands.common import settings_of, settings_option
from repod.client.tokens import Token, check_token, forget, keep, place
from repod.options import json_option
from repod.show import show


@click.command()
@settings_option
@json_option
def login(config: Path | None, *, as_json: bool) -> None:
    """Keep a token: read from standard input, or asked for on a terminal, and proven by the daemon before.

    It is kept where the settings say: [server] keyring, or [server] token_file (mode 0600). Make one where the
    daemon runs: repod token add NAME
    """
    from repod.client.api import open_api  # noqa: PLC0415 - httpx takes its time

    settings = settings_of(config)
    where = place(settings.server)
    text = check_token(_typed(settings.server.url), "standard input")
    with open_api(settings, os.environ, token=Token(text=text, source="standard input")) as api:
        caller = api.caller()
    keep(settings.server, text)
    if as_json:
        show([{**caller, "server": settings.server.url, "kept": where}], as_json=True, empty="")
    else:
        can = ", ".join(caller["verbs"])
        click.echo(f"{settings.server.url} knows it as {caller['caller']}: {can}, in {_named(caller['repositories'])}")
        click.echo(f"kept in {where}")


def _typed(url: str) -> str:
    """A token for the daemon at ``url``, as it is given: never shown, never an argument."""
    if sys.stdin.isatty():
        typed: str = click.prompt(f"Token for {url}", hide_input=True, err=True)
        return typed
    return sys.stdin.readline()


def _named(repositories: list[str]) -> str:
    return "every repository" if repositories == ["*"] else ", ".join(repositories)


@click.command()
@settings_option
@json_option
def logout(config: Path | None, *, as_json: bool) -> None:
    """Let go of the token that login kept. It stays good: repod token revoke ends it."""
    settings = settings_of(config)
    where, there = place(settings.server), forget(settings.server)
    if as_json:
        show([{"place": where, "removed": there}], as_json=True, empty="")
    else:
        click.echo(f"the token is gone from {where}" if there else f"no token was kept in {where}")
