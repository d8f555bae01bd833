"""Delivers what an outbox holds, in order, at least once.

One event at a time: it is delivered, and only then the cursor moves or its letter goes. Whoever delivers says so in
the cursor for as long as a try may take, so that others wait; where a process dies, the next one tells the same
event again, which receivers know by its id.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from repod.backlog import Backlog, Item, Told
from repod.doors import Clock
from repod.errors import Conflict, OutcomeUnknown, RepodError
from repod.happenings import Event
from repod.hooking import Sink, Undelivered
from repod.outbox import Cursor

_SLACK = 20.0  # seconds beside the time of a try for which a process delivers alone
_LONGEST_PAUSE = 900.0
_LONGEST_ASKED = 3600.0  # a receiver may ask to be left alone for so long
_SHOWN = 500
_AGAIN = 1.0

Result = Literal["delivered", "failed", "dropped", "paused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one try, or of giving up. ``text`` is what the receiver said, or what is wrong."""

    result: Result
    event: Event
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What waits after a run: how many events, and since when the oldest of them does (0: none).

    ``delay``: seconds until another run gets on; None where only something new does.
    """

    pending: int
    oldest: float
    delay: float | None
    cursor: Cursor


class Delivery:
    """Delivers for one hook and one repository. One thread at a time uses it."""

    def __init__(
        self,
        told: Told,
        *,
        sink: Callable[[], Sink],
        holder: str,
        clock: Clock,
        chance: Callable[[], float],
        tell: Callable[[Tried], object],
        gone: Callable[[str], bool] = lambda _holder: False,
        lost: Callable[[str], object] = lambda _problem: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """``sink`` opens the receiver, and may raise. ``chance`` is in [0, 1).

        ``holder`` names this process among others; ``gone`` says of another one's name that it certainly lives no
        more. ``lost`` hears of letters that say nothing.
        """
        self._told = told
        self._hook = told.hook
        self._open = sink
        self._sink: Sink | None = None
        self._holder = holder
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._gone = gone
        self._lost = lost
        self._stopping = stopping

    def run(self) -> Standing:
        """Deliver all that can be delivered now. Raises where the store does not let it."""
        backlog = Backlog(self._told)
        try:
            delay = self._run(backlog)
        except (Conflict, OutcomeUnknown):  # somebody else delivers now, or this one does and was not told so
            delay = _AGAIN
        for problem in backlog.unreadable:
            self._lost(problem)
        return _standing(backlog, delay)

    def _run(self, backlog: Backlog) -> float | None:
        """Seconds until something can be delivered that waits; None where nothing does."""
        while (item := backlog.next()) and not self._stopping():
            delay = self._held_off(backlog.cursor)
            if delay is not None:
                return delay
            backlog.move(self._taken(backlog.cursor))
            if backlog.cursor.paused:
                self._give_up(backlog)
                backlog.move(backlog.cursor.free())
                return _LONGEST_ASKED
            if not self._try(backlog, item):
                return max(0.0, backlog.cursor.not_before - self._clock())
        if backlog.cursor.holder == self._holder:
            backlog.move(backlog.cursor.free())
        return None

    def look(self) -> Standing:
        """What waits; nothing is delivered, and nothing written."""
        backlog = Backlog(self._told, writes=False)
        backlog.next()
        return _standing(backlog, None)

    def skip(self) -> Standing:
        """Drop all that waits now."""
        backlog = Backlog(self._told)
        while item := backlog.next():
            self._drop(backlog, item, "skipped by a person")
        backlog.move(backlog.cursor.well().free())
        return _standing(backlog, None)

    def _held_off(self, cursor: Cursor) -> float | None:
        """For how long nothing is to be tried; None: now is the time."""
        now = self._clock()
        lease = self._hook.timeout + _SLACK
        # One from a clock that is far ahead is no lease: its time would never come.
        if cursor.holder not in {"", self._holder} and now < cursor.until <= now + 2 * lease:
            return None if self._gone(cursor.holder) else cursor.until - now
        if cursor.target != self._hook.mark:
            return None
        return cursor.not_before - now if now < cursor.not_before <= now + 2 * _LONGEST_ASKED else None

    def _taken(self, cursor: Cursor) -> Cursor:
        """The cursor with this process as the one that delivers, for long enough, to whom the settings say."""
        now, lease = self._clock(), self._hook.timeout + _SLACK
        if cursor.holder != self._holder or cursor.until < now + lease - _SLACK / 2:
            cursor = replace(cursor, holder=self._holder, until=now + lease)
        return cursor if cursor.target == self._hook.mark else replace(cursor.well(), target=self._hook.mark)

    def _try(self, backlog: Backlog, item: Item) -> bool:
        """Deliver one event; False where that failed."""
        try:
            if self._sink is None:
                self._sink = self._open()
            answer = self._sink.deliver(item.event)
        except Exception as error:  # noqa: BLE001 - whatever a receiver makes go wrong, the event is kept
            self._failed(backlog, item, error)
            return False
        backlog.done(item, replace(backlog.cursor.well(), delivered=backlog.cursor.delivered + 1, last=self._clock()))
        self._tell(Tried(result="delivered", event=item.event, text=answer))
        return True

    def _failed(self, backlog: Backlog, item: Item, error: Exception) -> None:
        now, before = self._clock(), backlog.cursor
        text = str(error) if isinstance(error, RepodError) else f"{type(error).__name__}: {error}"
        pause = min(_LONGEST_PAUSE, 2.0 ** min(before.failures, 20)) * (0.75 + 0.5 * self._chance())
        gone = False
        if isinstance(error, Undelivered):
            gone = error.gone
            pause = max(pause, min(error.after or 0.0, _LONGEST_ASKED))
        failing = replace(
            before,
            failures=before.failures + 1,
            since=before.since or now,
            not_before=now + pause,
            problem=" ".join(text.split())[:_SHOWN],
            paused=gone,
        )
        backlog.move(failing)
        self._tell(Tried(result="paused" if gone else "failed", event=item.event, text=failing.problem))
        self._give_up(backlog)
        backlog.move(backlog.cursor.free())

    def _give_up(self, backlog: Backlog) -> None:
        """Drop what waits too long already; the receiver fails as long."""
        oldest = self._clock() - self._hook.give_up
        while (item := backlog.next()) and max(item.event.time, backlog.cursor.since) <= oldest:
            self._drop(backlog, item, f"given up after {self._hook.give_up:g} s: {backlog.cursor.problem}")

    def _drop(self, backlog: Backlog, item: Item, why: str) -> None:
        backlog.done(item, replace(backlog.cursor, dropped=backlog.cursor.dropped + 1))
        self._tell(Tried(result="dropped", event=item.event, text=why))


def _standing(backlog: Backlog, delay: float | None) -> Standing:
    return Standing(pending=backlog.pending, oldest=backlog.oldest, delay=delay, cursor=backlog.cursor)
