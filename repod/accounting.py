"""What the daemon does by itself, and what it does not let others do, told to the audit log.

Publishing never waits for the log: what cannot be written is kept, told as a fault, and written when that works
again. Changes by hand are another matter: they are refused before they are made (``Record.ready``).
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from repod.doors import Clock
from repod.errors import RepodError
from repod.intake import Outcome
from repod.office import By, Noted, Record
from repod.prune import Pruned
from repod.pruning import Log
from repod.turn import Report

INBOX = By(actor="inbox")
RETENTION = By(actor="retention")
_KEPT = 1000  # that wait to be written
_DAY = 86400.0
_WINDOW = 60.0
_ATTEMPTS = 300  # refused ones that are written within that time
_OF_ONE = 30  # from one address, so that nobody uses up what is there for all


class Accounting:
    """Any thread may use it; ``attempt`` does not even wait for the disk."""

    def __init__(self, record: Record, log: Log, *, failed: Callable[[], object], clock: Clock = time.time) -> None:
        """``failed`` is called for each time that the log could not be written."""
        self._record = record
        self._log = log
        self._failed = failed
        self._clock = clock
        self._alone = threading.Lock()
        self._waiting: deque[Noted] = deque()
        self._lost = 0
        self._began = 0.0
        self._attempts = Counter[str]()
        self._unwritten = 0
        self._told_at = 0.0
        self.fault = ""

    def turn(self, name: str, report: Report) -> None:
        """What came of the arrivals of one turn in the repository ``name``."""
        accepted = [outcome for outcome in report.outcomes if outcome.result == "accepted"]
        if report.generation and accepted:
            details = {"generation": report.generation.number, "files": [_file(one) for one in accepted]}
            self._note(INBOX, "publish", name, details)
        for one in report.outcomes:
            if one.result == "rejected":
                faults = [fault.text for fault in one.faults]
                self._note(INBOX, "reject", name, {**_file(one), "faults": faults})
        self.flush()

    def pruned(self, name: str, done: Pruned) -> None:
        """What retention let go of in the repository ``name``, if anything."""
        if not done.retired and not done.removed:
            return
        details = {
            "generation": done.generation.number if done.generation else None,
            "builds": [str(verdict.build.nevra) for verdict in done.retired],
            "objects": len(done.removed),
            "bytes": done.size,
        }
        self._note(RETENTION, "prune", name, details, f"failed: {done.error}" if done.error else "done")
        self.flush()

    def attempt(self, by: By, what: str, repository: str, text: str) -> None:
        """Somebody was not let in who would have changed something; it is written soon, and not all of a flood."""
        now = self._clock()
        if now - self._began >= _WINDOW:
            if self._unwritten:
                self._note(By(actor="unknown"), "attempts", "", {"more": self._unwritten}, "refused")
            self._began, self._attempts, self._unwritten = now, Counter(), 0
        if self._attempts[by.address] >= _OF_ONE or self._attempts.total() >= _ATTEMPTS:
            self._unwritten += 1
            return
        self._attempts[by.address] += 1
        self._note(by, what, repository, {}, f"refused: {text}")

    def flush(self) -> None:
        """Write what waits; where that cannot be, say so once, and keep it."""
        with self._alone:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            lost = [self._noted(By(actor="repod"), "audit lost", "", {"records": self._lost})] if self._lost else []
            try:
                if batch or lost:
                    self._record.append([*batch, *lost])
                elif self.fault:
                    self._record.ready()
            except RepodError as error:
                self._keep(batch)
                self._fail(str(error))
                return
            self._lost = 0
        if self.fault:
            self._log.warning("the audit log is written again", late=len(batch))
            self.fault = ""

    def remind(self) -> None:
        """Write what waits, and once a day tell the log the last record; called every few seconds."""
        try:
            self._record.ready()
        except RepodError as error:
            self._fail(str(error))
            return
        self.flush()
        if self._clock() - self._told_at >= _DAY:
            self.tell_head()

    def tell_head(self) -> None:
        """Tell the log the last record: what stands elsewhere shows whether the audit log was cut or made anew."""
        try:
            head = self._record.head()
        except RepodError as error:
            self._fail(str(error))
            return
        self._told_at = self._clock()
        if head:
            self._log.info("audit log", head=head)

    def close(self) -> None:
        """Write what waits; what cannot be written is lost, and that is told."""
        self.flush()
        if self._waiting or self._lost:
            count = len(self._waiting) + self._lost
            self._log.error("records that could not be written are lost to the audit log", records=count)

    def _keep(self, batch: Sequence[Noted]) -> None:
        self._waiting.extendleft(reversed(batch))
        while len(self._waiting) > _KEPT:
            self._waiting.pop()
            self._lost += 1

    def _fail(self, text: str) -> None:
        self._failed()
        if text != self.fault:
            self._log.error("changes by hand are refused", problem=text)
        self.fault = text

    def _note(self, by: By, what: str, repository: str, details: Mapping[str, Any], outcome: str = "done") -> None:
        self._waiting.append(self._noted(by, what, repository, details, outcome))

    def _noted(self, by: By, what: str, repository: str, details: Mapping[str, Any], outcome: str = "done") -> Noted:
        return Noted(time=self._clock(), by=by, what=what, repository=repository, details=details, outcome=outcome)


def _file(outcome: Outcome) -> dict[str, Any]:
    """An arrival, by what is known of it."""
    package = {"package": str(outcome.nevra)} if outcome.nevra else {}
    document = {"document": outcome.edit.what} if outcome.edit else {}
    return {"file": outcome.arrival.name, **package, **document, "sha256": outcome.checksum}
