"""What hosts of one repository report over HTTP, kept in its store: one object per host, a bounded number.

Any number of daemons share them; the last report of a host is the one that counts.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repod import patient
from repod.builds import HostReport, HostReports
from repod.doors import Expect, Store, Stored
from repod.errors import Corrupt, NotFound, Unfit
from repod.package import StorePath, store_path

FOLDER = ".repod/hosts/"
FORMAT = 1
MOST = 10_000
"""Hosts of which reports are kept."""
MOST_BYTES = 1 << 30
"""That all reports of a repository may have together."""
_ORDINARY = 1 << 18  # bytes; 10,000 reports of this size are no burden, so only a larger one has all counted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A report that was read, and how its object was listed then."""

    stored: Stored
    report: HostReport


class HostBook:
    """``HostReports`` in a store. It remembers what it read as long as the object stays; any thread may use it."""

    def __init__(self, store: Store, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        """``most``: of so many hosts reports are kept, and none of a further one; ``most_bytes``: of all together."""
        self._store = store
        self._most = most
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._known: dict[StorePath, _Known] = {}

    def read(self) -> Sequence[HostReport]:
        """See ``HostReports.read``; none at all is an answer here. ``Corrupt`` where one is unreadable."""
        with self._lock:
            listed = {stored.path: stored for stored in self._store.list(FOLDER)}
            self._known = {path: known for path, known in self._known.items() if listed.get(path) == known.stored}
            for path, stored in listed.items():
                with contextlib.suppress(NotFound):  # forgotten meanwhile
                    if path not in self._known:
                        self._known[path] = _Known(stored=stored, report=self._report(path))
            return [self._known[path].report for path in sorted(self._known)]

    def one(self, host: str) -> HostReport:
        """What that host reported last; ``NotFound`` where it did not."""
        return self._report(_path(host))

    def write(self, report: HostReport) -> None:
        """Put a report in the place of the host's last one; ``Unfit`` where there is no room for it."""
        path, data = _path(report.host), _to_json(report)
        self._make_sure_of_room(report.host, path, len(data))
        with self._lock:
            self._store.write(path, data, Expect.ANY)
            self._known.pop(path, None)

    def _make_sure_of_room(self, host: str, path: StorePath, size: int) -> None:
        if size <= _ORDINARY:
            with contextlib.suppress(NotFound):
                self._store.read(path)
                return
        others = [stored.size for stored in self._store.list(FOLDER) if stored.path != path]
        if len(others) >= self._most:
            raise Unfit(f"reports of {self._most} hosts are kept, and none of {host}; forget hosts that are gone")
        if sum(others) + size > self._most_bytes:
            kept = f"reports of {len(others)} other hosts have {sum(others):,} bytes"
            msg = f"report of host {host}: {kept}, and with this one more than {self._most_bytes:,}"
            raise Unfit(f"{msg}; forget hosts that are gone")

    def forget(self, host: str) -> bool:
        """Remove the report of that host; False where there is none."""
        path = _path(host)
        try:
            self._store.read(path)
        except NotFound:
            return False
        self._store.remove(path)
        return True

    def _report(self, path: StorePath) -> HostReport:
        data = self._store.read(path).data
        try:
            return _from_json(data)
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path} is unreadable ({error}); have that host report again, or remove it if the host is gone"
            raise Corrupt(msg) from error


class AllReports:
    """``HostReports`` of several: what any of them cannot tell, is not known."""

    def __init__(self, parts: Sequence[HostReports]) -> None:
        """``parts``: a host may be in more than one."""
        self._parts = parts

    def read(self) -> Sequence[HostReport]:
        """See ``HostReports.read``."""
        return [report for part in self._parts for report in part.read()]


def _path(host: str) -> StorePath:
    return store_path(f"{FOLDER}{host}.json")


def _to_json(report: HostReport) -> bytes:
    digests = report.digests or [""] * len(report.lines)
    tree = {
        "format": FORMAT,
        "host": report.host,
        "time": report.time,
        "by": report.by,
        "packages": list(zip(report.lines, digests, strict=True)),
        "previous": list(report.previous),
    }
    return json.dumps(tree, separators=(",", ":")).encode()


def _from_json(data: bytes) -> HostReport:
    tree: dict[str, Any] = patient.loads(data)
    if tree["format"] != FORMAT:
        msg = f"expected format {FORMAT}, found {tree['format']!r}"
        raise ValueError(msg)
    # Hosts of a fleet run the same builds: each text is held once.
    lines, digests = [], []
    for line, digest in tree["packages"]:
        lines.append(sys.intern(line))
        digests.append(sys.intern(digest))
    return HostReport(
        host=tree["host"],
        time=float(tree["time"]),
        lines=tuple(lines),
        previous=tuple(map(sys.intern, tree["previous"])),
        digests=tuple(digests) if any(digests) else (),
        by=tree["by"],
    )
