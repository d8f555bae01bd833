"""Tells the daemon how a run stands, in a thread of its own, so that no host waits for it.

Each report is the whole document, at most every few seconds; the last one is sent whatever was sent before. A
daemon that does not answer is said once, and the run goes on.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from repod.client.fleet import Host
from repod.client.runs import Standing, document
from repod.errors import NotFound, RepodError
from repod.reports import Rollout
from repod.wording import counted

EVERY = 2.0
"""Seconds between two reports."""

BEAT = 30.0
"""Seconds after which it is reported again though nothing changed: so others see that the run is at work."""

CLOSING = 20.0
"""Seconds that the end of a run waits for the last report."""

_ASKERS = 4  # threads of the census


class Daemon(Protocol):
    """The door to where reports go; see ``api.Api``."""

    def report_rollout(self, repository: str, rollout: Rollout) -> object:
        """A rollout as it stands."""

    def report_host(self, repository: str, host: str, text: str) -> object:
        """What a host runs."""


class Teller:
    """A watcher of one run. ``close`` sends the last report and ends the thread."""

    def __init__(
        self, daemon: Daemon, *, say: Callable[[str], object], every: float = EVERY, beat: float = BEAT
    ) -> None:
        """``say``: hears, once, of a daemon that does not take reports."""
        self._daemon = daemon
        self._say = say
        self._every = every
        self._beat = beat
        self._wake = threading.Condition()
        self._latest: Standing | None = None
        self._news = False
        self._closing = False
        self._said = False
        self._thread = threading.Thread(target=self._work, name="reports", daemon=True)
        self._thread.start()

    def changed(self, standing: Standing, host: str = "") -> None:  # noqa: ARG002 - each report is whole
        """See ``rundoors.Watcher``."""
        with self._wake:
            self._latest, self._news = standing, True
            self._wake.notify()

    def close(self, seconds: float = CLOSING) -> None:
        """Send what is left, for at most so many seconds."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closing or self._news, self._beat)
                closing, latest = self._closing, self._latest
                self._news = False
            if latest is not None:
                self._report(latest)
            if closing:
                return
            with self._wake:
                self._wake.wait_for(lambda: self._closing, self._every)

    def _report(self, standing: Standing) -> None:
        try:
            self._daemon.report_rollout(standing.plan.repository, document(standing))
        except RepodError as error:
            if not self._said:
                self._said = True
                self._say(f"the daemon is not told of this run, which goes on: {error}")


@dataclass(slots=True, kw_only=True)
class Heard:
    """What hosts said that they run when the run had done its work there, until the daemon is told.

    ``wanted``: whether anybody asks for it. Used by many threads.
    """

    wanted: bool = False
    _said: dict[str, str] = field(default_factory=dict, init=False)

    def put(self, host: str, text: str) -> None:
        """Keep it, in place of what the host said before; empty where it did not say."""
        self._said.pop(host, None)
        if text and self.wanted:
            self._said[host] = text

    def take(self, host: str) -> str:
        """What it said; it is not kept any more."""
        return self._said.pop(host, "")

    def stop(self) -> None:
        """Nobody asks any more."""
        self.wanted = False
        self._said.clear()


class Census:
    """A watcher that has the daemon told what each host runs when this run is done with it.

    A few threads ask hosts, so that one that does not answer delays no other.
    """

    def __init__(
        self,
        daemon: Daemon,
        packages: Callable[[Host], str],
        *,
        say: Callable[[str], object],
        heard: Heard | None = None,
    ) -> None:
        """``packages``: what a host runs, as ``rpm -qa`` prints it. Asked of those that are not in ``heard``."""
        self._heard = heard or Heard()
        self._heard.wanted = True
        self._daemon = daemon
        self._packages = packages
        self._say = say
        self._waiting = queue.SimpleQueue[tuple[Standing, str] | None]()
        self._missed: list[str] = []
        self._threads = [threading.Thread(target=self._work, name=f"census-{n}", daemon=True) for n in range(_ASKERS)]
        for thread in self._threads:
            thread.start()

    def changed(self, standing: Standing, host: str = "") -> None:
        """See ``rundoors.Watcher``. There is no use in asking those again that could not be reached."""
        if host and standing.hosts[host].ended and standing.hosts[host].after:
            self._waiting.put((standing, host))

    def close(self, seconds: float = CLOSING) -> None:
        """Tell what is left, for at most so many seconds all in all; say of whom it could not be told."""
        end = time.monotonic() + seconds
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self._missed:
            others = f" (and of {counted(len(self._missed) - 1, 'other')})" if len(self._missed) > 1 else ""
            self._say(f"the daemon was not told what {self._missed[0]}{others}")

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            standing, name = one
            host = next(host for host in standing.plan.hosts if host.name == name)
            try:
                text = self._heard.take(name) or self._packages(host)
                self._daemon.report_host(standing.plan.repository, name, text)
            except NotFound:
                self._heard.stop()
                return  # it keeps no such reports: [repository.retention] hosts is not set
            except RepodError as error:
                self._missed.append(f"{name} runs: {error}")
