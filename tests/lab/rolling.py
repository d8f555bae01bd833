"""Rolls a site back, as a command in a process of its own does."""

import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from repod.doors import Store
from repod.errors import NotFound
from repod.generation import Document, Generation
from repod.headers import Headers
from repod.ledger import Ledger
from repod.package import Entry, Package
from repod.repodata.listing import entries, plain
from repod.repodata.strictreader import StrictDocuments
from repod.rollback import Rollback
from tests.lab.care import LineRpms
from tests.lab.faulty import FaultyStore
from tests.lab.site import Site

_numbers = itertools.count()


def rolling(site: Site, folder: Path, store: FaultyStore | None = None, cache: str = "") -> Rollback:
    """What rolls a site back over its own view of the store; ``folder`` is for private copies."""
    store = store or site.store()
    repodata = site.repodata(store, cache or f"rolling{next(_numbers)}")
    folder.mkdir(exist_ok=True)
    headers = Headers(store=store, rpms=LineRpms(), changelogs=10, workspace=folder)
    return Rollback(
        store=store,
        documents=StrictDocuments(store),
        repodata=repodata,
        publisher=site.publisher(store, repodata=repodata),
        ledger=Ledger(store, site.pauses.append),
        plain=partial(_plain, store),
        entries=partial(_entries, store),
        describe=headers.entry,
        pause=site.pauses.append,
    )


def _plain(store: Store, document: Document, view: str) -> bytes:
    try:
        return plain(store, document)
    except NotFound:
        return plain(store, document, view)


def _entries(store: Store, generation: Generation, packages: Sequence[Package]) -> list[Entry]:
    return entries(store, generation, packages)
