"""Single builds: taken out of the metadata, pinned, labelled."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from repod.actions.means import Means
from repod.comparison import Step
from repod.errors import Misconfigured
from repod.history import History
from repod.ledger import Build, Ledger, Mark
from repod.office import By, Deed
from repod.places import open_store
from repod.remove import Removing
from repod.repodata.listing import packages as listed_packages
from repod.rings import read_rings
from repod.selection import select
from repod.values import LABEL, LABEL_FORM
from repod.wiring import pause


def remove(means: Means, name: str, nevras: Sequence[str], by: By, *, dry_run: bool) -> Deed:
    """Take builds out of the metadata: all of them, or none; see ``Deeds.remove``."""
    with means.workplace(name) as work:
        removing = Removing(
            repository=name,
            repodata=work.repodata,
            publisher=work.publisher,
            ledger=work.ledger,
            pause=pause,
            rings=partial(read_rings, work.store),
        )
        if dry_run:
            plan, number = removing.plan(nevras), None
        else:
            plan, generation = removing.run(nevras, actor=by.actor, why=by.why)
            number = generation.number
    told = {step.before: step for step in plan.seen}
    rows = [_row(str(package.nevra), told.get(package), number) for package in plan.gone]
    what = rows[0]["package"] if len(rows) == 1 else f"{len(rows)} builds"
    text = f"{what} removed: generation {number} of {name}" if number else f"would remove {what} from {name}"
    warnings = [row["warning"] for row in rows if row["warning"]]
    return Deed(repository=name, generation=number, rows=rows, warnings=warnings, text=text)


def _row(package: str, step: Step | None, generation: int | None) -> dict[str, Any]:
    return {
        "package": package,
        "result": "removed" if generation else "would be removed",
        "generation": generation,
        "next": str(step.after.nevra) if step and step.after else None,
        "warning": _warning(step) if step else None,
    }


def _warning(step: Step) -> str:
    before = step.before.nevra if step.before else None
    name = before.name if before else ""
    if step.after is None:
        return f"{before} was the last build of {name}: hosts keep it; on each: dnf remove {name}"
    return (
        f"{before} was the newest build, the next is {step.after.nevra}: "
        f"hosts do not go down by themselves; on each: dnf --refresh distro-sync {name}"
    )


def mark(means: Means, name: str, nevras: Sequence[str], by: By, *, label: str, off: bool) -> Deed:
    """Pin builds that are listed now, or put ``label`` on them; ``off``: take that off builds, listed or not.

    No key is needed for that, nor the documents' cache.
    """
    if label and not LABEL.fullmatch(label):
        msg = f"label: {LABEL_FORM}; found {label!r}"
        raise Misconfigured(msg)
    desk = _Desk(means, name)
    rows = desk.unmark(nevras, label) if off else desk.mark(nevras, label, by)
    what = rows[0]["package"] if len(rows) == 1 else f"{len(rows)} builds"
    text = f"{what}: {rows[0]['result']}" if len({row["result"] for row in rows}) == 1 else f"{what} looked at"
    return Deed(repository=name, generation=None, rows=rows, text=text)


class _Desk:
    """Marks on the builds of one repository."""

    def __init__(self, means: Means, name: str) -> None:
        store = open_store(means.settings, means.settings.named(name))
        self._name = name
        self._ledger = Ledger(store, pause)
        generation = History(store).current()
        self._listed = list(listed_packages(store, generation)) if generation else []

    def mark(self, nevras: Sequence[str], label: str, by: By) -> list[dict[str, str]]:
        """Set a mark on builds that are listed now."""
        mark = Mark(time=time.time(), actor=by.actor, why=by.why)
        builds = select(self._listed, nevras, self._name)
        for build in builds:
            if label:
                self._ledger.label(build, label, mark)
            else:
                self._ledger.pin(build, mark)
        done = f"labelled {label}" if label else "pinned"
        return [{"package": str(build.nevra), "result": done} for build in builds]

    def unmark(self, nevras: Sequence[str], label: str) -> list[dict[str, str]]:
        """Take a mark off builds, listed or not."""
        act: Callable[[Build], bool] = partial(self._ledger.unlabel, label=label) if label else self._ledger.unpin
        yes, no = (f"{label} taken off", f"had no label {label}") if label else ("unpinned", "was not pinned")
        listed = {build.pkgid for build in self._listed}
        marked = [known for known in self._ledger.all().values() if (known.pin or known.labels)]
        known: list[Build] = [*self._listed, *(one for one in marked if one.pkgid not in listed)]
        builds = select(known, nevras, self._name)
        return [{"package": str(build.nevra), "result": yes if act(build) else no} for build in builds]
