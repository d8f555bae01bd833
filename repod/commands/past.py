"""``repod history``: what became of a repository, by whom and why. It changes nothing."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from repod.commands.common import json_option, repository_argument, settings_option
from repod.config import load
from repod.generation import Generation
from repod.history import History
from repod.ledger import Coming, Ledger
from repod.package import Origin, Package
from repod.places import open_store
from repod.show import show
from repod.times import stamp
from repod.wiring import pause

_SHOWN = 20
"""Builds that a person is shown of one generation; a machine gets all."""

_Row = dict[str, Any]


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--package", "package", metavar="NAME", default="", help="Only builds of that name.")
@click.option("--limit", default=20, show_default=True, help="How many generations, newest first; 0: all.")
def history(config: Path, name: str, package: str, limit: int, *, as_json: bool) -> None:
    """List the generations of REPO: when, by whom, why, what, and where that came from.

    With --package, those that added or removed builds of that name; builds that came before the
    oldest generation that is kept are listed too, as far as repod still knows them.
    """
    settings = load(config)
    store = open_store(settings, settings.named(name))
    past = History(store)
    kept = list(past.back()) if package else past.back()
    rows: Iterator[_Row] = (
        _row(one, past.changed_documents(one), package) for one in kept if not package or _touches(one, package)
    )
    if package:
        oldest = min((one.number for one in kept), default=0)
        rows = itertools.chain(rows, _before(Ledger(store, pause), package, oldest))
    shown = list(itertools.islice(rows, limit or None))
    show(shown if as_json else list(map(_brief, shown)), as_json=as_json, empty=_empty(package))


def _empty(package: str) -> str:
    return f"nothing is known of {package}" if package else "nothing published yet"


def _touches(generation: Generation, name: str) -> bool:
    return any(package.nevra.name == name for package in (*generation.added, *generation.removed))


def _row(generation: Generation, documents: list[str] | None, name: str) -> _Row:
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


def _before(ledger: Ledger, name: str, oldest: int) -> Iterator[_Row]:
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


def _brief(row: _Row) -> _Row:
    """A row for a person: long lists cut, origins in words."""
    sources = [_source(Origin(**origin)) or "-" for origin in row["from"]]
    return row | {
        "added": _cut(row["added"]),
        "from": _cut(sources) if any(source != "-" for source in sources) else None,
        "removed": _cut(row["removed"] or ()),
    }


def _source(origin: Origin) -> str:
    """Where a build came from, in a word or two; empty where that is unknown."""
    words = {"rollback": f"generation {origin.of}", "unknown": ""}
    return words.get(origin.how, origin.of)


def _cut(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _SHOWN
    return [*texts[:_SHOWN], f"and {more} more"] if more > 1 else list(texts)


def _nevras(packages: Iterable[Package]) -> list[str]:
    return [str(package.nevra) for package in packages]
