"""``repoctl hosts list``: who is in a group now, what they run, and what they could get."""

import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repod.client.commands.common import asked, group_option, settings_of, settings_option
from repod.client.fleet import Host
from repod.errors import NotFound
from repod.options import json_option, say
from repod.package import Nevra
from repod.show import show
from repod.wording import counted

if TYPE_CHECKING:  # all of it takes long to import, and --help needs none
    from repod.client.api import Api
    from repod.client.looking import Looked
    from repod.client.settings import Settings
    from repod.client.standing import Standing

_ORIGINS: Mapping[str, str] = {
    "same": "yes",
    "other": "another build of it",
    "named": "by name only",
    "unknown": "no",
    "": "-",
}


@click.command("list")
@settings_option
@group_option
@json_option
@click.option("--package", "names", metavar="NAME", multiple=True, help="A package to look for; may be given again.")
@click.option("--no-connect", is_flag=True, help="Only list them: no host is asked.")
def list_hosts(config: Path | None, group: str, names: Sequence[str], *, no_connect: bool, as_json: bool) -> None:
    """Show who is in group G now, and what they run of its repository.

    Of each package: whether the repository has that very build, by the digest of its header ("not any more": it had,
    and lists it no longer), and the newest one that the host could get. A host that cannot be asked is shown as such,
    and makes the exit code 1.
    """
    from repod.client.wiring import resolve  # noqa: PLC0415 - see above

    settings = settings_of(config)
    hosts = resolve(settings, group, os.environ)
    if no_connect:
        show([_listed(one, as_json=as_json) for one in hosts], as_json=as_json, empty=f"group {group} has no host")
        return
    found = _look(settings, group, hosts, list(dict.fromkeys(names)), config)
    rows = [_document(one) for one in found] if as_json else [row for one in found for row in _rows(one)]
    show(rows, as_json=as_json, empty=f"group {group} has no host")
    if failed := [one for one in found if one.trouble]:
        for one in failed:
            say(one.text if one.text.startswith(one.host.name) else f"{one.host.name}: {one.text}")
        say(f"{len(failed)} of {counted(len(found), 'host')} could not be asked")
        sys.exit(1)


def _look(
    settings: "Settings", group: str, hosts: Sequence[Host], names: Sequence[str], config: Path | None
) -> Sequence["Looked"]:
    from repod.client.looking import look  # noqa: PLC0415
    from repod.client.talk import facts_of  # noqa: PLC0415
    from repod.client.wiring import open_transports  # noqa: PLC0415

    transport = open_transports(settings, group)
    repository = settings.grouped(group).repository
    if not repository:
        return look(hosts, transport, names, None, facts_of)
    with asked(config) as api:
        return look(hosts, transport, names, _Records(api, repository), facts_of)


class _Records:
    """``looking.Records`` of a repository of the daemon."""

    def __init__(self, api: "Api", repository: str) -> None:
        self._api = api
        self._repository = repository

    def listed(self, names: Sequence[str]) -> Mapping[str, Sequence[Nevra]]:
        found: dict[str, list[Nevra]] = defaultdict(list)
        ask = partial(self._api.packages, self._repository)
        for rows in [ask(name=name) for name in names] if names else [ask()]:
            for row in rows:
                found[row.name].append(Nevra.parse(row.package))
        return found

    def digests(self, nevra: Nevra) -> Sequence[str] | None:
        try:
            builds = self._api.package(self._repository, str(nevra))["builds"]
        except NotFound:
            return None
        return [one["header_sha256"] for one in builds if one["header_sha256"]]


def _listed(host: Host, *, as_json: bool) -> Mapping[str, Any]:
    who = {"host": host.name, "address": host.address, "way": host.way}
    if as_json:
        return who | {"user": host.user, "port": host.port, "facts": dict(host.facts)}
    return who | {"facts": _words(host.facts)}


def _words(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in facts.items())


def _document(one: "Looked") -> Mapping[str, Any]:
    """A host for a machine."""
    return {
        **_listed(one.host, as_json=True),
        "system": f"{one.facts.system} {one.facts.version}".strip(),
        "arch": one.facts.arch,
        "trouble": str(one.trouble or ""),
        "problem": one.text,
        "packages": [_package(package) for package in one.packages],
    }


def _package(one: "Standing") -> Mapping[str, Any]:
    return {
        "name": one.name,
        "installed": str(one.installed.nevra) if one.installed else None,
        "header_sha256": one.installed.header_sha256 if one.installed else None,
        "origin": one.origin,
        "listed": one.listed,
        "newest": str(one.newest) if one.newest else None,
    }


def _rows(one: "Looked") -> Sequence[Mapping[str, str]]:
    """A host for a person: a row for each package, or one that says why there is none."""
    if one.trouble:
        return [_row(one, str(one.trouble))]
    if not one.packages:
        return [_row(one, "")]
    return [
        _row(
            one,
            str(package.installed.nevra) if package.installed else f"{package.name} is not installed",
            _of_repository(package),
            str(package.newest.evr) if package.newest else "",
        )
        for package in one.packages
    ]


def _of_repository(one: "Standing") -> str:
    return "not any more" if one.origin in ("same", "named") and not one.listed else _ORIGINS[one.origin]


def _row(one: "Looked", runs: str, of_repository: str = "", could_get: str = "") -> Mapping[str, str]:
    system = f"{one.facts.system} {one.facts.version}".strip()
    return {
        "host": one.host.name,
        "way": one.host.way,
        "system": system,
        "runs": runs,
        "of_repository": of_repository,
        "could_get": could_get,
    }
