"""``repod resign``: signs what a repository lists anew."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from repod.commands.common import audited, settings_option
from repod.config import load
from repod.errors import Refused, RepodError
from repod.keyring import open_signatures, stand
from repod.log import open_log
from repod.options import json_option, person, repository_argument, why_option
from repod.progress import Tell, progress
from repod.resign import Plan, Resigned, Resigning, by_key
from repod.rotation import early as too_early
from repod.show import show
from repod.signing.verify import signature_issuers
from repod.wiring import pause, public_url, write_for_hosts
from repod.wording import counted
from repod.workplace import Workplace, open_workplace

_DONE = "{repository}: nothing to do: the signing key signed all {of} packages and the index"


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--dry-run", is_flag=True, help="Only say what would be signed anew.")
@click.option("--early", is_flag=True, help="Although hosts had no time to learn the key, as when one was stolen.")
@why_option
def resign(config: Path, name: str, why: str, *, dry_run: bool, early: bool, as_json: bool) -> None:
    """Sign anew every package of REPO that the signing key alone did not sign, and publish them.

    The builds stay the same, and so do their labels and pins. Files with the older signatures stay for
    hosts that hold older metadata. May run beside the daemon; after a stop, the same command carries
    on. Answers 1 where a package cannot be signed anew; the others are. Answers 3 where hosts had no
    time yet to learn the key.
    """
    settings = load(config)
    log = open_log(settings.log.format, settings.log.level)
    with (
        audited(settings, "resign", name, {"early": early}, why, dry=dry_run) as outcome,
        open_workplace(settings, name, log, os.environ) as place,
        progress("reading signatures") as tell,
    ):
        resigning = _resigning(place, tell)
        if not dry_run:
            _prepare(place, early=early)
        plan = resigning.plan()
        why = why or f"signed anew with {place.signer.fingerprint}"
        done = None if dry_run else resigning.carry_out(plan, actor=person(os.environ), why=why)
        code = RepodError.exit_code if (done and done.left) or plan.missing else 0
        outcome.end(f"{counted(done.packages if done else 0, 'package')} signed anew", code)
    _answer(name, plan, done, as_json=as_json)
    sys.exit(code)


def _prepare(place: Workplace, *, early: bool) -> None:
    """Let hosts have the key before anything is signed by it; ``Refused`` where they had no time to learn it."""
    signer, now = place.signer, time.time()
    (standing,) = stand(place.settings, signer.keys, [place.repository.name], now)
    window = place.settings.signing.window
    faults = [] if early else list(too_early(signer.keys, standing.shown, now=now, window=window))
    if faults:
        raise Refused("\n".join(f"{place.repository.name}: {fault}; or: --early" for fault in faults))
    write_for_hosts(place.repository, public_url(place.settings, place.repository), place.store, signer)


def _resigning(place: Workplace, tell: Tell) -> Resigning:
    return Resigning(
        store=place.store,
        repodata=place.repodata,
        publisher=place.publisher,
        ledger=place.ledger,
        rpms=place.rpms,
        signer=place.signer,
        signing_key=place.signer.signing_key,
        signatures=open_signatures(place.settings, place.repository, place.store, place.rpms, tell),
        index_issuers=signature_issuers,
        workspace=place.workspace,
        changelogs=place.repository.changelogs,
        parallel=2 * place.rpms.count,
        pause=pause,
        tell=tell,
    )


def _answer(name: str, plan: Plan, done: Resigned | None, *, as_json: bool) -> None:
    left = done.left if done else ()
    row: dict[str, Any] = {
        "repository": name,
        "generation": done.generation.number if done and done.generation else None,
        "packages": done.packages if done else len(plan.wanted),
        "bytes": plan.size,
        "of": plan.packages,
        "signed_by": by_key(plan.wanted),
        "index": plan.index,
        "overtaken": done.overtaken if done else 0,
        "left": [{"package": str(one.package.nevra), "path": one.package.href, "why": one.why} for one in left],
        "missing": [package.href for package in plan.missing],
    }
    if as_json:
        show([row], as_json=True, empty="")
        return
    for signer, count in row["signed_by"].items():
        click.echo(f"signed by {signer}: {counted(count, 'package')}")
    if left:
        show(row["left"], as_json=False, empty="")
    click.echo(_summary(row, dry=done is None))


def _summary(row: dict[str, Any], *, dry: bool) -> str:
    if not row["packages"] and not row["index"]:
        return (
            f"{row['repository']}: nothing to do: of {row['of']} packages, none can be signed anew"
            if row["left"]
            else _DONE.format(**row)
        )
    what = f"{row['packages']} of {row['of']} packages ({decimal(row['bytes'])})" if row["packages"] else "the index"
    if dry:
        return f"{row['repository']}: would sign {what} anew"
    if row["generation"] is None:
        return f"{row['repository']}: nothing was published"
    overtaken = f"; {row['overtaken']} were replaced or removed meanwhile" if row["overtaken"] else ""
    return f"{row['repository']}: signed {what} anew, as generation {row['generation']}{overtaken}"
