"""The office: what API and pages may ask, joined."""

from collections.abc import Callable, Mapping

from repod.actions.deeds import RecordedDeeds
from repod.actions.looks import OpenLooks
from repod.actions.means import Means
from repod.actions.work import Work
from repod.loop import Log
from repod.office import Catalog, Office, Record, Reports
from repod.prune import Pruned
from repod.rpmfile.pool import Share
from repod.wiring import System


def open_means(system: System, log: Log, pruned: Callable[[str, Pruned], object] = lambda _name, _run: None) -> Means:
    """What actions in the daemon work with: its own signer, half of its processes, and its stores.

    ``pruned`` hears of each prune that is asked for.
    """
    return Means(
        settings=system.settings,
        environ=system.environ,
        log=log,
        staff=(system.signer, Share(system.rpms)),
        stores={name: wired.store for name, wired in system.repositories.items()},
        pruned=pruned,
        books=system.books,
    )


def open_office(
    means: Means,
    work: Work,
    done: Callable[[str], None],
    catalogs: Mapping[str, Catalog],
    record: Record,
    *,
    reports: Reports,
) -> Office:
    """All that may be asked of the settings of ``means``.

    Changes are known to ``work``; ``done`` hears the name of a repository that may have changed;
    ``record`` is the audit log.
    """
    deeds = RecordedDeeds(means, record, work=work, done=done)
    names = [repository.name for repository in means.settings.repository]
    return Office(
        looks=OpenLooks(means), deeds=deeds, catalogs=catalogs, repositories=names, record=record, reports=reports
    )
