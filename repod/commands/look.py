"""``repod status``, ``packages``, ``history`` and ``verify``: what is there. They change nothing."""

import contextlib
import functools
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from repod.audit import Audit
from repod.commands.common import json_option, repository_argument, settings_option, stamp
from repod.config import load, rejected_dir
from repod.errors import RepodError
from repod.generation import Generation
from repod.history import History
from repod.repodata.listing import packages as listed_packages
from repod.show import show
from repod.signing.opening import open_signer
from repod.signing.verify import verify_detached
from repod.wiring import open_store, public_url


@click.command()
@settings_option
@json_option
def status(config: Path, *, as_json: bool) -> None:
    """Show each repository: generation, packages, inbox, rejected."""
    settings = load(config)
    rows = []
    for repository in settings.repository:
        generation = History(open_store(repository)).current()
        rows.append(
            {
                "repository": repository.name,
                "generation": generation.number if generation else None,
                "packages": generation.packages if generation else None,
                "published": stamp(generation.time) if generation else None,
                "inbox": _count(Path(repository.inbox)),
                "rejected": _count(rejected_dir(repository.inbox)),
                "url": public_url(settings, repository),
            }
        )
    show(rows, as_json=as_json, empty="no repositories")


def _count(folder: Path) -> int:
    return sum(not path.name.startswith(".") and path.is_file() for path in folder.rglob("*.rpm"))


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("package", metavar="[NAME]", default="")
def packages(config: Path, name: str, package: str, *, as_json: bool) -> None:
    """List the packages of REPO, or those called NAME."""
    store = open_store(load(config).named(name))
    generation = History(store).current()
    listed = listed_packages(store, generation) if generation else iter(())
    rows = [
        {"package": str(item.nevra), "size": item.size, "sha256": item.pkgid, "path": item.href}
        for item in listed
        if package in {"", item.nevra.name}
    ]
    show(rows, as_json=as_json, empty="no packages")


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--limit", default=20, show_default=True, help="How many generations, newest first; 0: all.")
def history(config: Path, name: str, limit: int, *, as_json: bool) -> None:
    """List the generations of REPO: when, by whom, why, what."""
    back = History(open_store(load(config).named(name))).back()
    rows = [_row(generation) for generation in itertools.islice(back, limit or None)]
    show(rows, as_json=as_json, empty="nothing published yet")


def _row(generation: Generation) -> dict[str, Any]:
    return {
        "generation": generation.number,
        "time": stamp(generation.time),
        "actor": generation.actor,
        "why": generation.why,
        "packages": generation.packages,
        "added": [str(package.nevra) for package in generation.added],
        "removed": [str(package.nevra) for package in generation.removed],
    }


@click.command()
@settings_option
@json_option
@repository_argument
def verify(config: Path, name: str, *, as_json: bool) -> None:
    """Prove that REPO holds what it shows: every checksum, the index, its signature."""
    settings = load(config)
    store = open_store(settings.named(name))
    with contextlib.closing(open_signer(settings.signing, time.time(), os.environ)) as signer:
        public_key = signer.public_key
    audit = Audit(
        store=store,
        listing=functools.partial(listed_packages, store),
        history=History(store),
        verify_signature=functools.partial(verify_detached, public_key),
    )
    rows = [{"severity": f.severity, "path": f.path, "what": f.text} for f in audit.verify()]
    show(rows, as_json=as_json, empty="sound: everything it lists is there, unaltered and signed")
    if any(row["severity"] == "fault" for row in rows):
        sys.exit(RepodError.exit_code)
