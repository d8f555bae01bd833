"""Keeps one hook told of one repository, in a thread of its own: who is slow or away delays nobody else.

It looks at the outbox when a generation was published, when something was put there, and when a try is due;
otherwise every ten minutes, for what a process left that is no more.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from repod.delivery import Delivery, Standing, Tried
from repod.errors import Conflict, RepodError
from repod.generation import Generation
from repod.happenings import Event, Kind
from repod.hooking import Hook
from repod.outbox import Post
from repod.pruning import Log

_LOOK = 600.0
_TROUBLED = 60.0  # a person may change the cursor of a hook that fails: it is looked at so often
_AFTER_FAILURE = 5.0
_ROOM = 1000
# These are put into the outbox, or stand in records, before they count as done.
_KEPT = {Kind.PUBLISHED, Kind.MISSED, Kind.REJECTED, Kind.ROLLOUT}


class Tally(Protocol):
    """What counts deliveries, and what waits."""

    def tried(self, hook: str, result: str) -> None:
        """A try, or giving up, ended so: ``delivered``, ``failed``, ``dropped``, ``paused``."""

    def waits(self, hook: str, repository: str, standing: Standing) -> None:
        """So much waits now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Tells log and tally what came of each try; the same problem once."""

    hook: Hook
    repository: str
    log: Log
    tally: Tally
    last: list[str]

    def __call__(self, tried: Tried) -> None:
        """One try ended, or an event was given up."""
        self.tally.tried(self.hook.name, tried.result)
        fields = {"hook": self.hook.name, "repository": self.repository, "type": str(tried.event.kind)}
        fields |= {"id": tried.event.id}
        if tried.result == "delivered":
            self.log.info("event delivered", **fields, answer=tried.text)
        elif tried.result == "dropped":
            self.log.error("event dropped", **fields, problem=tried.text)
        elif tried.result == "paused":
            self.log.error("hook wants no more events", **fields, problem=tried.text)
        elif tried.text not in self.last:
            self.log.warning("event not delivered, tried again", **fields, problem=tried.text)
        self.last[:] = [tried.text] if tried.result == "failed" else []


class Courier:
    """A ``Step`` that delivers by itself once it is started; not started, it delivers when it is told to follow."""

    def __init__(
        self,
        *,
        hook: Hook,
        repository: str,
        outbox: Post,
        delivery: Callable[[Callable[[], bool]], Delivery],
        tally: Tally,
        log: Log,
    ) -> None:
        """``outbox`` is that of this hook alone. ``delivery`` is made with what says whether it is to stop."""
        self.name = f"hook {hook.name}"
        self._hook = hook
        self._repository = repository
        self._outbox = outbox
        self._tally = tally
        self._log = log
        self._bell = threading.Event()
        self._stop = threading.Event()
        self._delivery = delivery(self._stop.is_set)
        self._heard: deque[Event] = deque(maxlen=_ROOM)
        self._told = ""
        self._thread = threading.Thread(target=self._run, name=f"hook {hook.name} of {repository}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the event that is delivered now."""
        self._stop.set()
        self._bell.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; False where it did not come in time. Abandoned, an event is told again."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def follow(self, _current: Generation) -> None:
        """See ``Step``."""
        if self._thread.ident is None:
            self._turn()
        self._bell.set()

    def hear(self, event: Event) -> None:
        """A ``Hear``: it happened. What is in the outbox already is only a reason to look there."""
        if event.repository != self._repository or not self._hook.wants(event.kind):
            return
        if event.kind not in _KEPT:
            self._heard.append(event)
        self._bell.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._bell.clear()
            self._bell.wait(self._turn())

    def _turn(self) -> float:
        """Seconds until the next one, unless something happens."""
        try:
            self._write()
            standing = self._delivery.run()
        except Conflict:  # another process was at the same
            return 1.0
        except Exception as error:  # noqa: BLE001 - whatever is wrong now, the next turn goes on
            self._failed(error)
            return _AFTER_FAILURE
        self._told = ""
        self._tally.waits(self._hook.name, self._repository, standing)
        if standing.delay is None:
            return _LOOK
        return min(standing.delay, _TROUBLED)

    def _write(self) -> None:
        """Put into the outbox what was heard and is not there yet."""
        while self._heard:
            self._outbox(self._heard[0])
            self._heard.popleft()

    def _failed(self, error: Exception) -> None:
        expected = isinstance(error, RepodError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        if text != self._told:
            fields = {"hook": self._hook.name, "repository": self._repository, "problem": text}
            self._log.error("outbox not read, tried again", **fields, exc_info=not expected)
        self._told = text
