"""Rolls a site back, as a command in a process of its own does."""

import itertools
from functools import partial
from pathlib import Path

from repod.actions.changes import read_carried
from repod.headers import Headers
from repod.ledger import Ledger
from repod.repodata.listing import entries
from repod.repodata.strictreader import StrictDocuments
from repod.rollback import Rollback
from tests.lab.care import LineRpms
from tests.lab.faulty import FaultyStore
from tests.lab.inline import inline
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
        ledger=Ledger(store, site.pause),
        plain=partial(read_carried, store),
        entries=partial(entries, store),
        describe=headers.entry,
        pause=site.pause,
        threads=inline,
    )
