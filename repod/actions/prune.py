"""What retention lets go of a repository: the plan, and carrying it out."""

import time
from collections.abc import Sequence
from typing import Any

from repod.actions.means import Means
from repod.errors import Conflict
from repod.office import By, Deed
from repod.places import open_store
from repod.prune import Pruned
from repod.removal import Removal
from repod.retaining import open_planner, open_pruner
from repod.retention import Verdict
from repod.scratch import scratch
from repod.wiring import pause
from repod.wording import counted


def plan(means: Means, name: str) -> Sequence[dict[str, Any]]:
    """What a prune would do; nothing is changed, and no key is needed. See ``Looks.plan``."""
    repository = means.settings.named(name)
    store = open_store(means.settings, repository)
    with scratch() as folder:
        book = means.book(name)
        plan = open_planner(means.settings, repository, store, folder, pause, book=book).plan(time.time())
    return _rows(plan.retire, plan.removals, plan.notes)


def prune(means: Means, name: str, _by: By) -> Deed:
    """Carry it out; see ``Deeds.prune``. The record of the generation says that retention made it."""
    with means.workplace(name) as place:
        book = means.book(name)
        planner = open_planner(means.settings, place.repository, place.store, place.workspace, pause, book=book)
        pruned = open_pruner(planner, place.store, place.publisher, pause).prune(time.time())
    means.pruned(name, pruned)
    overtaken = bool(pruned.plan.retire) and not pruned.generation
    code = pruned.error.exit_code if pruned.error else Conflict.exit_code if overtaken else 0
    return Deed(
        repository=name,
        generation=pruned.generation.number if pruned.generation else None,
        rows=_rows(pruned.retired, pruned.removed, [*pruned.plan.notes, *pruned.left]),
        text=_text(name, pruned),
        code=code,
        stopped=str(pruned.error) if pruned.error else "",
    )


def _text(name: str, pruned: Pruned) -> str:
    if not pruned.retired and not pruned.removed:
        return f"{name}: nothing to remove"
    done = [f"{counted(len(pruned.retired), 'build')} left the metadata"] if pruned.retired else []
    done += [f"{counted(len(pruned.removed), 'file')} ({pruned.size} bytes) left the store"] if pruned.removed else []
    return f"{name}: {', '.join(done)}"


def _rows(retired: Sequence[Verdict], removals: Sequence[Removal], notes: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each build that leaves the metadata, each file that leaves the store, and each note."""
    builds = [
        {"what": "build", "name": str(one.build.nevra), "bytes": one.build.package.size, "why": list(one.why)}
        for one in retired
    ]
    files = [{"what": "file", "name": one.path, "bytes": one.size, "why": [one.why]} for one in removals]
    return [*builds, *files, *({"what": "note", "name": "", "bytes": 0, "why": [note]} for note in notes)]
