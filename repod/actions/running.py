"""Which hosts run a build, by what they report."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from repod.builds import Host, HostReport, HostReports, Running
from repod.config import Repository
from repod.errors import Misconfigured, RepodError
from repod.hostbook import HostBook
from repod.hostreports import ReportFolder
from repod.needed import as_reported
from repod.package import Nevra
from repod.times import stamp

# Seconds by which two clocks may differ.
_SAME = 60.0


def hosts(repository: Repository, book: HostBook, word: str) -> Running:
    """Which hosts say that they run the build, by name; see ``Looks.hosts``. A host that reports late counts too."""
    try:
        lines = as_reported(Nevra.parse(word))
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    reports, warnings = newest(repository, book)
    found = [
        Host(
            host=one.host,
            time=stamp(one.time),
            header_sha256=one.digest_of(lines),
            previous=lines.isdisjoint(one.lines),
        )
        for one in reports
        if not (lines.isdisjoint(one.lines) and lines.isdisjoint(one.previous))
    ]
    return Running(hosts=found, warnings=warnings)


def newest(repository: Repository, book: HostBook) -> tuple[Sequence[HostReport], Sequence[str]]:
    """The newest report of each host, by name, as far as they can be read; and what says why that may not be all."""
    found: dict[str, HostReport] = {}
    warnings = []
    for place in _places(repository, book):
        try:
            for report in place.read():
                known = found.get(report.host)
                if known is None or known.time <= report.time + _SAME:
                    found[report.host] = report
        except RepodError as error:
            warnings.append(str(error))
    return [found[host] for host in sorted(found)], warnings


def _places(repository: Repository, book: HostBook) -> Iterator[HostReports]:
    # The book comes last: what came over HTTP is in both, and says more there.
    if repository.retention.hosts:
        yield ReportFolder(Path(repository.retention.hosts))
    yield book
