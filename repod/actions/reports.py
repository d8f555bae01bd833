"""Reports of hosts and of rollouts, kept where retention and pages find them."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repod.config import Settings
from repod.errors import Unfit
from repod.happenings import Event, Hear
from repod.hostreports import ReportFolder
from repod.office import By, Record
from repod.package import Nevra
from repod.wiring import Wired, pause

if TYPE_CHECKING:  # who is told of no rollouts does without their models, which take long to make
    from repod.reports import HostNoted, Reported, Rollout, Summary
    from repod.rollouts import Rollouts

# rpm lists imported keys as packages without an architecture.
_KEY = "gpg-pubkey-"
_SHOWN = 80
_MOST_LINES = 50_000


class SettledReports:
    """``Reports`` of the repositories of some settings."""

    def __init__(self, settings: Settings, parts: Mapping[str, Wired], hear: Hear, record: Record) -> None:
        """``parts`` of each repository; ``hear`` and the audit log are told of rollouts that begin or end."""
        self._settings = settings
        self._parts = parts
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

    def host(self, repository: str, host: str, text: str, by: By) -> "HostNoted":
        """See ``Reports``."""
        from repod.reports import HostNoted  # noqa: PLC0415 - see above

        folder = self._settings.named(repository).retention.hosts
        if not folder:
            msg = f"reports of hosts are not kept for {repository}; set [repository.retention] hosts to a folder"
            raise Unfit(msg)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        fault = _fault(lines)
        if fault:
            msg = f"report of host {host}: {fault}"
            raise Unfit(msg)
        self._record.ready()
        kept = "".join(f"{line}\n" for line in lines)
        ReportFolder(Path(folder)).write(host, kept)
        packages = sum(not line.startswith(_KEY) for line in lines)
        details = {"host": host, "packages": packages, "sha256": hashlib.sha256(kept.encode()).hexdigest()}
        self._record(by=by, what="report host", repository=repository, details=details, outcome="done")
        return HostNoted(host=host, packages=packages)

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
    if len(lines) > _MOST_LINES:
        return f"expected at most {_MOST_LINES} lines, found {len(lines)}"
    for line in lines:
        try:
            if not line.startswith(_KEY):
                Nevra.parse(line.replace("-(none):", "-", 1))
        except ValueError:
            return f"expected lines as rpm -qa prints them, found {line[:_SHOWN]!r}"
    return ""
