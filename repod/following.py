"""What follows the generations of one repository, whoever published them: catalog, front page, events, metrics.

The loop's own publishes are heard of at once; those of commands and of other daemons are found by looking at the
pointer. Nothing here delays a publish, and nothing that fails here stops one.
"""

import threading
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from repod.doors import Store
from repod.errors import RepodError
from repod.generation import Generation
from repod.history import History
from repod.pruning import Log

_AFTER_FAILURE = 5.0
_LONGEST_REST = 1.0


class Step(Protocol):
    """One thing that is kept in step with the current generation."""

    @property
    def name(self) -> str:
        """What it is, as the log says it."""

    def follow(self, current: Generation) -> None:
        """Catch up with ``current``. Called again with the same one where it raised; cheap where nothing is new."""


@runtime_checkable
class Runner(Step, Protocol):
    """A step with a thread of its own; while that is not started, it works when it follows."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End soon."""

    def join(self, seconds: float) -> bool:
        """Wait for the end; False where it did not come in time."""


@runtime_checkable
class Losable(Step, Protocol):
    """A step whose result may be lost, and that may come to know of it: it is to follow again then."""

    @property
    def lost(self) -> bool:
        """Whether it found that out since it followed."""


@runtime_checkable
class Resting(Step, Protocol):
    """A step that costs too much to be done for every generation of a burst."""

    @property
    def rest(self) -> float:
        """Seconds between two times that it follows, at the least; the daemon keeps to that."""


class Follower:
    """Keeps every step of one repository in step, in a thread of its own, or at once for ``repod once``."""

    def __init__(
        self,
        *,
        name: str,
        store: Store,
        steps: Sequence[Step],
        interval: float,
        log: Log,
        stopping: threading.Event | None = None,
    ) -> None:
        """``interval``: seconds between two looks at the pointer. ``stopping`` is set when it is to end."""
        self._name = name
        self._history = History(store)
        self._current: Generation | None = None
        self._steps = steps
        self._runners = [step for step in steps if isinstance(step, Runner)]
        self._interval = interval
        self._log = log
        self._bell = threading.Event()
        self._stopping = stopping or threading.Event()
        self._done: dict[str, int] = {}
        self._told: dict[str, str] = {}
        self._rested: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name=f"follower {name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        for step in self._runners:
            step.start()
        self._thread.start()

    def stop(self) -> None:
        """End after the step it is at."""
        self._stopping.set()
        for step in self._runners:
            step.stop()
        self._bell.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; False where it did not come in time."""
        deadline = time.monotonic() + seconds
        if self._thread.ident is not None:
            self._thread.join(seconds)
        for step in self._runners:
            step.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def wake(self) -> None:
        """A generation was published; any thread may say so."""
        self._bell.set()

    def once(self) -> bool:
        """Catch up now; False where something could not."""
        self._rested.clear()
        return self._stride()

    def _stride(self) -> bool:
        try:
            current = self._now()
        except Exception as error:  # noqa: BLE001 - the thread outlives whatever it meets
            self._tell("pointer", error)
            return False
        self._told.pop("pointer", None)
        done = [current is None or self._follow(step, current) for step in self._steps]
        return all(done)

    def _now(self) -> Generation | None:
        """The current generation; its record, which may be long, is read once."""
        pointed = self._history.pointed()
        if pointed is None or self._current is None or self._current.number != pointed:
            self._current = None if pointed is None else self._history.record(pointed)
        return self._current

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._bell.clear()
            begun = time.monotonic()
            fine = self._stride()
            ended = time.monotonic()
            self._bell.wait(self._pause(ended) if fine else _AFTER_FAILURE)
            # What took long is not done again at once: a burst of generations is followed in a few strides.
            self._stopping.wait(max(0.0, ended + min(ended - begun, _LONGEST_REST) - time.monotonic()))

    def _pause(self, now: float) -> float:
        """Seconds until the next look: until it is time, or until a step that has something to do is rested."""
        waiting = [until - now for name, until in self._rested.items() if self._done.get(name) != self._number]
        return max(0.0, min([self._interval, *waiting]))

    @property
    def _number(self) -> int | None:
        return self._current.number if self._current else None

    def _follow(self, step: Step, current: Generation) -> bool:
        if self._stopping.is_set() or (self._done.get(step.name) == current.number and not _lost(step)):
            return True
        if time.monotonic() < self._rested.get(step.name, 0.0):
            return True
        try:
            step.follow(current)
        except Exception as error:  # noqa: BLE001 - one step must not take the others with it
            self._tell(step.name, error)
            return False
        self._done[step.name] = current.number
        self._told.pop(step.name, None)
        if isinstance(step, Resting):
            self._rested[step.name] = time.monotonic() + step.rest
        return True

    def _tell(self, what: str, error: Exception) -> None:
        expected = isinstance(error, RepodError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        if self._told.get(what) != text:
            self._log.error(
                "behind, tried again", repository=self._name, what=what, problem=text, exc_info=not expected
            )
        self._told[what] = text


def _lost(step: Step) -> bool:
    return isinstance(step, Losable) and step.lost
