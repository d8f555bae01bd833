"""What metrics say of the hosts of a repository, as they report."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from repod.actions.hosts import nevra_of
from repod.actions.running import newest
from repod.builds import HostReport
from repod.config import Repository
from repod.doors import Clock
from repod.hostbook import HostBook
from repod.loop import Log

if TYPE_CHECKING:
    from repod.metrics import Metrics

SERIES = 500
"""Builds of which it is told how many hosts run them, in one repository."""

_EVERY = 60.0

Build = tuple[str, str]
"""A name, and version and release with the epoch."""


class HostWatch:
    """Looks at the reports of one repository once a minute, in a thread of its own: a store may be slow."""

    def __init__(
        self,
        repository: Repository,
        book: HostBook,
        metrics: "Metrics",
        log: Log,
        *,
        clock: Clock = time.time,
        most: int = SERIES,
    ) -> None:
        """``most``: of so many builds it is told how many hosts run them, those that most of them run first."""
        self._repository = repository
        self._book = book
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._most = most
        self._thread: threading.Thread | None = None
        self._due = 0.0
        self._told: Sequence[str] = ()
        self._left = 0
        self._over = False

    def begin(self) -> None:
        """Look if it is time; what is found is shown when it comes."""
        if time.monotonic() < self._due or (self._thread and self._thread.is_alive()):
            return
        self._due = time.monotonic() + _EVERY
        self._thread = threading.Thread(target=self.look, name=f"hosts of {self._repository.name}", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Look now. Where something cannot be read, what was found before stands."""
        reports, warnings = newest(self._repository, self._book)
        if not warnings and not self._over:
            self._show(reports)
        fresh = [text for text in warnings if text not in self._told]
        self._told = warnings
        for text in fresh:
            self._log.warning("hosts not counted", repository=self._repository.name, problem=text)

    def close(self) -> None:
        """Show nothing any more."""
        self._over = True
        if self._thread:
            self._thread.join(1.0)

    def _show(self, reports: Sequence[HostReport]) -> None:
        name, retention, metrics = self._repository.name, self._repository.retention, self._metrics
        since = self._clock() - retention.hosts_max_age
        counting = [report for report in reports if report.time >= since]
        metrics.hosts_reporting.labels(name).set(len(counting))
        metrics.hosts_stale.labels(name).set(len(reports) - len(counting))
        metrics.hosts_oldest.labels(name).set(min((report.time for report in counting), default=0))
        counts = Counter(build for report in counting for build in set(_builds(report, retention.host_metrics)))
        shown = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: self._most])
        metrics.show_hosts(name, shown)
        left = len(counts) - len(shown)
        if left and not self._left:
            self._log.warning(
                "too many builds for metrics: repod_hosts leaves some out; name fewer in host_metrics",
                repository=name,
                shown=len(shown),
                left_out=left,
            )
        metrics.hosts_left_out.labels(name).set(left)
        self._left = left


def _builds(report: HostReport, patterns: Iterable[str]) -> Iterator[Build]:
    for line in report.lines:
        if any(fnmatchcase(line.rsplit("-", 2)[0], pattern) for pattern in patterns) and (nevra := nevra_of(line)):
            yield nevra.name, nevra.evr


def open_watches(
    repositories: Iterable[tuple[Repository, HostBook]], metrics: "Metrics", log: Log
) -> Sequence[HostWatch]:
    """One for each."""
    return [HostWatch(repository, book, metrics, log) for repository, book in repositories]
