"""The bus: what happens is told to all who listen now, and the last of it is kept for who comes back."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from repod.happenings import Event, Hear

_KEPT = 1000
_ROOM = 256


class Subscription:
    """What one listener has not read yet. It is closed where it holds too much, and when the bus hangs up."""

    def __init__(self, wanted: Callable[[Event], bool], wake: Callable[[], object], room: int) -> None:
        """``Bus.subscribe`` makes them."""
        self._wanted = wanted
        self._wake = wake
        self._room = room
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._closed = ""

    @property
    def closed(self) -> str:
        """Why nothing more comes; empty while it does."""
        return self._closed

    def read(self) -> Sequence[Event]:
        """All that came since the last time, oldest first."""
        with self._lock:
            events = list(self._events)
            self._events.clear()
        return events

    def offer(self, event: Event) -> None:
        """Take an event in, if it is wanted."""
        if self._closed or not self._wanted(event):
            return
        with self._lock:
            full = len(self._events) >= self._room
            if not full:
                self._events.append(event)
        if full:
            self.close(f"too slow: {self._room} events were not read")
        else:
            self._wake()

    def close(self, why: str) -> None:
        """Nothing more comes; what is there can still be read."""
        self._closed = self._closed or why
        self._wake()


class Bus:
    """A ``Hear`` that tells all who listen; any thread may tell, listen or leave."""

    def __init__(self, *, kept: int = _KEPT) -> None:
        """``kept``: how many events are remembered for who comes back."""
        self._kept = kept
        self._lock = threading.Lock()
        self._history: OrderedDict[str, Event] = OrderedDict()
        self._subscriptions: set[Subscription] = set()
        self._ears: list[Hear] = []
        self._ended = False

    def __call__(self, event: Event) -> None:
        """See ``Hear``. What is among the last events already, by its id, is not told again."""
        with self._lock:
            if event.id in self._history:
                return
            self._history[event.id] = event
            while len(self._history) > self._kept:
                self._history.popitem(last=False)
            subscriptions, ears = list(self._subscriptions), list(self._ears)
        for subscription in subscriptions:
            subscription.offer(event)
        for hear in ears:
            hear(event)

    def join(self, hear: Hear) -> Callable[[], None]:
        """Tell ``hear`` too, in the thread of whoever tells; what is returned ends that."""
        with self._lock:
            self._ears.append(hear)

        def leave() -> None:
            with self._lock:
                if hear in self._ears:
                    self._ears.remove(hear)

        return leave

    def subscribe(
        self,
        wanted: Callable[[Event], bool],
        wake: Callable[[], object],
        *,
        after: str | None = None,
        room: int = _ROOM,
    ) -> Subscription:
        """Begin to listen; ``wake`` is called, from any thread, whenever there is something to read.

        ``after``: the id of the last event that was heard; what is kept of later ones comes first, and all
        that is kept where that one is forgotten. At most ``room`` events wait to be read, beside those.
        """
        subscription = Subscription(wanted, wake, room)
        with self._lock:
            missed = [event for event in self._since(after) if wanted(event)]
            if missed:
                subscription = Subscription(wanted, wake, room + len(missed))
                for event in missed:
                    subscription.offer(event)
            if not self._ended:
                self._subscriptions.add(subscription)
        if self._ended:
            subscription.close("repod is stopping")
        return subscription

    @property
    def listening(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    def leave(self, subscription: Subscription) -> None:
        """Listen no more."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def hang_up(self, why: str) -> None:
        """End every subscription, since who may hear what is read anew; who still wants to subscribes again."""
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, set()
        for subscription in subscriptions:
            subscription.close(why)

    def close(self) -> None:
        """End every subscription, and those that are still to come."""
        self._ended = True
        self.hang_up("repod is stopping")

    def _since(self, after: str | None) -> Sequence[Event]:
        events = list(self._history.values())
        if after is None:
            return ()
        if after not in self._history:
            return events
        return events[list(self._history).index(after) + 1 :]
