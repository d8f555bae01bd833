"""The queue that S3 tells of new objects: one receiver per queue and process, whatever inboxes share it.

A message stays hidden while anything it tells of is worked on, and is deleted when all of it is done with.
What is not done with goes back into the queue: after a while that grows, or at once where the daemon stops.
Events are hints: each means "look at that object", however often and in whatever order it comes.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from repod import aws
from repod.config import Bucket
from repod.errors import RepodError
from repod.inbox import events
from repod.inbox.names import shown
from repod.inbox.tickets import Pending, Ticket, Tickets
from repod.inbox.watcher import Log
from repod.values import S3Place

Count = Callable[[str], None]
"""Told what became of each message.

``done``: deleted after the work; ``unrelated``: since it was no work; ``unknown``: left; ``returned``: put back.
"""

AHEAD = 300
"""Objects that one daemon holds at the most: enough for one generation, and the rest is left to the others."""

LONG_POLL = 20
"""Seconds for which SQS holds back an empty answer, as long as it can."""

_BATCH = 10  # as much as SQS gives or takes at a time
_FIRST_POLL = 1  # shorter, yet it asks all servers of the queue, so that nothing means nothing
_RETRY = (1.0, 5.0, 15.0, 60.0)
# A poll that a stopped process had open may still be answered, to nobody: what it took comes back after so long.
_LOST = 15.0
_FIRST_BACK, _LONGEST_BACK = 5, 900  # seconds
_CLOSING = 0.8  # seconds that putting back may take when the daemon stops
_MOST_TOLD = 10_000


class Feed:
    """What a queue tells of one inbox."""

    def __init__(self, receiver: "Receiver", tickets: Tickets) -> None:
        """Made by ``Receiver.feed``."""
        self._receiver = receiver
        self._tickets = tickets
        self._closed = False

    @property
    def up(self) -> bool:
        """Whether the queue answers; False before its first answer and after ``close``."""
        return self._receiver.up and not self._closed

    @property
    def down(self) -> bool:
        """Whether it is known not to answer, or is closed: nothing is told of new objects."""
        return self._receiver.down or self._closed

    @property
    def quiet(self) -> bool:
        """Whether the queue had no more to tell when it was last asked."""
        return self._receiver.quiet

    def pending(self) -> Pending:
        """The names that were told of and are not settled or given back yet, with all that told of them."""
        self._receiver.start()
        return {} if self._closed else self._receiver.pending(self._tickets)

    def told_of(self, name: str) -> frozenset[Ticket]:
        """What told of a name by now, after ``close`` too."""
        return self._receiver.pending(self._tickets).get(name, frozenset())

    def settle(self, name: str, tickets: Iterable[Ticket]) -> None:
        """The object is done with, as far as these tell of it."""
        self._receiver.settle(self._tickets, name, tickets)

    def give_back(self, names: Collection[str]) -> None:
        """Not now: what tells of these comes again, here or to another daemon, later each time."""
        self._receiver.give_back(self._tickets, names)

    def close(self, busy: Collection[str]) -> None:
        """Nothing more is told. What tells of ``busy`` may still be settled; the rest goes back at once."""
        self._closed = True
        idle = self._receiver.pending(self._tickets).keys() - set(busy)
        self._receiver.give_back(self._tickets, idle, at_once=True)


class Receiver:
    """Receives the messages of one queue, and says of each object to the inbox in whose prefix it lies.

    Threads may share it. It begins when the first inbox looks.
    """

    def __init__(
        self,
        url: str,
        bucket: Bucket,
        *,
        visibility: float,
        log: Log,
        count: Count,
        ahead: int = AHEAD,
        poll: int = LONG_POLL,
    ) -> None:
        """``bucket``: how the queue is reached. ``visibility``, ``poll``: seconds. ``ahead``: most objects in hand."""
        self._url = url
        self._clients = aws.Clients(bucket)
        self._visibility = max(2, int(visibility))
        self._first = int(min(self._visibility, _LOST))
        self._ahead = ahead
        self._long_poll = poll
        self._log = log
        self._count = count
        self._cond = threading.Condition()
        self._feeds: list[Tickets] = []
        self._held: dict[str, Ticket] = {}
        self._done: list[Ticket] = []
        self._back: list[tuple[Ticket, int]] = []
        self._told = set[str]()
        self._problem = ""
        self._closed = False
        self.up = self.down = self.quiet = False
        self._threads = [
            threading.Thread(target=self._poll, name="queue", daemon=True),
            threading.Thread(target=self._keep, name="queue keeper", daemon=True),
        ]

    def feed(self, place: S3Place, wanted: Callable[[str], bool], wake: Callable[[], None]) -> Feed:
        """What is told of objects below ``place``, unless a longer prefix has them.

        ``wanted`` says of a name whether it is an arrival; ``wake`` is called when one is told of, and when
        the queue begins or ceases to answer.
        """
        tickets = Tickets(place=place, wanted=wanted, wake=wake)
        with self._cond:
            self._feeds.append(tickets)
        return Feed(self, tickets)

    def start(self) -> None:
        """Begin, unless it has begun, or ended."""
        with self._cond:
            if not self._closed and self._threads[0].ident is None:
                for thread in self._threads:
                    thread.start()

    def close(self) -> None:
        """Put back what is not done with, and end: a poll under way is left to itself, and puts back what it gets."""
        with self._cond:
            started = self._threads[1].ident is not None
            self._closed = self.down = True
            self.up = False
            for ticket in list(self._held.values()):
                if ticket.open:
                    self._return(ticket, 0)
            self._cond.notify_all()
        if started:
            self._threads[1].join(_CLOSING)

    def pending(self, tickets: Tickets) -> Pending:
        """See ``Feed.pending``."""
        with self._cond:
            return tickets.pending()

    def settle(self, tickets: Tickets, name: str, by: Iterable[Ticket]) -> None:
        """See ``Feed.settle``: a message of which nothing is left is deleted."""
        with self._cond:
            self._done += [ticket for ticket in by if tickets.settle(name, ticket)]
            self._cond.notify_all()

    def give_back(self, tickets: Tickets, names: Collection[str], *, at_once: bool = False) -> None:
        """See ``Feed.give_back``: messages go back whole, whatever else they tell of."""
        with self._cond:
            told = tickets.pending()
            for ticket in {ticket for name in names for ticket in told.get(name, ())}:
                self._return(ticket, 0 if at_once else self._delay(ticket))
            self._cond.notify_all()

    def _return(self, ticket: Ticket, seconds: int) -> None:
        for feed in self._feeds:
            feed.forget(ticket)
        if self._held.pop(ticket.message, None):
            self._count("returned")
            self._back.append((ticket, seconds))

    def _delay(self, ticket: Ticket) -> int:
        return min(_LONGEST_BACK, _FIRST_BACK << min(ticket.receives - 1, 10))

    def _room(self) -> bool:
        """Wait until more is useful; False where it is closed."""
        with self._cond:
            self._cond.wait_for(lambda: self._closed or sum(t.open for t in self._held.values()) < self._ahead)
            return not self._closed

    def _poll(self) -> None:
        failures = 0
        while self._room():
            try:
                messages = self._receive(self._long_poll if self.up else _FIRST_POLL)
                self._heard(messages)
                failures = 0
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever the queue answers
                self._failed(error)
                with self._cond:
                    pause = _RETRY[min(failures, len(_RETRY) - 1)]
                    self._cond.wait_for(lambda: self._closed, pause)
                failures += 1

    def _receive(self, seconds: int) -> Sequence[Any]:
        with aws.told(self._clients, f"queue {self._url} cannot be received from"):
            answer = self._clients.sqs().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=seconds,
                VisibilityTimeout=self._first,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
            messages = answer.get("Messages", [])
        now = time.monotonic()
        return [
            Ticket(
                message=one["MessageId"],
                receipt=one["ReceiptHandle"],
                receives=int(one.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
                body=one["Body"],
                since=now,
                deadline=now + self._first,
            )
            for one in messages
        ]

    def _heard(self, tickets: Sequence[Ticket]) -> None:
        with self._cond:
            closed = self._closed
            if not closed:
                began, self.up, self.down, self.quiet = not self.up, True, False, not tickets
                wakes = {feed for ticket in tickets for feed in self._deal(ticket)}
                wakes |= set(self._feeds) if began else set()
                self._cond.notify_all()
        if closed:
            self._hide([(ticket, 0) for ticket in tickets])
            return
        for feed in wakes:
            feed.wake()
        if self._problem:
            self._problem = ""
            self._log.info("queue answers again", queue=self._url)

    def _deal(self, ticket: Ticket) -> Iterable[Tickets]:
        """Hand a message out; whose inboxes it tells of."""
        try:
            created = events.parse(ticket.body)
        except events.Unknown as error:
            self._once(ticket.message, "message left for the dead letter queue", str(error))
            self._count("unknown")
            self._back.append((ticket, self._delay(ticket)))
            return []
        earlier = self._held.get(ticket.message)
        if earlier:  # it was not kept hidden in time, or told twice: only its newest receipt counts
            earlier.renew(ticket)
            self._done += [] if earlier.open else [earlier]
            return []
        told = [(feed, one.key.removeprefix(feed.place.prefix)) for one in created for feed in self._feeds_of(one)]
        for feed, name in told:
            feed.add(name, ticket)
        if ticket.open:
            self._held[ticket.message] = ticket
        else:
            self._count("unrelated")
            self._done.append(ticket)
        return [feed for feed, _ in told]

    def _feeds_of(self, one: events.Created) -> Iterable[Tickets]:
        """The inbox that an object lies in; none where it is no arrival there, or in no inbox."""
        found = [feed for feed in self._feeds if feed.has(one.bucket, one.key)]
        if not found:
            self._once(one.bucket, "queue tells of objects outside every inbox", f"{one.bucket}/{shown(one.key)}")
            return []
        feed = max(found, key=lambda feed: len(feed.place.prefix))
        return [feed] if feed.wanted(one.key.removeprefix(feed.place.prefix)) else []

    def _once(self, key: str, event: str, problem: str) -> None:
        if key not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(key)
            self._log.warning(event, queue=self._url, problem=problem)

    def _failed(self, error: Exception) -> None:
        text = str(error) if isinstance(error, RepodError) else f"{type(error).__name__}: {error}"
        with self._cond:
            if self._closed:
                return
            ceased, self.up, self.down, self.quiet = not self.down, False, True, False
            feeds = list(self._feeds)
        if text != self._problem:
            self._problem = text
            self._log.warning("inbox is found by listing, since its queue does not answer", problem=text)
        for feed in feeds if ceased else []:
            feed.wake()

    def _keep(self) -> None:
        """Delete, put back, keep hidden: until it is closed and nothing is left to do."""
        pause = self._first / 3
        closed = False
        while not closed:
            with self._cond:
                self._cond.wait_for(lambda: self._closed or self._done or self._back, pause)
                closed = self._closed
                done, self._done = self._done, []
                back, self._back = self._back, []
                late = time.monotonic() + 2 * pause
                due = [ticket for ticket in self._held.values() if ticket.open and ticket.deadline < late]
            # What cannot be said now comes again, and is done with then.
            with contextlib.suppress(RepodError):
                self._hide([(ticket, self._visibility) for ticket in due])
            with contextlib.suppress(RepodError):
                self._delete(done)
            with contextlib.suppress(RepodError):
                self._hide(back)

    def _delete(self, done: Sequence[Ticket]) -> None:
        for start in range(0, len(done), _BATCH):
            some = done[start : start + _BATCH]
            with aws.told(self._clients, f"messages of queue {self._url} cannot be deleted"):
                self._clients.sqs().delete_message_batch(
                    QueueUrl=self._url,
                    Entries=[{"Id": str(n), "ReceiptHandle": one.receipt} for n, one in enumerate(some)],
                )
            with self._cond:
                for one in some:
                    if self._held.pop(one.message, None):
                        self._count("done")
                self._cond.notify_all()

    def _hide(self, tickets: Sequence[tuple[Ticket, int]]) -> None:
        """Let each message be hidden for so many seconds from now on."""
        for start in range(0, len(tickets), _BATCH):
            some = tickets[start : start + _BATCH]
            with aws.told(self._clients, f"messages of queue {self._url} cannot be hidden or shown"):
                self._clients.sqs().change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(n), "ReceiptHandle": one.receipt, "VisibilityTimeout": seconds}
                        for n, (one, seconds) in enumerate(some)
                    ],
                )
            for one, seconds in some:
                one.deadline = time.monotonic() + seconds
