"""Advisories: listed, added, removed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from repod.actions.means import Means
from repod.config import Settings
from repod.documents import publish_edits
from repod.doors import Edit, Unreadable
from repod.errors import Refused
from repod.history import History
from repod.office import By, Deed
from repod.package import Fault
from repod.places import open_store
from repod.repodata import carried, modules, updateinfo
from repod.repodata.listing import plain
from repod.repodata.reader import read_file


def advisories(settings: Settings, name: str) -> Sequence[dict[str, Any]]:
    """Those of the current generation; see ``Looks.advisories``."""
    store = open_store(settings, settings.named(name))
    generation = History(store).current()
    document = generation.document(updateinfo.TYPE) if generation else None
    return [asdict(row) for row in updateinfo.rows(plain(store, document))] if document else []


def streams(settings: Settings, name: str) -> Mapping[str, Sequence[str]]:
    """The module streams of builds; see ``Looks.modules``."""
    store = open_store(settings, settings.named(name))
    generation = History(store).current()
    document = generation.document(modules.TYPE) if generation else None
    found = modules.artifacts(plain(store, document)) if document else {}
    return {str(nevra): [":".join(stream) for stream in sorted(of)] for nevra, of in found.items()}


def advise(means: Means, name: str, file: str, data: bytes, by: By) -> Deed:
    """Add the advisories of a file, whatever it holds; see ``Deeds.advise``."""
    with means.reader() as rpms, means.scratch() as folder:
        path = folder / "document"
        path.write_bytes(data)
        try:
            edit: Edit = rpms.run_document(read_file, file, path)
        except Unreadable as error:
            raise refused(error.faults) from error
    return publish(means, name, [edit], "added", by)


def unadvise(means: Means, name: str, ids: Sequence[str], by: By) -> Deed:
    """Remove advisories by their ids: all of them, or none; see ``Deeds.unadvise``."""
    return publish(means, name, [carried.RemoveAdvisories(ids=tuple(dict.fromkeys(ids)))], "removed", by)


def refused(faults: Sequence[Fault]) -> Refused:
    """The error that lists them, one a line."""
    return Refused("\n".join(fault.text for fault in faults))


def publish(means: Means, name: str, edits: Sequence[Edit], done: str, by: By) -> Deed:
    """Publish edits of documents; ``done`` is what they do, in a word."""
    with means.workplace(name) as work:
        text = f"{done}: {by.why}" if by.why else done
        generation, verdicts = publish_edits(work.publisher, work.scales, edits, actor=by.actor, done=text)
    made = [verdict.result == "accepted" for verdict in verdicts]
    rows = [
        {"document": edit.what, "result": done if yes else "no change", "generation": generation.number}
        for edit, yes in zip(edits, made, strict=True)
    ]
    what = edits[0].what if len(edits) == 1 else f"{len(edits)} documents"
    number = generation.number
    told = f"{what} {done}: generation {number} of {name}" if any(made) else f"{what}: nothing to do"
    return Deed(repository=name, generation=number if any(made) else None, rows=rows, text=told)
