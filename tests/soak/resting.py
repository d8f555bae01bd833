"""What is left when all is quiet: in inboxes, among the rejected, in stores; and why it is there."""

import gzip
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repod.statement import STATEMENT
from tests.soak.fates import Log
from tests.soak.plan import Drop
from tests.soak.system import System

_OVERTAKEN, _STRANGE = "documents of publishes that another was faster than", "not explained"
_RETURNING = "packages of changes that another was faster than"
_DOCUMENT = re.compile(r"[0-9a-f]{64}-.+")
_HREF = re.compile(rb'<location href="([^"]+)"')


def fates(drops: Collection[Drop], log: Log, system: System) -> Iterator[str]:
    """Of which drop it is not true that it ended once: published, known already, or rejected with a reason."""
    # Of two builds of one NEVRA that come at one time, either may be the first.
    overtaken = {drop.of for drop in drops if drop.fault == "other bytes" and log.fates.get(drop.file) == ["published"]}
    for drop in drops:
        found = log.fates.get(drop.file, [])
        what = f"{drop.file} in {drop.repository}"
        if len(found) != 1:
            yield f"{what} ended {len(found)} times: {found}"
        elif drop.fault and drop.fault != "other bytes" and found != ["rejected"]:
            yield f"{what} ({drop.fault}) was {found[0]}"
        elif not drop.fault and found == ["rejected"] and not overtaken & {drop.number, drop.of}:
            yield f"{what} was rejected: {log.reasons[drop.file]}"
        elif found == ["rejected"]:
            lying = list(system.repod.rejected(drop.repository).glob(f"{drop.file}*"))
            if not log.reasons[drop.file] or len(lying) < 2:
                yield f"{what} was rejected without a reason, or its file: {lying}"
    for name in system.shape.names:
        yield from (f"{path} is left in the inbox" for path in system.repod.inbox(name).rglob("*") if path.is_file())


@dataclass(slots=True)
class Room:
    """What lies in stores, and why: numbers and bytes of each kind. ``strange``: what nothing explains. ``overtaken``:
    documents that no record names: a publish made them that another was faster than, and they go after an hour.
    ``returning``: packages that no kept generation lists: a change was about to bring them back when another was
    faster, and it was refused then, or had nothing to do; they go after an hour, too.

    ``generations``: how many each store keeps.
    """

    files: dict[str, int] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    overtaken: list[str] = field(default_factory=list)
    returning: list[str] = field(default_factory=list)
    generations: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, path: Path) -> None:
        """A file of a kind."""
        self.files[kind] = self.files.get(kind, 0) + 1
        self.size[kind] = self.size.get(kind, 0) + path.stat().st_size


def explain(room: Room, store: Path) -> None:
    """Add what lies in one store. Packages and documents must be those of a generation that is kept."""
    records = [json.loads(path.read_bytes()) for path in store.glob(".repod/generations/*.json")]
    room.generations[store.name] = len(records)
    views = {f"generations/{record['number']}" for record in records}
    documents = {path for record in records for path in _documents(record)}
    listed = {href for view in views for href in _listed(store, view)}
    for path in store.rglob("*"):
        if path.is_file():
            inside = str(path.relative_to(store))
            kind = _kind(inside, documents, listed, views)
            room.add(kind, path)
            listing = {_OVERTAKEN: room.overtaken, _RETURNING: room.returning, _STRANGE: room.strange}.get(kind)
            if listing is not None:
                listing.append(f"{store.name}/{inside}")


def _kind(inside: str, documents: set[str], listed: set[str], views: set[str]) -> str:
    """Why a file is there."""
    top, (view, _, leaf) = inside.partition("/")[0], inside.rpartition("repodata/")
    if top == "Packages":
        return "packages that a kept generation lists" if inside in listed else _RETURNING
    if top not in {"repodata", "generations"}:
        return "records of generations" if top == ".repod" else "pages and files for hosts"
    stated = inside == STATEMENT
    if stated or inside in documents or (leaf.startswith("repomd.xml") and (not view or view.rstrip("/") in views)):
        return "documents and indexes of kept generations"
    return _OVERTAKEN if _DOCUMENT.fullmatch(leaf) else _STRANGE


def _documents(record: dict[str, Any]) -> Iterator[str]:
    view = f"generations/{record['number']}/"
    yield view + record["frozen"]["href"]
    for document in record["documents"]:
        yield document["href"]
        yield view + document["href"]


def _listed(store: Path, view: str) -> Iterator[str]:
    for path in store.glob(f"{view}/repodata/*-primary.xml.gz"):
        for href in _HREF.findall(gzip.decompress(path.read_bytes())):
            yield href.decode().removeprefix("../../")
