"""One repository's loop in the daemon: turn after turn, each told to log and metrics."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from repod.accounting import Accounting
from repod.doors import Inbox
from repod.errors import RepodError
from repod.following import Follower
from repod.gauges import Gauges
from repod.generation import Generation
from repod.holdings import MODULELESS
from repod.intake import Outcome
from repod.package import trace
from repod.pruning import Log, Pruning
from repod.publish import Publisher
from repod.renewing import Renewing
from repod.reporting import Reporting
from repod.turn import Report, Turns

if TYPE_CHECKING:  # a command whose metrics nobody reads does without the library
    from repod.metrics import Metrics

__all__ = ["Log", "Loop"]

_BACKOFF = (1.0, 2.0, 5.0, 15.0, 30.0)
_TRACES = 100  # that one line names


class Loop:
    """Runs the turns of one repository until it is stopped. ``resting``: it waits for what arrives next."""

    resting = False

    def __init__(
        self,
        *,
        name: str,
        inbox: Inbox,
        turns: Turns,
        publisher: Publisher,
        prepare: Callable[[], None],
        watching: Callable[[], bool],
        pruning: Pruning,
        follower: Follower,
        renewing: Iterable[Renewing],
        gauges: Gauges,
        reporting: Reporting,
        accounting: Accounting,
        interval: float,
        expect_every: float,
        metrics: "Metrics",
        log: Log,
    ) -> None:
        """``prepare`` writes what hosts need; ``gauges`` are one of the steps of ``follower``.

        ``interval``: seconds between two scans at the most. ``expect_every``: the setting, in seconds.
        """
        self.name = name
        self._inbox = inbox
        self._turns = turns
        self._publisher = publisher
        self._prepare = prepare
        self._watching = watching
        self._pruning, self._renewing = pruning, tuple(renewing)
        self._follower = follower
        self._gauges, self._noted = gauges, 0
        self._reporting, self._accounting = reporting, accounting
        self._interval = interval
        self._metrics = metrics
        self._log = log
        self._stop = threading.Event()
        self._told: dict[str, str] = {}
        self._woken = True
        self.fault = "not opened yet"
        self.alive_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"repository {name}", daemon=True)
        metrics.repository(name, expect_every)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._follower.start()

    def stop(self) -> None:
        """Ask the loop to end after the step it is at."""
        self._stop.set()
        self._turns.stop()
        self._inbox.close()
        self._follower.stop()

    def join(self, seconds: float) -> bool:
        """Wait for the end; False where it did not come in time."""
        deadline = time.monotonic() + seconds
        self._thread.join(seconds)
        followed = self._follower.join(max(0.0, deadline - time.monotonic()))
        return followed and not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether the loop's thread lives."""
        return self._thread.is_alive()

    def _run(self) -> None:
        failures, since = 0, 0.0
        opened = False
        while not self._stop.is_set():
            self.alive_at = time.monotonic()
            try:
                if not opened:
                    self.open()
                    opened = True
                report = self.once()
                self._prune(report)
                self._renew()
                failures, self.fault = 0, ""
                self._reporting.fine()
                self._metrics.works(self.name)
            except Exception as error:  # noqa: BLE001 - the loop outlives whatever a turn meets
                since = since if failures else time.time()
                self._failed(error, since)
                opened = False  # the turn may have stopped halfway: what it had begun is finished first
                self._stop.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                failures += 1
                continue
            if not self._woken:
                self._metrics.found_by_scan.labels(self.name).inc(len(report.outcomes))
            self.resting = True
            self._woken = report.more or self._stop.is_set() or self._inbox.wait(self._interval)
            self.resting = False

    def open(self) -> Generation:
        """Finish what a stopped writer had begun; a new repository gets its first, empty generation."""
        generation = self._publisher.open("repod")
        self._prepare()
        # Its own number: whoever follows the generations may have been faster than this.
        if generation.number != self._noted:
            self._note(generation)
            self._log.info("opened", repository=self.name, generation=generation.number, packages=generation.packages)
        return generation

    def once(self) -> Report:
        """One turn, told to log and metrics."""
        report = self._turns.turn("inbox")
        waiting = [arrival for arrival in report.seen if arrival.name not in _done(report.outcomes)]
        self._metrics.last_scan.labels(self.name).set(time.time())
        self._metrics.inbox_depth.labels(self.name).set(len(waiting))
        self._metrics.inbox_oldest.labels(self.name).set(max((arrival.age for arrival in waiting), default=0))
        self._metrics.watcher_up.labels(self.name).set(self._watching())
        for outcome in report.outcomes:
            self._tell(outcome, report.places.get(outcome.arrival.name, ""), report.generation)
        self._accounting.turn(self.name, report)
        for problem in report.problems:
            known = {"trace": trace(problem.checksum)} if problem.checksum else {}
            self._log.error("not cleared", repository=self.name, problem=problem.text, **known)
        if report.generation:
            self._published(report, report.generation)
        self._reporting.turn(report, self._gauges.number)
        if report.outcomes:
            self._metrics.stage("turn", report.seconds, next(iter(_traces(report.outcomes)), ""))
        self._told = {name: text for name, text in self._told.items() if name in {a.name for a in report.seen}}
        return report

    def prune(self) -> Generation | None:
        """Let go of what retention lets go; raises what went wrong. The generation that was published, if any."""
        return self._pruned(self._pruning.at_once())

    def wake(self) -> None:
        """Somebody published here; any thread may say so."""
        self._follower.wake()

    def follow(self) -> None:
        """Bring all that follows the generations up to now; what fails is told."""
        self._follower.once()
        self._renew(at_once=True)

    def _renew(self, *, at_once: bool = False) -> None:
        for renewing in self._renewing:
            renewing.look(at_once=at_once)

    def _prune(self, report: Report) -> None:
        quiet = not report.outcomes
        self._pruned(self._pruning.after_turn(self._gauges.number, quiet=quiet, stopping=self._stop.is_set))

    def _pruned(self, generation: Generation | None) -> Generation | None:
        if generation:
            self._note(generation)
        return generation

    def _published(self, report: Report, generation: Generation) -> None:
        traces = _traces(report.outcomes)
        self._metrics.published(self.name, report.published_seconds, next(iter(traces), ""))
        self._note(generation)
        self._log.info(
            "published",
            repository=self.name,
            generation=generation.number,
            packages=generation.packages,
            added=len(generation.added),
            removed=len(generation.removed),
            documents=sum(1 for outcome in report.outcomes if outcome.edit and outcome.result == "accepted"),
            seconds=round(report.published_seconds, 3),
            traces=[*traces[:_TRACES], f"and {len(traces) - _TRACES} more"] if len(traces) > _TRACES else traces,
        )

    def _note(self, generation: Generation) -> None:
        self._noted = generation.number
        self._gauges.show(generation)
        self._follower.wake()

    def _tell(self, outcome: Outcome, place: str, generation: Generation | None) -> None:
        fields: dict[str, Any] = {"repository": self.name, "file": outcome.arrival.name}
        noun = "package" if outcome.is_package else "document"
        if outcome.checksum:
            fields["trace"] = trace(outcome.checksum)
        if outcome.nevra:
            fields["package"] = str(outcome.nevra)
        if outcome.edit:
            fields["document"] = outcome.edit.what
        if outcome.result == "accepted":
            self._metrics.arrivals.labels(self.name, "published").inc()
            number = generation.number if generation else None
            self._log.info(f"{noun} published", generation=number, sha256=outcome.checksum, **fields)
            if outcome.module and generation and "modules" not in generation.carried:
                problem = f"it belongs to the module {outcome.module}, and there are no modules here: {MODULELESS}"
                self._log.warning("package of a module without the module", problem=problem, **fields)
        elif outcome.result == "duplicate":
            self._metrics.arrivals.labels(self.name, "duplicate").inc()
            self._log.info(f"{noun} is published already", sha256=outcome.checksum, **fields)
        elif outcome.result == "rejected":
            self._metrics.arrivals.labels(self.name, "rejected").inc()
            self._metrics.rejected.labels(self.name, outcome.faults[0].code).inc()
            faults = [fault.text for fault in outcome.faults]
            self._log.warning(f"{noun} rejected", faults=faults, sha256=outcome.checksum, moved_to=place, **fields)
        elif self._told.get(outcome.arrival.name) != outcome.problem:
            self._told[outcome.arrival.name] = outcome.problem
            if outcome.result == "failed":
                self._metrics.error(self.name)
                self._log.error(f"{noun} not taken in, tried again later", problem=outcome.problem, **fields)
            else:
                self._log.info(f"{noun} waits", why=outcome.problem, **fields)

    def _failed(self, error: Exception, since: float) -> None:
        self._metrics.error(self.name, error)
        self._metrics.fails(self.name, since)
        text = str(error) if isinstance(error, RepodError) else f"{type(error).__name__}: {error}"
        if text != self.fault:
            expected = isinstance(error, RepodError)
            self._log.error("turn failed, tried again", repository=self.name, problem=text, exc_info=not expected)
        self.fault = text
        self._reporting.failed(text)


def _traces(outcomes: Iterable[Outcome]) -> list[str]:
    """The traces of the arrivals that were accepted."""
    return [trace(outcome.checksum) for outcome in outcomes if outcome.result == "accepted"]


def _done(outcomes: Iterable[Outcome]) -> set[str]:
    return {o.arrival.name for o in outcomes if o.result in {"accepted", "duplicate", "rejected"}}
