"""``repod advisory`` and ``comps``: the documents beside the packages, by hand instead of through the inbox."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from repod.commands.common import audited, json_option, person, repository_argument, settings_option, why_option
from repod.config import load
from repod.documents import publish_edits
from repod.doors import Edit, Unreadable
from repod.errors import Refused
from repod.history import History
from repod.log import open_log
from repod.package import Fault
from repod.places import open_store
from repod.repodata import carried, kinds, updateinfo
from repod.repodata import comps as comps_xml
from repod.repodata.listing import plain
from repod.repodata.reader import read_file
from repod.show import show
from repod.workplace import open_workplace

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)


@click.group()
def advisory() -> None:
    """Add, list and remove advisories (updateinfo)."""


@advisory.command("add")
@settings_option
@json_option
@repository_argument
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@why_option
def add(config: Path, name: str, files: Sequence[Path], why: str, *, as_json: bool) -> None:
    """Add advisories to REPO, each in place of the one with its id.

    A FILE is one advisory (NAME.toml or NAME.json) or an updateinfo.xml, packed or not. All are
    added, or none.
    """
    for file in files:
        if kinds.kind(file.name) not in {kinds.ADVISORY, updateinfo.TYPE}:
            msg = f"{file}: expected a name as ADVISORY.toml, ADVISORY.json or updateinfo.xml"
            raise click.UsageError(msg)
    _publish(config, name, _read(files), "added", why, as_json=as_json)


@advisory.command("list")
@settings_option
@json_option
@repository_argument
def list_(config: Path, name: str, *, as_json: bool) -> None:
    """List the advisories of REPO."""
    settings = load(config)
    store = open_store(settings, settings.named(name))
    generation = History(store).current()
    document = generation.document(updateinfo.TYPE) if generation else None
    rows = [asdict(row) for row in updateinfo.rows(plain(store, document))] if document else []
    show(rows, as_json=as_json, empty="no advisories")


@advisory.command("remove")
@settings_option
@json_option
@repository_argument
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@why_option
def remove(config: Path, name: str, ids: Sequence[str], why: str, *, as_json: bool) -> None:
    """Remove advisories from REPO by their ids: all of them, or none."""
    _publish(config, name, [carried.RemoveAdvisories(ids=tuple(dict.fromkeys(ids)))], "removed", why, as_json=as_json)


@click.group()
def comps() -> None:
    """Set and remove the groups (comps)."""


@comps.command("set")
@settings_option
@json_option
@repository_argument
@click.argument("file", metavar="FILE", type=_FILE)
@why_option
def set_(config: Path, name: str, file: Path, why: str, *, as_json: bool) -> None:
    """Make FILE, a comps.xml, packed or not, the groups of REPO, in place of those there are."""
    _publish(config, name, _read([file], comps_xml.TYPE), "set", why, as_json=as_json)


@comps.command("remove")
@settings_option
@json_option
@repository_argument
@why_option
def unset(config: Path, name: str, why: str, *, as_json: bool) -> None:
    """Take the groups of REPO away."""
    _publish(config, name, [carried.SetDocument(type=comps_xml.TYPE, data=None)], "removed", why, as_json=as_json)


def _read(files: Sequence[Path], as_kind: str = "") -> list[Edit]:
    """The edits that ``files`` ask for; ``Refused`` lists the faults of all, one a line."""
    edits: list[Edit] = []
    faults: list[Fault] = []
    for file in files:
        try:
            edits.append(read_file(file.name, file, as_kind))
        except Unreadable as error:
            faults += error.faults
    if faults:
        raise Refused("\n".join(fault.text for fault in faults))
    return edits


def _publish(config: Path, name: str, edits: Sequence[Edit], done: str, why: str, *, as_json: bool) -> None:
    """Publish ``edits`` and say what became of each; ``done`` is what they do, in a word."""
    settings = load(config)
    log = open_log(settings.log.format, settings.log.level)
    details = {"documents": [edit.what for edit in edits], "change": done}
    with (
        audited(settings, "documents", name, details, why) as outcome,
        open_workplace(settings, name, log, os.environ) as work,
    ):
        actor = person(os.environ)
        text = f"{done}: {why}" if why else done
        generation, verdicts = publish_edits(work.publisher, work.scales, edits, actor=actor, done=text)
        outcome.end(f"generation {generation.number} of {name}")
    rows = [
        {
            "document": edit.what,
            "result": done if verdict.result == "accepted" else "no change",
            "generation": generation.number,
        }
        for edit, verdict in zip(edits, verdicts, strict=True)
    ]
    show(rows, as_json=as_json, empty="")
