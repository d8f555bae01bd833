"""Cells of the matrix in a bucket: what happens to one request that changes an object, or from it on."""

import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.faults.matrix_cells import Cell, Lane, Start
from tests.faults.matrix_work import Keys, Site
from tests.lab.diskfaults import HOUR, Fault, Point
from tests.lab.faultproxy import FaultProxy
from tests.lab.s3faults import Does, Rule
from tests.lab.s3requests import Request
from tests.lab.seaweed import Seaweed

_CHANGES = {
    "PutObject",
    "CopyObject",
    "DeleteObject",
    "DeleteObjects",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFault(Fault):
    """What happens to a request, and, where it ``lasts``, to each that changes something after it.

    ``then``: what happens to every later request, reading too, until it is lifted.
    """

    does: Does | None = None
    then: Does | None = None

    def fits(self, call: str) -> bool:
        """Every request can meet each of them."""
        return bool(call)


S3_FAULTS: Sequence[BucketFault] = (
    BucketFault(name="kill -9 before", signal=signal.SIGKILL, does="reset", lasts=False),
    BucketFault(name="kill -9 after", signal=signal.SIGKILL, does="done, reset", lasts=False),
    BucketFault(name="SIGTERM before", signal=signal.SIGTERM, does="reset", lasts=False),
    BucketFault(name="SIGTERM after", signal=signal.SIGTERM, does="done, reset", lasts=False),
    BucketFault(name="403", does="denied"),
    BucketFault(name="500", does="error"),
    BucketFault(name="503", does="slow down"),
    BucketFault(name="507", does="full"),
    BucketFault(name="cut once, done", does="done, reset", lasts=False),
    BucketFault(name="cut, not done", does="reset", then="reset"),
    BucketFault(name="cut, done", does="done, reset", lasts=False, then="reset"),
    BucketFault(name="clock -1 h", clock=-HOUR),
)


class BucketLane(Lane):
    """Stores and inboxes of its cells lie under prefixes of one bucket, behind a proxy of its own."""

    def __init__(self, folder: Path, keys: Keys, start: Start, server: Seaweed) -> None:
        """``server``: where the bucket lies."""
        self.server = server
        self._proxy = FaultProxy(server)
        self._proxy.__enter__()
        self._pid = 0
        self._noted: list[Point] = []
        self._fired: Point | None = None
        self._numbers = count()
        self._places: dict[Path, str] = {}
        start.bucket = self._bucket = start.bucket or server.bucket()
        super().__init__(folder, keys, start)
        self._stack.callback(self._proxy.__exit__)

    def environ(self) -> Mapping[str, str]:
        """The server's, by way of the proxy."""
        return {**self.server.environ, "AWS_ENDPOINT_URL_S3": self._proxy.endpoint()}

    def _place(self, base: Path) -> str:
        name = "-".join(base.parts[-3:]).replace(" ", "").replace(",", "")
        return f"s3://{self._bucket}/{name}/"

    def new_site(self, base: Path) -> Site:
        """See ``Lane``."""
        return Site(base, self._place(base), self.server)

    def copied(self, base: Path, to: Path) -> Site:
        """See ``Lane``."""
        shutil.copytree(base, to)
        self.server.copy(self._place(base), self._place(to))
        return Site.at(to, self._place(to), self.server, of=self._place(base))

    def forget(self, site: Site) -> None:
        """See ``Lane``."""
        self.server.remove(site.place)
        super().forget(site)

    def began(self, pid: int) -> None:
        """See ``Lane``."""
        self._pid = pid
        super().began(pid)

    def record(self, site: Site) -> None:
        """See ``Lane``."""
        self.disk.watch(site.base)
        self._noted = []
        self._proxy.rules = [Rule(does="slow", where=self._counted(site, lambda _point: False))]

    def recorded(self) -> list[Point]:
        """See ``Lane``."""
        self.lift()
        return self._noted

    def arm(self, site: Site, cell: Cell) -> None:
        """See ``Lane``."""
        fault, wanted = cell.fault, cell.point.number
        assert isinstance(fault, BucketFault)
        self._fired, self._noted = None, []
        self.disk.watch(site.base)

        def meets(point: Point) -> bool:
            if point.number == wanted:
                self._fired = point
                if fault.clock:
                    self.disk.set_clock(fault.clock)
                if fault.does == "reset":
                    self._strike(fault)
            return not fault.clock and (point.number == wanted or (fault.lasts and point.number > wanted))

        rules = [
            Rule(
                does=fault.does or "slow",
                where=self._counted(site, meets),
                done=lambda _request: self._strike(fault),
            )
        ]
        if fault.then:
            rules.append(Rule(does=fault.then, where=lambda _request: self._fired is not None))
        self._proxy.rules = rules

    def _strike(self, fault: Fault) -> None:
        if fault.signal:
            with suppress(ProcessLookupError):
                os.kill(self._pid, fault.signal)

    def fired(self) -> Point | None:
        """See ``Lane``."""
        return self._fired

    def lift(self) -> None:
        """See ``Lane``."""
        self._proxy.rules = []

    def _counted(self, site: Site, meets: Callable[[Point], bool]) -> Callable[[Request], bool]:
        """Requests that change something of a site, numbered from 1; whether each ``meets`` the fault."""
        prefix = site.place.partition(f"s3://{self._bucket}/")[2]

        def where(request: Request) -> bool:
            if request.operation not in _CHANGES or not request.key.startswith(prefix):
                return False
            point = Point(len(self._noted) + 1, request.operation, request.key.removeprefix(prefix))
            self._noted.append(point)
            return meets(point)

        return where
