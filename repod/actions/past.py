"""What became of a repository, by whom and why."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from repod.config import Settings
from repod.generation import Generation
from repod.history import History
from repod.ledger import Coming, Ledger
from repod.package import Package
from repod.places import open_store
from repod.times import stamp
from repod.wiring import pause

Row = dict[str, Any]


def history(settings: Settings, name: str, *, package: str = "", before: int = 0, limit: int = 20) -> Sequence[Row]:
    """The generations of a repository older than ``before``, newest first, at most ``limit``; 0: from now on, all.

    With ``package``, those that added or removed builds of that name; builds that came before the
    oldest generation that is kept are told too, as far as they are still known.
    """
    store = open_store(settings, settings.named(name))
    past = History(store)
    kept = list(past.back(before)) if package else past.back(before)
    rows: Iterator[Row] = (
        _row(one, past.changed_documents(one), package) for one in kept if not package or _touches(one, package)
    )
    if package:
        oldest = min((one.number for one in kept), default=before)
        rows = itertools.chain(rows, _before(Ledger(store, pause), package, oldest))
    return list(itertools.islice(rows, limit or None))


def _touches(generation: Generation, name: str) -> bool:
    return any(package.nevra.name == name for package in (*generation.added, *generation.removed))


def _row(generation: Generation, documents: list[str] | None, name: str) -> Row:
    """A generation; with a ``name``, only what it did to builds of that name."""
    added = [pair for pair in generation.came if name in {"", pair[0].nevra.name}]
    return {
        "generation": generation.number,
        "time": stamp(generation.time),
        "actor": generation.actor,
        "why": generation.why,
        "packages": generation.packages,
        "added": _nevras(package for package, _ in added),
        "from": [asdict(origin) for _, origin in added],
        "removed": _nevras(package for package in generation.removed if name in {"", package.nevra.name}),
        "documents": documents,
    }


def _before(ledger: Ledger, name: str, oldest: int) -> Iterator[Row]:
    """What is known of builds of that name that came in generations before ``oldest``, newest first."""
    known = [(one.came, one.nevra) for one in ledger.all().values() if one.nevra.name == name and one.came]
    older = sorted(((came, nevra) for came, nevra in known if came.generation < oldest), key=lambda pair: str(pair[1]))
    for number in sorted({came.generation for came, _ in older}, reverse=True):
        here = [(came, nevra) for came, nevra in older if came.generation == number]
        coming: Coming = here[0][0]
        yield {
            "generation": number,
            "time": stamp(coming.time),
            "actor": coming.actor,
            "why": coming.why,
            "packages": None,
            "added": [str(nevra) for _, nevra in here],
            "from": [asdict(came.origin) for came, _ in here],
            "removed": None,
            "documents": None,
        }


def _nevras(packages: Iterable[Package]) -> list[str]:
    return [str(package.nevra) for package in packages]
