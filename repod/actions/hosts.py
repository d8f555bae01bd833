"""The hosts of a repository, as they report: what each runs of it, and whether that is the newest."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from repod.actions.newest import Newest
from repod.actions.running import newest
from repod.builds import HostReport
from repod.config import Repository
from repod.doors import Clock
from repod.errors import RepodError
from repod.hostbook import HostBook
from repod.package import Nevra
from repod.reports import HostBuild, HostPage, HostRow


class Hosts:
    """The hosts of one repository."""

    def __init__(
        self, repository: Repository, book: HostBook, listed: Callable[[], Newest], clock: Clock = time.time
    ) -> None:
        """``listed`` says what is the newest of each name; it may raise what says why that is not known."""
        self._repository = repository
        self._book = book
        self._listed = listed
        self._clock = clock

    def page(self, *, package: str = "", after: str = "", limit: int = 50) -> HostPage:
        """See ``Reports.hosts``."""
        rows, warnings = self.rows(package)
        rest = [row for row in rows if row.host > after]
        return HostPage(
            hosts=rest[:limit],
            total=len(rows),
            stale=sum(row.stale for row in rows),
            differs=sum(not row.stale and any(build.differs for build in row.builds) for row in rows),
            next=rest[limit - 1].host if len(rest) > limit else "",
            warnings=warnings,
        )

    def rows(self, package: str = "") -> tuple[Sequence[HostRow], Sequence[str]]:
        """All of them, by name, and what says why that may not be all."""
        reports, warnings = newest(self._repository, self._book)
        try:
            listed = self._listed()
        except RepodError as error:
            listed, warnings = {}, [*warnings, str(error)]
        wanted = {package} if package else listed.keys()
        rows = (self._row(report, listed, wanted) for report in reports)
        return [row for row in rows if row.builds or not package], warnings

    def _row(self, report: HostReport, listed: Newest, wanted: Iterable[str]) -> HostRow:
        return HostRow.model_construct(
            host=report.host,
            reported=datetime.fromtimestamp(report.time, UTC),
            reported_by=report.by,
            stale=self._clock() - report.time > self._repository.retention.hosts_max_age,
            packages=len(report.lines),
            builds=list(_builds(report, listed, frozenset(wanted))),
            previous=[line for line in report.previous if _name(line) in wanted],
        )


def _builds(report: HostReport, listed: Newest, wanted: frozenset[str]) -> Iterator[HostBuild]:
    digests = report.digests or [""] * len(report.lines)
    pairs = zip(report.lines, digests, strict=True)
    found = [(nevra, digest) for line, digest in pairs if _name(line) in wanted and (nevra := nevra_of(line))]
    runs = {(nevra.name, *_evr(nevra)) for nevra, _ in found}
    for nevra, digest in sorted(found, key=lambda pair: str(pair[0])):
        newest = listed.get(nevra.name)
        yield HostBuild.model_construct(
            package=str(nevra),
            header_sha256=digest,
            newest=str(newest or ""),
            differs=newest is not None and (newest.name, *_evr(newest)) not in runs,
        )


def _evr(nevra: Nevra) -> tuple[int, str, str]:
    return nevra.epoch, nevra.version, nevra.release


def _name(line: str) -> str:
    """The name in a NEVRA, without a look at the rest."""
    return line.rsplit("-", 2)[0]


def nevra_of(line: str) -> Nevra | None:
    """None where it is none: what retention says of such a report is not said again here."""
    try:
        return Nevra.parse(line.replace("-(none):", "-", 1))
    except ValueError:
        return None
