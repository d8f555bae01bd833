"""Which hosts run a build, by what they report."""

from pathlib import Path

from repod.config import Repository
from repod.errors import Misconfigured, Unavailable
from repod.hostreports import ReportFolder
from repod.needed import as_reported
from repod.office import Host, Running
from repod.package import Nevra
from repod.times import stamp


def hosts(repository: Repository, word: str) -> Running:
    """Which hosts say that they run the build, by name; see ``Looks.hosts``. A host that reports late counts too."""
    try:
        lines = as_reported(Nevra.parse(word))
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    folder = repository.retention.hosts
    if not folder:
        return Running(hosts=(), warnings=["hosts do not report here: [repository.retention] hosts is not set"])
    try:
        reports = ReportFolder(Path(folder)).read()
    except Unavailable as error:
        return Running(hosts=(), warnings=[str(error)])
    found = [report for report in reports if not lines.isdisjoint(report.lines)]
    return Running(hosts=[Host(host=one.host, time=stamp(one.time)) for one in sorted(found, key=lambda one: one.host)])
