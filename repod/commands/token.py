"""``repod token``: who may do what over HTTP, and for how long."""

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import click

from repod.access import ANY, READ, REPORT, VERBS
from repod.callers.tokens import Token, TokenFile
from repod.commands.common import audited, settings_option
from repod.config import Settings, load
from repod.errors import Misconfigured
from repod.options import json_option
from repod.show import show
from repod.times import stamp
from repod.values import seconds

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_PATTERN = re.compile(r"[A-Za-z0-9_.:*?\[\]!-]{1,253}")
_NEVER = "never"
_MAY = "\b\nWhat a token may do:\n" + "\n".join(f"  {verb:<10}{text}" for verb, text in VERBS.items())


@click.group()
def token() -> None:
    """Tokens, by which programs and people are known over HTTP: make one, list them, take one back."""


def _lifetime(_context: click.Context, _option: click.Parameter, value: str) -> float | None:
    if value == _NEVER:
        return None
    try:
        found = seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return float(str(found))


def _name(_context: click.Context, _argument: click.Parameter, value: str) -> str:
    if not _NAME.fullmatch(value):
        msg = f"expected letters, digits and _ . - , at most 100, found {value!r}"
        raise click.BadParameter(msg)
    return value


def _patterns(_context: click.Context, _option: click.Parameter, values: Sequence[str]) -> Sequence[str]:
    for value in values:
        if not _PATTERN.fullmatch(value):
            msg = f"expected names of hosts, with * ? [ ] where any will do, found {value!r}"
            raise click.BadParameter(msg)
    return values


@token.command(epilog=_MAY)
@settings_option
@json_option
@click.argument("name", callback=_name)
@click.option("--repository", "repositories", multiple=True, metavar="REPO", help="Only there; may be given again.")
@click.option(
    "--may",
    "verbs",
    multiple=True,
    type=click.Choice(list(VERBS)),
    metavar="VERB",
    default=(READ,),
    show_default=True,
    help="What it may do, of the list below; may be given again.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    callback=_patterns,
    metavar="PATTERN",
    help="With --may report: only of hosts of such names (web-*), and of no rollouts; may be given again.",
)
@click.option(
    "--expires",
    metavar="TIME",
    callback=_lifetime,
    default="90d",
    show_default=True,
    help="When it ends: after so long, or 'never'.",
)
def add(
    config: Path,
    name: str,
    repositories: Sequence[str],
    verbs: Sequence[str],
    *,
    hosts: Sequence[str],
    expires: float | None,
    as_json: bool,
) -> None:
    """Make a token called NAME and print it, this once: only its hash is kept.

    A running daemon knows it at once. Hosts send it as a password, with any user name; others as
    "Authorization: Bearer TOKEN". It may do what --may says and nothing else, so that a stolen one does little;
    there is no word for everything. Answers 4 where there is one of that name which has not expired.
    """
    if hosts and REPORT not in verbs:
        msg = "--host says of which hosts a token may report, so it takes --may report too"
        raise click.UsageError(msg)
    settings = load(config)
    for repository in repositories:
        settings.named(repository)
    tokens = _tokens(settings)
    places = tuple(repositories) or (ANY,)
    details = {"name": name, "may": list(verbs), "repositories": list(places), "seconds": expires and int(expires)}
    if hosts:
        details["hosts"] = list(hosts)
    with audited(settings, "token add", "", details) as outcome:
        secret = tokens.add(name, os.urandom, verbs=verbs, repositories=places, seconds=expires, hosts=hosts)
        outcome.end("")
    if not as_json:
        click.echo(secret)
        return
    (made,) = (one for one in tokens.list() if one.name == name)
    click.echo(json.dumps({"token": secret, **_row(made, time.time())}, indent=1))


@token.command("list")
@settings_option
@json_option
def list_(config: Path, *, as_json: bool) -> None:
    """Show all tokens: what each may do, where, and until when."""
    now = time.time()
    show([_row(one, now) for one in _tokens(load(config)).list()], as_json=as_json, empty="no tokens")


@token.command()
@settings_option
@click.argument("name")
def revoke(config: Path, name: str) -> None:
    """Take the token NAME back; a running daemon refuses it at once."""
    settings = load(config)
    with audited(settings, "token revoke", "", {"name": name}) as outcome:
        _tokens(settings).revoke(name)
        outcome.end("")
    click.echo(f"token {name} is good no more")


def _row(one: Token, now: float) -> dict[str, object]:
    return {
        "name": one.name,
        "may": list(one.verbs),
        "repositories": list(one.repositories),
        "hosts": list(one.hosts) or [ANY],
        "created": stamp(one.created),
        "expires": _NEVER if one.expires is None else stamp(one.expires),
        "state": "expired" if one.has_expired(now) else "good",
    }


def _tokens(settings: Settings) -> TokenFile:
    if not settings.http.tokens:
        msg = 'there is no file for tokens; name one in the settings: [http] tokens = "/etc/repod/access/tokens.json"'
        raise Misconfigured(msg)
    return TokenFile(Path(settings.http.tokens), time.time)
