"""Joins a whole system with what the daemon runs of it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repod.accounting import Accounting
from repod.actions.hostwatch import open_watches
from repod.actions.office import open_means, open_office
from repod.actions.reports import SettledReports
from repod.actions.work import Work
from repod.board import Board
from repod.bus import Bus
from repod.catalogs import OpenCatalog
from repod.config import Settings
from repod.following import Follower
from repod.gauges import Gauges
from repod.letterbox import Letterbox
from repod.loop import Log, Loop
from repod.machine import Place, Rooms, workers
from repod.outlets import Tallies, open_couriers
from repod.prune import Pruned
from repod.pruning import Pruning
from repod.recording import open_record
from repod.reminder import Reminder
from repod.renewing import Renewing
from repod.reporting import Reporting
from repod.steps import open_steps
from repod.tools import refuse_gaps
from repod.values import S3Place
from repod.wiring import System, Wired, open_rings

if TYPE_CHECKING:
    from repod.metrics import Metrics

_LOOK_SECONDS = 5.0  # between two looks whether somebody else published


class Looped:
    """A system with a loop per repository: what the daemon runs."""

    def __init__(
        self, system: System, metrics: "Metrics", log: Log, *, bus: Bus | None = None, board: Board | None = None
    ) -> None:
        """``system`` is closed with it; ``bus`` and ``board`` stay, as those of the process (None: of its own)."""
        self._system = system
        settings = system.settings
        self.letterboxes: Mapping[str, Letterbox] = {
            name: wired.letterbox for name, wired in system.repositories.items()
        }
        self._metrics = metrics
        self._log = log
        self._bus = Bus() if bus is None else bus
        self._board = Board() if board is None else board
        record = open_record(settings, log)
        self.accounting = Accounting(record, log, failed=metrics.audit_errors.inc)
        self.catalogs: Mapping[str, OpenCatalog] = {
            name: OpenCatalog(settings, wired.settings, wired.store, system.rpms, system.workspace)
            for name, wired in system.repositories.items()
        }
        for hook in settings.hook:
            metrics.hook(hook.name)
        self._tally = Tallies(metrics)
        self._leave: list[Callable[[], None]] = []
        self._by_hand: dict[str, Callable[[Pruned], None]] = {}
        self.loops: Sequence[Loop] = [self._loop(name, wired) for name, wired in system.repositories.items()]
        means = open_means(system, log, lambda name, run: self._by_hand[name](run))
        self._work = Work()
        reports = SettledReports(means, record, parts=system.repositories, hear=self._bus, catalogs=self.catalogs)
        self.office = open_office(means, self._work, self._changed, self.catalogs, record, reports=reports)
        self._watches = open_watches(
            [(wired.settings, system.books[name]) for name, wired in system.repositories.items()], metrics, log
        )
        self._rooms = Rooms(_places(settings), metrics)
        self._reminder = Reminder(system.signer.keys, metrics, log, time.time)
        self._reminder.introduce(system.signer.signing_key)
        self._tell_confinement()

    def _tell_confinement(self) -> None:
        """How well the processes are confined that read packages; raises ``Misconfigured`` where that must not be."""
        settings = self._system.settings
        gaps = refuse_gaps(settings, self._system.rpms)
        if gaps or settings.workers.confine == "off":
            missing = gaps or ['[workers] confine is "off"']
            self._log.warning("processes that read packages are not wholly confined", missing=missing)

    def _loop(self, name: str, wired: Wired) -> Loop:
        settings, metrics, log = self._system.settings, self._metrics, self._log
        gauges = Gauges(name, metrics)
        reporting = Reporting(name=name, board=self._board, hear=self._bus, clock=time.time)

        def pruned(run: Pruned) -> None:
            self.accounting.pruned(name, run)
            reporting.pruned(run)

        pruning = Pruning(name=name, pruner=wired.pruner, metrics=metrics, log=log, hear=pruned)

        def by_hand(run: Pruned) -> None:
            # The audit log has it already, by who asked for it.
            pruning.by_hand(run)
            reporting.pruned(run)

        self._by_hand[name] = by_hand
        return Loop(
            name=name,
            inbox=wired.inbox,
            turns=wired.turns,
            publisher=wired.publisher,
            prepare=partial(wired.write_host_files, self._system.signer),
            watching=partial(getattr, wired.inbox, "up"),
            pruning=pruning,
            renewing=self._renewing(name, wired),
            follower=self._follower(wired, gauges),
            gauges=gauges,
            reporting=reporting,
            accounting=self.accounting,
            interval=settings.inbox.scan_interval,
            expect_every=wired.settings.expect_every,
            metrics=metrics,
            log=log,
        )

    def _renewing(self, name: str, wired: Wired) -> Sequence[Renewing]:
        metrics, log = self._metrics, self._log
        rings = open_rings(wired.settings, wired.store, self._system.signer)
        statement, rollout = (gauge.labels(name).set for gauge in (metrics.statement_expiry, metrics.rollout_expiry))
        return [
            Renewing(name=name, what="statement", renew=wired.publisher.renew, expires=statement, log=log),
            Renewing(name=name, what="rollout file", renew=rings.renew, expires=rollout, log=log),
        ]

    def _follower(self, wired: Wired, gauges: Gauges) -> Follower:
        settings, name, log = self._system.settings, wired.settings.name, self._log
        stopping = threading.Event()
        couriers = open_couriers(settings, wired.settings, wired.store, self._tally, log)
        self._leave += [self._bus.join(courier.hear) for courier in couriers]
        steps = open_steps(
            settings,
            wired.settings,
            wired.store,
            catalog=self.catalogs[name],
            signer=self._system.signer,
            log=log,
            stopping=stopping.is_set,
            hear=self._bus,
            board=self._board,
            couriers=couriers,
        )
        return Follower(
            name=name,
            store=wired.store,
            steps=[gauges, *steps],
            interval=_LOOK_SECONDS,
            log=log,
            stopping=stopping,
        )

    def remind(self) -> None:
        """Say again, once a day, which keys end soon, and how the audit log ends."""
        self._reminder.again()
        self.accounting.remind()

    def _changed(self, name: str) -> None:
        """A change by hand may have published."""
        for loop in self.loops:
            if loop.name == name:
                loop.wake()

    def stop(self) -> None:
        """Let no change begin any more, and end soon what can."""
        self._work.stop()

    def join(self, seconds: float) -> bool:
        """Wait until no change is at work; False where one did not end in time."""
        return self._work.join(seconds)

    def look(self) -> None:
        """Measure what the machine has left, and what repod takes of it."""
        self._rooms.look()
        for watch in self._watches:
            watch.begin()
        count, resident = workers()
        self._metrics.workers.set(count)
        self._metrics.worker_bytes.set(resident)
        self._metrics.event_streams.set(self._bus.listening)

    def close(self) -> None:
        """Close the system. A change that is still at work fails as soon as it needs any part of it."""
        self._work.stop()
        for leave in self._leave:
            leave()
        self.accounting.close()
        self._rooms.close()
        for watch in self._watches:
            watch.close()
        for catalog in self.catalogs.values():
            catalog.close()
        self._system.close()


def _places(settings: Settings) -> Mapping[Place, Path]:
    """The directories whose file systems must not be full."""
    places = {("", "state"): Path(settings.state_dir)}
    for repository in settings.repository:
        for what, place in (("store", repository.store), ("inbox", repository.inbox)):
            if not S3Place.parse(place):
                places[repository.name, what] = Path(place)
    return places
