"""``repod keys``: the keys that hosts are given, and how one takes the place of another."""

import itertools
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from repod.actions.keys import in_repository, key_row
from repod.actions.keys import keys as every_key
from repod.commands.common import means, settings_option
from repod.config import Settings, load
from repod.errors import Misconfigured, Refused
from repod.guidance import Guide, guide
from repod.hostkeys import HostKey, ending
from repod.keyring import Standing, opened_keys, stand
from repod.options import json_option
from repod.profiles import PROFILES
from repod.progress import progress
from repod.sheets import show_keys, signed_in
from repod.show import show
from repod.signing.create import create_key
from repod.signing.lint import KeyReport
from repod.signing.published import judge, split_keys
from repod.start import write_pair
from repod.times import stamp

_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")


@click.group()
def keys() -> None:
    """Keys of hosts: list them, judge one, replace one."""


@keys.command("list")
@settings_option
@json_option
def list_(config: Path, *, as_json: bool) -> None:
    """Show every key that hosts get: what it is for, its end, and what is signed by it where."""
    with progress("looking at repositories") as tell:
        rows = every_key(means(load(config)), tell)
    show_keys(rows, as_json=as_json)


def _names(settings: Settings) -> Sequence[str]:
    return [repository.name for repository in settings.repository]


@keys.command()
@settings_option
@json_option
@click.argument("given", metavar="FILE|FINGERPRINT", nargs=-1, required=True)
def lint(config: Path, given: Sequence[str], *, as_json: bool) -> None:
    """Judge public keys: which key or subkey signs, which hosts do not take it, and why.

    A FINGERPRINT is of a key that the settings name; a FILE needs no settings. Answers 3 where a key has a fault.
    """
    now = time.time()
    rows = [_judged(what, report) for one in given for what, report in _reports(one, config, now)]
    show(rows, as_json=as_json, empty="no keys")
    if any(row["faults"] for row in rows):
        sys.exit(Refused.exit_code)


def _reports(given: str, config: Path, now: float) -> Iterator[tuple[str, KeyReport]]:
    path = Path(given)
    if _FINGERPRINT.fullmatch(given) and not path.exists():
        settings = load(config)
        with opened_keys(settings, os.environ) as signer:
            found = [key for key in signer.keys if given.upper() in key.members]
            there = ", ".join(key.fingerprint for key in signer.keys)
        if not found:
            msg = f"{given} is no key that the settings name; there are: {there}; give any other as a file"
            raise Misconfigured(msg)
        yield from ((key.source, judge(key.certificate, now)) for key in found)
        return
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{given} cannot be read ({error.strerror}); give a file with public keys, or a full fingerprint"
        raise Misconfigured(msg) from error
    yield from ((given, judge(certificate, now)) for certificate in split_keys(given, data))


def _judged(what: str, report: KeyReport) -> dict[str, Any]:
    subkey = report.signing_key not in {"", report.fingerprint}
    signs = f"subkey {report.signing_key}" if subkey else "the primary key" if report.signing_key else "none"
    refused = [
        f"{name}: {text}" for name, one in PROFILES.items() for text in one.key_faults(report.algorithm, subkey=subkey)
    ]
    unsure = [f"{name}: {text}" for name, one in PROFILES.items() for text in one.key_doubts(report.algorithm)]
    return {
        "given": what,
        "fingerprint": report.fingerprint,
        "algorithm": report.algorithm,
        "signs": signs,
        "expires": "never" if report.expires is None else stamp(report.expires),
        "faults": list(report.faults),
        "refused_by": refused,
        "unsure": unsure,
        "warnings": list(report.warnings),
    }


@keys.command()
@settings_option
@json_option
def rotate(config: Path, *, as_json: bool) -> None:
    """Say how far the change from one key to the next is, and what to do now. Changes nothing.

    Answers 3 where the settings are ahead of what hosts can bear.
    """
    settings, now = load(config), time.time()
    with opened_keys(settings, os.environ) as signer, progress("looking at repositories") as tell:
        standings = stand(settings, signer.keys, _names(settings), now, tell)
        found = list(signer.keys)
    step = guide([standing.verdict for standing in standings], found, settings.signing)
    if as_json:
        repositories = [asdict(standing.verdict) for standing in standings]
        rows = [asdict(step) | {"keys": [key_row(key, standings) for key in found], "repositories": repositories}]
        show(rows, as_json=True, empty="")
    else:
        _print(step, found, standings, now)
    if any(standing.verdict.faults for standing in standings):
        sys.exit(Refused.exit_code)


def _print(step: Guide, found: Sequence[HostKey], standings: Sequence[Standing], now: float) -> None:
    for key in found:
        click.echo(
            f"{key.role:<10}{key.fingerprint}  {key.algorithm}" + (f"  {end}" if (end := ending(key, now)) else "")
        )
    for standing in standings:
        verdict = standing.verdict
        click.echo(f"\n{verdict.repository}: {verdict.phase}")
        for key in found:
            click.echo(f"  {key.fingerprint}: {_counted(key, standing)}")
        for text in verdict.faults:
            click.echo(f"  fault: {text}")
        for text in verdict.notes:
            click.echo(f"  note: {text}")
    click.echo(f"\nnext ({step.phase}): {step.next}")
    for do, steps in itertools.groupby(step.steps, key=lambda one: one.do):
        click.echo("\n  run:" if do == "run" else "\n  set in the settings:\n    [signing]")
        for one in steps:
            click.echo(f"    {one.line}")
    for remark in step.remarks:
        click.echo(f"\n  {remark}")


def _counted(key: HostKey, standing: Standing) -> str:
    return signed_in(in_repository(key, standing))


@keys.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--name",
    "uid",
    metavar="USER-ID",
    default="repod <repod@localhost>",
    show_default=True,
    help="Who it is of: NAME <MAIL>.",
)
def make(file: Path, uid: str) -> None:
    """Make a key that every supported host takes: the secret part in FILE, the public part in FILE.pub."""
    made = create_key(uid, environ=os.environ)
    public = write_pair(file, made.secret, made.public)
    click.echo(f"{made.fingerprint}\nsecret part  {file}\npublic part  {public}")
