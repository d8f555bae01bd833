"""What prunes a site: one repository on a store in memory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from repod.builds import HostReport
from repod.doors import Change, Need, Store
from repod.errors import Unavailable
from repod.generation import Generation
from repod.idle import Idle, Memory
from repod.ledger import Ledger
from repod.package import Entry, Nevra
from repod.prune import Planner, Pruner
from repod.publish import Publisher
from repod.repodata.listing import StoredListings
from repod.retention import Policy
from repod.retire import Retirement
from tests.lab.site import Site


class Reports:
    """``HostReports`` that a test fills; ``broken`` makes them unreadable."""

    def __init__(self) -> None:
        self.reports: list[HostReport] = []
        self.broken = ""

    def read(self) -> Sequence[HostReport]:
        if self.broken:
            raise Unavailable(self.broken)
        return self.reports


class Related:
    """``Relations`` of packages that require of each other what a test says, and nothing of others."""

    def __init__(self, broken: Callable[[Generation, Collection[Nevra]], Sequence[Need]]) -> None:
        self.broken = broken

    def unmet(self, _generation: Generation | None, _coming: Sequence[Entry]) -> Mapping[Nevra, Sequence[str]]:
        return {}


class Remembered:
    """``Memory`` that ends with the test."""

    def __init__(self) -> None:
        self.idle: Idle | None = None

    def load(self) -> Idle | None:
        return self.idle

    def save(self, idle: Idle | None) -> None:
        self.idle = idle


def planner(
    store: Store,
    *,
    policy: Policy | None = None,
    generations: int = 50,
    grace: float = 0,
    since: float = 0,
    crowded: Callable[[str], bool] = lambda _name: True,
    hooks: Collection[str] = (),
    memory: Memory | None = None,
    reports: Reports | None = None,
    broken: Callable[[Generation, Collection[Nevra]], Sequence[Need]] = lambda _generation, _going: (),
    **retirement: Any,
) -> Planner:
    """What plans; ``retirement``: further words of ``Retirement``."""
    builds = StoredListings(store)
    retiring = Retirement(
        policy=policy or Policy(keep=1000),
        builds=builds,
        ledger=ledger(store),
        relations=lambda: nullcontext(Related(broken)),
        reports=reports,
        max_age=30 * 86400,
        **retirement,
    )
    return Planner(
        store=store,
        builds=builds,
        retirement=retiring,
        generations=generations,
        grace=grace,
        since=lambda: since,
        crowded=crowded,
        hooks=hooks,
        memory=memory or Remembered(),
    )


def ledger(store: Store) -> Ledger:
    """The ledger of a store."""
    return Ledger(store, lambda _: None)


def pruner(site: Site, store: Store | None = None, publisher: Publisher | None = None, **words: Any) -> Pruner:
    """What prunes ``site`` through ``store``; ``words`` as of ``planner``."""
    used = store or site.inner
    publishing = publisher or site.publisher()

    def publish(going: Sequence[Nevra], why: str, on: int) -> Generation:
        return publishing.publish(Change(removed=going), actor="retention", why=why, on=on)

    return Pruner(
        planner=planner(used, **words),
        store=used,
        ledger=ledger(used),
        publish=publish,
        settle=publishing.refresh,
    )


def elsewhere(listed: Collection[Nevra]) -> Mapping[str, Any]:
    """Another repository, called prod, that lists these."""
    return {"prod": lambda: listed}
