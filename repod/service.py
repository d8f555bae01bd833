"""Joins a whole system with what the daemon runs and serves of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from repod.actions.office import open_office
from repod.actions.reports import SettledReports
from repod.board import Board
from repod.bus import Bus
from repod.following import Follower
from repod.loop import Log, Loop
from repod.outlets import Tallies, open_couriers
from repod.pruning import Pruning
from repod.reminder import Reminder
from repod.reporting import Reporting
from repod.serving import open_access, open_desk, open_shelves, open_site
from repod.steps import open_steps
from repod.wiring import System, Wired, public_url

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
        self._desk = open_desk()
        self.shelves = open_shelves(settings, self._desk)
        self.access = open_access(settings)
        self.site = open_site(settings, {one.name: public_url(settings, one) for one in settings.repository})
        self._metrics = metrics
        self._log = log
        self._bus = Bus() if bus is None else bus
        self._board = Board() if board is None else board
        stores = {name: wired.store for name, wired in system.repositories.items()}
        posts = {name: wired.post for name, wired in system.repositories.items()}
        reports = SettledReports(settings, stores, posts, self._bus)
        self.office = replace(open_office(settings), reports=reports)
        self._tally = Tallies(lambda _hook, _result: None, lambda _hook, _pending, _oldest: None)
        self._leave: list[Callable[[], None]] = []
        self.loops: Sequence[Loop] = [self._loop(name, wired) for name, wired in system.repositories.items()]
        self._reminder = Reminder(system.signer.keys, metrics, log, time.time)
        self._reminder.introduce(system.signer.signing_key)

    def _loop(self, name: str, wired: Wired) -> Loop:
        settings, metrics, log = self._system.settings, self._metrics, self._log
        couriers = open_couriers(settings, wired.settings, wired.store, self._tally, log)
        self._leave += [self._bus.join(courier.hear) for courier in couriers]
        return Loop(
            name=name,
            inbox=wired.inbox,
            turns=wired.turns,
            publisher=wired.publisher,
            prepare=partial(wired.write_host_files, self._system.signer),
            watching=partial(getattr, wired.inbox, "up"),
            pruning=Pruning(name=name, pruner=wired.pruner, metrics=metrics, log=log, hear=self._bus),
            follower=Follower(
                name=name,
                store=wired.store,
                steps=open_steps(
                    settings, wired.settings, wired.store, hear=self._bus, board=self._board, couriers=couriers
                ),
                interval=_LOOK_SECONDS,
                log=log,
            ),
            reporting=Reporting(name=name, board=self._board, hear=self._bus, clock=time.time),
            interval=settings.inbox.scan_interval,
            metrics=metrics,
            log=log,
        )

    def remind(self) -> None:
        """Say again, once a day, which keys end soon."""
        self._reminder.again()

    def close(self) -> None:
        """Close the system."""
        for leave in self._leave:
            leave()
        self._desk.close()
        self._system.close()
