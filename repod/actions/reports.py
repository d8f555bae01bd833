"""Reports of hosts and of rollouts, kept where retention and pages find them."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repod.actions.means import Means
from repod.actions.newest import NewestCatalogued
from repod.builds import HostReport
from repod.errors import NotFound, Unavailable, Unfit
from repod.happenings import Event, Hear
from repod.hostreports import ReportFolder
from repod.office import By, Catalog, Record
from repod.package import Nevra
from repod.wiring import Wired, pause

if TYPE_CHECKING:  # who is told of no rollouts does without their models, which take long to make
    from repod.reports import HostNoted, HostPage, HostSays, Reported, Rollout, Summary
    from repod.rollouts import Rollouts

# rpm lists imported keys as packages without an architecture.
_KEY = "gpg-pubkey-"
_SHOWN = 80


class SettledReports:
    """``Reports`` of the repositories of some settings."""

    def __init__(
        self,
        means: Means,
        record: Record,
        *,
        parts: Mapping[str, Wired] | None = None,
        hear: Hear = lambda _: None,
        catalogs: Mapping[str, Catalog] | None = None,
    ) -> None:
        """``parts`` of each repository, without which no rollouts are known.

        ``hear`` and the audit log are told of rollouts that begin or end.
        """
        self._means = means
        self._parts = parts or {}
        self._catalogs = catalogs or {}
        self._newest: dict[str, NewestCatalogued] = {}
        self._hear = hear
        self._record = record

    def rollouts(self, repository: str, *, limit: int = 20) -> "Sequence[Summary]":
        """See ``Reports``."""
        return self._of(repository).newest(limit)

    def rollout(self, repository: str, name: str) -> "Reported":
        """See ``Reports``."""
        return self._of(repository).one(name)

    def report(self, repository: str, rollout: "Rollout", by: By) -> "Reported":
        """See ``Reports``."""
        self._record.ready()
        told: list[Event] = []
        kept = self._of(repository, told).report(rollout, by.actor)
        for event in told:
            details = {"rollout": rollout.id, "package": rollout.package, "state": rollout.state}
            self._record(by=by, what="report rollout", repository=repository, details=details, outcome="done")
            self._hear(event)
        return kept

    def host(self, repository: str, host: str, said: "HostSays", by: By) -> "HostNoted":
        """See ``Reports``. Where a folder is set for reports, it gets the lines as ``rpm -qa`` prints them."""
        from repod.reports import HostNoted  # noqa: PLC0415 - see above

        lines = [one.nevra for one in said.packages]
        fault = _fault(lines) or _fault([*lines[:1], *(one.nevra for one in said.previous)])
        if fault:
            msg = f"report of host {host}: {fault}"
            raise Unfit(msg)
        self._record.ready()
        packages = [one for one in said.packages if not one.nevra.startswith(_KEY)]
        report = HostReport(
            host=host,
            time=time.time(),
            lines=[one.nevra for one in packages],
            previous=[one.nevra for one in said.previous],
            digests=[one.header_sha256 for one in packages],
            by=by.actor,
        )
        self._means.book(repository).write(report)
        kept = "".join(f"{line}\n" for line in lines)
        folder = self._folder(repository)
        if folder:
            folder.write(host, kept)
        details = {"host": host, "packages": len(packages), "sha256": hashlib.sha256(kept.encode()).hexdigest()}
        self._record(by=by, what="report host", repository=repository, details=details, outcome="done")
        return HostNoted(host=host, packages=len(packages))

    def hosts(self, repository: str, *, package: str = "", after: str = "", limit: int = 50) -> "HostPage":
        """See ``Reports``."""
        from repod.actions.hosts import Hosts  # noqa: PLC0415 - see above

        newest = self._newest.setdefault(repository, NewestCatalogued(lambda: self._catalog(repository)))
        named = self._means.settings.named(repository)
        return Hosts(named, self._means.book(repository), newest).page(package=package, after=after, limit=limit)

    def forget(self, repository: str, host: str, by: By) -> None:
        """See ``Reports``."""
        self._record.ready()
        folder, book = self._folder(repository), self._means.book(repository)
        there = [book.forget(host), folder is not None and folder.forget(host)]
        if not any(there):
            msg = f"there is no report of host {host!r} in {repository}; see: repod hosts list {repository}"
            raise NotFound(msg)
        self._record(by=by, what="forget host", repository=repository, details={"host": host}, outcome="done")

    def _folder(self, repository: str) -> ReportFolder | None:
        folder = self._means.settings.named(repository).retention.hosts
        return ReportFolder(Path(folder)) if folder else None

    def _catalog(self, repository: str) -> Catalog:
        try:
            return self._catalogs[repository]
        except KeyError:
            msg = f"{repository}: what it lists is not known here, so nothing is said of what is the newest"
            raise Unavailable(msg) from None

    def _of(self, repository: str, told: list[Event] | None = None) -> "Rollouts":
        from repod.rollouts import Rollouts  # noqa: PLC0415 - see above

        parts = self._parts[repository]

        def posted(event: Event) -> None:
            parts.post(event)
            if told is not None:
                told.append(event)

        return Rollouts(repository, parts.store, post=posted, pause=pause, clock=time.time)


def _fault(lines: Sequence[str]) -> str:
    """What is wrong with a report, in words; a line that is no NEVRA would stop retention."""
    if not any(not line.startswith(_KEY) for line in lines):
        return "expected what rpm -qa prints, found no package"
    for line in lines:
        try:
            if not line.isprintable():
                raise ValueError  # noqa: TRY301 - told as any other line that is none
            if not line.startswith(_KEY):
                Nevra.parse(line.replace("-(none):", "-", 1))
        except ValueError:
            return f"expected lines as rpm -qa prints them, found {line[:_SHOWN]!r}"
    return ""
