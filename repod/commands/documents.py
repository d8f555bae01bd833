"""``repod advisory`` and ``comps``: the documents beside the packages, by hand instead of through the inbox."""

from collections.abc import Sequence
from pathlib import Path

import click

from repod.actions.papers import advisories, refused
from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.doors import Edit, Unreadable
from repod.options import json_option, repository_argument, why_option
from repod.package import Fault
from repod.repodata import carried, kinds, updateinfo
from repod.repodata import comps as comps_xml
from repod.repodata.reader import read_file
from repod.show import show

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
    show(advisories(load(config), name), as_json=as_json, empty="no advisories")


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
        raise refused(faults)
    return edits


def _publish(config: Path, name: str, edits: Sequence[Edit], done: str, why: str, *, as_json: bool) -> None:
    """Publish ``edits`` and say what became of each; ``done`` is what they do, in a word."""
    show(deeds(load(config)).edit(name, edits, done, by(why)).rows, as_json=as_json, empty="")
