"""``repoctl advisory``: what updateinfo says of builds, by hand."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

import click

from repod import jsontext
from repod.client.commands.common import asked, repository_argument, settings_option
from repod.errors import Refused
from repod.options import json_option, leave, why_option
from repod.show import show

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
_LARGEST = 4 << 20


@click.group()
def advisory() -> None:
    """Add, list and remove advisories (updateinfo)."""


@advisory.command("add")
@settings_option
@json_option
@repository_argument
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@why_option
def add(config: Path | None, name: str, files: Sequence[Path], why: str, *, as_json: bool) -> None:
    """Add advisories to REPO, each in place of the one with its id.

    A FILE is one advisory, NAME.toml or NAME.json. They are added one after the other. A whole
    updateinfo.xml goes through the inbox: repoctl push REPO updateinfo.xml
    """
    documents = [_read(file) for file in files]
    rows: list[Mapping[str, Any]] = []
    with asked(config) as api:
        for document in documents:
            deed = api.advise(name, document, why=why)
            rows += deed.rows
    show(rows, as_json=as_json, empty="")
    leave(deed)


@advisory.command("list")
@settings_option
@json_option
@repository_argument
def list_(config: Path | None, name: str, *, as_json: bool) -> None:
    """List the advisories of REPO."""
    with asked(config) as api:
        show(api.advisories(name), as_json=as_json, empty="no advisories")


@advisory.command("remove")
@settings_option
@json_option
@repository_argument
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@why_option
def remove(config: Path | None, name: str, ids: Sequence[str], why: str, *, as_json: bool) -> None:
    """Remove advisories from REPO by their ids, one after the other."""
    rows: list[Mapping[str, Any]] = []
    with asked(config) as api:
        for one in dict.fromkeys(ids):
            deed = api.unadvise(name, one, why=why)
            rows += deed.rows
    show(rows, as_json=as_json, empty="")
    leave(deed)


def _read(file: Path) -> Mapping[str, Any]:
    """The advisory that a file holds, as JSON can hold it."""
    if file.suffix not in {".toml", ".json"}:
        msg = f"{file}: expected a name as ADVISORY.toml or ADVISORY.json; push others: repoctl push REPO {file}"
        raise click.UsageError(msg)
    try:
        text = file.read_bytes()[:_LARGEST].decode()
        found = tomllib.loads(text) if file.suffix == ".toml" else jsontext.loads(text)
        found = jsontext.loads(json.dumps(found, default=_plain))
    except (OSError, ValueError) as error:
        msg = f"{file}: expected an advisory in {file.suffix[1:].upper()}; {error}"
        raise Refused(msg) from error
    if not isinstance(found, dict):
        msg = f"{file}: expected one advisory, found {type(found).__name__}"
        raise Refused(msg)
    return found


def _plain(value: object) -> str:
    """What TOML has and JSON has not."""
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    raise TypeError
