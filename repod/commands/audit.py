"""``repod audit``: who changed what, and whether that record was altered."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from repod.auditlog.chain import Head
from repod.auditlog.reading import files_of, prove, records
from repod.commands.common import settings_option
from repod.config import Settings, load
from repod.errors import Misconfigured, RepodError
from repod.log import open_log
from repod.options import json_option
from repod.recording import open_record
from repod.show import show
from repod.times import stamp_ms
from repod.values import seconds
from repod.wording import counted

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def audit() -> None:
    """The audit log: who changed what, from where, and what came of it."""


def _head(_context: click.Context, _option: click.Parameter, values: Sequence[str]) -> Sequence[Head]:
    try:
        return [Head.parse(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _since(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    """A time of records, as text: they sort as they follow each other."""
    if not value:
        return ""
    try:
        return stamp_ms(datetime.fromisoformat(value).astimezone().timestamp())
    except ValueError:
        try:
            return stamp_ms(time.time() - float(str(seconds(value))))
        except ValueError as error:
            msg = f"expected a time such as 2026-11-26T04:00 or a duration such as 2d, found {value!r}"
            raise click.BadParameter(msg) from error


@audit.command()
@settings_option
@json_option
@click.argument("files", metavar="[FILE...]", nargs=-1, type=_FILE)
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="N:HASH",
    callback=_head,
    help="Record N must have that hash, as repod audit head, the log or the API told it before; may be given again.",
)
def verify(config: Path, files: Sequence[Path], heads: Sequence[Head], *, as_json: bool) -> None:
    """Prove that no record was altered, inserted or taken out; a line for each that was. Answers 1 where one was.

    Without FILE it is the file of the settings and those it was rotated into, beside it. With FILE, these, the
    oldest first. That the end was cut off, or all was made anew, only a head from elsewhere can tell: give it.
    """
    current = None if files else _file(load(config))
    paths = list(files) or files_of(_file(load(config)))
    proof = prove(paths, heads, current)
    if as_json:
        row = {"first": proof.first, "last": proof.last.n, "head": str(proof.last), "records": proof.count}
        show([{**row, "files": [str(path) for path in paths], "faults": list(proof.faults)}], as_json=True, empty="")
    else:
        for text in proof.faults:
            click.echo(f"repod: {text}", err=True)
        click.echo(_summary(proof.first, proof.last, len(paths), len(proof.faults)))
    if proof.faults:
        sys.exit(RepodError.exit_code)


def _summary(first: int, last: Head, files: int, faults: int) -> str:
    where = counted(files, "file")
    if not first:
        return f"no records in {where}"
    what = f"records {first} to {last.n} in {where}"
    if faults:
        return f"{what}: {counted(faults, 'fault')}"
    older = "" if first == 1 else f"; those before {first} are in other files"
    return f"{what} hang together; head {last}{older}"


@audit.command("list")
@settings_option
@json_option
@click.option("--repository", metavar="REPO", help="Only what was done there.")
@click.option("--actor", metavar="A", help="Only what that one did: a user, 'token NAME', inbox, retention.")
@click.option("--since", metavar="T", callback=_since, help="From a time (2026-11-26T04:00) on, or so long ago (2d).")
def list_(config: Path, repository: str | None, actor: str | None, since: str, *, as_json: bool) -> None:
    """Show the records, the oldest first; whether they were altered is not asked."""
    wanted = {key: value for key, value in (("repository", repository), ("actor", actor)) if value is not None}
    found = _found(files_of(_file(load(config))), wanted, since)
    rows = list(found) if as_json else [_row(one) for one in found]
    show(rows, as_json=as_json, empty="no records")


def _found(paths: Sequence[Path], wanted: dict[str, str], since: str) -> Iterator[dict[str, Any]]:
    for one in records(paths):
        if one["time"] >= since and wanted.items() <= one.items():
            yield one


def _row(one: dict[str, Any]) -> dict[str, Any]:
    details = ", ".join(
        f"{key} {_text(value)}" for key, value in one["details"].items() if value not in (None, False, [])
    )
    from_where = f"{one['actor']} ({one['address']})" if one["address"] else one["actor"]
    return {
        "n": one["n"],
        "time": one["time"],
        "actor": from_where,
        "what": one["what"],
        "repository": one["repository"],
        "details": details,
        "outcome": one["outcome"],
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    if isinstance(value, dict):
        # A file that came in, by what it is.
        return str(value.get("package") or value.get("document") or value.get("file") or value)
    return str(value)


@audit.command()
@settings_option
@json_option
def head(config: Path, *, as_json: bool) -> None:
    """Show the last record as N:HASH. Keep it elsewhere: repod audit verify --head tells whether it still is one."""
    settings = load(config)
    _file(settings)
    text = open_record(settings, open_log(settings.log.format, settings.log.level)).head()
    if as_json:
        number, _, digest = text.partition(":")
        show([{"n": int(number), "hash": digest}], as_json=True, empty="")
    else:
        click.echo(text)


def _file(settings: Settings) -> Path:
    if not settings.audit.file:
        msg = 'there is no audit log; name one in the settings: [audit] file = "/var/log/repod/audit.jsonl"'
        raise Misconfigured(msg)
    return Path(settings.audit.file)
