"""Joins what prunes one repository."""

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path

from repod.announced import read_announced
from repod.builds import HostReports
from repod.config import Repository, Retention, Settings
from repod.doors import Change, Store
from repod.errors import Corrupt, Unavailable
from repod.generation import RETENTION, Generation
from repod.history import History
from repod.hostbook import AllReports, HostBook
from repod.hostreports import ReportFolder
from repod.idlefile import IdleFile
from repod.ledger import Ledger
from repod.package import Nevra, Package
from repod.places import open_store
from repod.posting import hooks_of
from repod.prune import Planner, Pruner
from repod.publish import Publisher
from repod.relating import Relations
from repod.repodata.listing import StoredListings
from repod.retention import Pattern, Policy
from repod.retire import Retirement
from repod.rings import read_rings

Pause = Callable[[int], None]
"""See ``Publisher``."""

FindNamed = Callable[[str], Iterable[Package]]
"""The builds of a name that the current generation lists."""


def open_planner(
    settings: Settings,
    repository: Repository,
    store: Store,
    workspace: Path,
    pause: Pause,
    *,
    find: FindNamed | None = None,
    book: HostBook | None = None,
) -> Planner:
    """What plans the pruning of a repository; ``workspace`` is a private folder.

    ``find`` lists the current builds of a name. Without it each plan is a whole look, and none is remembered.
    ``book`` is that of the repository, where one is open already.
    """
    retention = repository.retention
    place = Path(settings.state_dir) if find else workspace

    def crowded(name: str) -> bool:
        return find is None or any(itertools.islice(find(name), retention.keep, None))

    return Planner(
        store=store,
        builds=StoredListings(store),
        retirement=open_retirement(settings, repository, store, workspace, pause, book=book),
        generations=retention.generations,
        grace=retention.grace,
        since=partial(_since, store),
        crowded=crowded,
        hooks=[hook.name for hook in hooks_of(settings, repository.name)],
        memory=IdleFile(place / "idle" / f"{repository.name}.json", retention.model_dump_json()),
    )


def open_retirement(
    settings: Settings,
    repository: Repository,
    store: Store,
    workspace: Path,
    pause: Pause,
    *,
    book: HostBook | None = None,
) -> Retirement:
    """What decides which builds of a repository stay; ``workspace`` is a private folder, ``book`` as above."""
    retention = repository.retention
    return Retirement(
        policy=_policy(retention),
        builds=StoredListings(store),
        ledger=Ledger(store, pause),
        reports=open_reports(repository, book or HostBook(store)),
        max_age=retention.hosts_max_age,
        elsewhere={name: partial(_listed, settings, repository, settings.named(name)) for name in retention.needed_by},
        relations=partial(_relations, settings, repository, store, workspace, pause),
        rings=partial(read_rings, store),
    )


def open_reports(repository: Repository, book: HostBook) -> HostReports:
    """All that hosts of a repository report, over HTTP or into the folder that its settings name."""
    folder = repository.retention.hosts
    return AllReports([ReportFolder(Path(folder)), book]) if folder else book


def _relations(
    settings: Settings, repository: Repository, store: Store, workspace: Path, pause: Pause
) -> AbstractContextManager[Relations]:
    from repod.related import open_relations  # noqa: PLC0415 - needed where a build would go; it brings an HTTP client

    return open_relations(settings, repository, store, workspace, pause)


def _since(store: Store) -> float:
    """When hosts first got a key from repod; where that is not known, nothing is old enough."""
    with suppress(Corrupt):
        return min((one.since for one in read_announced(store).values()), default=math.inf)
    return math.inf


def open_pruner(planner: Planner, store: Store, publisher: Publisher, pause: Pause) -> Pruner:
    """What carries out the plans of ``planner``."""

    def publish(going: Sequence[Nevra], why: str, on: int) -> Generation:
        return publisher.publish(Change(removed=going), actor=RETENTION, why=why, on=on)

    return Pruner(planner=planner, store=store, ledger=Ledger(store, pause), publish=publish, settle=publisher.refresh)


def _policy(retention: Retention) -> Policy:
    return Policy(
        keep=retention.keep,
        keep_versions=retention.keep_versions,
        keep_days=retention.keep_days,
        lines=[Pattern.parse(line) for line in retention.lines],
    )


def _listed(settings: Settings, asking: Repository, other: Repository) -> Collection[Nevra]:
    """What another repository lists now; ``Unavailable`` where nothing is published there: it may not be mounted."""
    store = open_store(settings, other)
    current = History(store).current()
    if current is None:
        msg = (
            f"repository {other.name}, which needs builds of {asking.name} (needed_by), has no generation in "
            f"{other.store}: is it mounted? Nothing is pruned until repod run or once has opened it"
        )
        raise Unavailable(msg)
    return {one.package.nevra for one in StoredListings(store).listed(current)}
