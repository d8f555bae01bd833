"""Inbox: a prefix of a bucket that CI jobs upload packages to.

An object is whole when it is there, so nothing waits to settle; a file that was cut short before it was
uploaded is refused by its digests at once. Without a queue the prefix is listed at every scan. With one each
event names an object to look at, and a listing now and then finds what no event told of. It takes such an
object only when its event is overdue, so that several daemons, who share arrivals by the queue, do not all
take the same: after ``visibility``, for which another daemon may have the message, or ten times that where
the queue still has more to tell.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from repod.config import Bucket
from repod.doors import Arrival
from repod.errors import Conflict, NotFound, RepodError, Unavailable
from repod.inbox.castoffs import COPY_LIMIT, CastoffReasons, Castoffs
from repod.inbox.folders import new_file
from repod.inbox.names import Wanted, path_left_alone, shown
from repod.inbox.prefix import REJECTED, Object, Prefix
from repod.inbox.queue import Receiver
from repod.inbox.rejected import reason
from repod.inbox.tickets import Pending, Ticket
from repod.inbox.told import Told
from repod.inbox.watcher import Log
from repod.package import Fault, Sha256, sha256
from repod.refused import Reasons
from repod.values import S3Place

_TRIES = 2  # turns that may begin with an arrival before what told of it goes back into the queue
_LOOKERS = 8
_LONG = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """An object that events told of, as it was found when these had come; or why it could not be looked at."""

    tickets: frozenset[Ticket]
    object: Object | None = None
    problem: str = ""


class BucketInbox:
    """An ``Inbox`` on a prefix of a bucket. Any number of threads, processes and machines may share the prefix."""

    def __init__(
        self,
        place: S3Place,
        bucket: Bucket,
        *,
        receiver: Receiver | None,
        scan_interval: float,
        list_interval: float,
        visibility: float,
        log: Log,
        wanted: Wanted,
        monotonic: Callable[[], float] = time.monotonic,
        copy_limit: int = COPY_LIMIT,
    ) -> None:
        """Times in seconds. ``receiver`` of the queue that tells of the prefix; None: there is none."""
        self._prefix = Prefix(place, bucket)
        self._castoffs = Castoffs(self._prefix, copy_limit=copy_limit)
        self._scan_interval = scan_interval
        self._list_interval = list_interval
        self._visibility = visibility
        self._wanted = wanted
        self._monotonic = monotonic
        self._told = Told(log, str(place))
        self._scanning = threading.Lock()
        self._lock = threading.Lock()
        self._hint = threading.Event()
        self._hint.set()  # nobody has looked yet
        self._closed = self._looked = False
        self._list_at = 0.0
        self._found: dict[str, Object] = {}
        self._known: dict[str, _Known] = {}
        self._tries = Counter[str]()
        self._lookers: ThreadPoolExecutor | None = None
        self._feed = receiver.feed(place, self._is_arrival, self._hint.set) if receiver else None

    @property
    def up(self) -> bool:
        """Whether arrivals are heard of as configured; False before the first scan."""
        return self._looked and (self._feed is None or self._feed.up)

    def scan(self) -> Sequence[Arrival]:
        """Everything that waits now, oldest first by the server's clock; ``Unavailable`` where it cannot be told."""
        with self._scanning:
            if not self._closed:
                self._hint.clear()
            told = self._not_given_back(self._feed.pending()) if self._feed else {}
            listed = self._listed()
            self._look_at(told, listed)
            self._looked = True
            with self._lock:
                objects = self._found | {name: known.object for name, known in self._known.items() if known.object}
                failed = {name: known.problem for name, known in self._known.items() if known.problem}
            ordered = sorted(objects.values(), key=lambda item: (item.modified, item.name))
            return [*map(self._arrival, ordered), *(_unread(name, why) for name, why in failed.items())]

    def take(self, arrival: Arrival, target: Path) -> Sha256:
        """As in ``Inbox``; ``Unavailable`` where it cannot be read or ``target`` not be written."""
        with self._lock:
            self._tries[arrival.name] += 1
        hasher = hashlib.sha256()
        try:
            with new_file(target) as copy:
                for piece in self._prefix.pieces(arrival.name, arrival.mark, arrival.size):
                    hasher.update(piece)
                    copy.write(piece)
        except (Conflict, NotFound):
            self._forget(arrival.name)
            raise
        except OSError as error:
            msg = f"{shown(arrival.name)} cannot be copied to {target} ({error.strerror}); see that the disk has room"
            raise Unavailable(msg) from error
        return sha256(hasher.hexdigest())

    def remove(self, arrival: Arrival) -> None:
        """As in ``Inbox``; one that is gone already is success. What told of it is deleted with it."""
        # Those that are there before it goes: what comes later may tell of a newer object.
        tickets = self._feed.told_of(arrival.name) if self._feed else ()
        gone = self._prefix.delete(arrival.name, arrival.mark)
        self._forget(arrival.name)
        if gone and self._feed:
            self._feed.settle(arrival.name, tickets)

    def reject(self, arrival: Arrival, faults: Sequence[Fault], checksum: str, time: float) -> str:
        """As in ``Inbox``. ``Conflict`` or ``NotFound`` where this state is no longer there: nothing is done then."""
        said = reason(arrival, str(self._prefix.place), checksum=checksum, time=time, faults=faults)
        try:
            name = self._castoffs.receive(arrival.name, arrival.mark, said, checksum)
        except (Conflict, NotFound):
            self._forget(arrival.name)
            raise
        self.remove(arrival)
        return f"{self._prefix.place}{REJECTED}{name}"

    def wait(self, seconds: float) -> bool:
        """As in ``Inbox``: True at once where something was told since the last scan began."""
        polled = self._feed is None or self._feed.down
        return self._hint.wait(min(seconds, self._scan_interval) if polled else seconds) and not self._closed

    def knock(self) -> None:
        """Something arrived: ends a ``wait``, or the next one."""
        self._hint.set()

    def close(self) -> None:
        """Hear of nothing more; wakes a ``wait``. Scanning, taking and removing go on to work, by listing."""
        self._closed = True
        if self._feed:
            with self._lock:
                busy = set(self._tries)
            self._feed.close(busy)
        if self._lookers:
            self._lookers.shutdown(wait=False, cancel_futures=True)
        self._hint.set()

    def _is_arrival(self, name: str) -> bool:
        return _is_file(name) and not path_left_alone(name, self._wanted)

    def _not_given_back(self, told: Pending) -> Pending:
        """What is left, after what could not be taken in now went back into the queue."""
        late = time.monotonic() - _LONG * self._visibility
        back = {
            name
            for name, tickets in told.items()
            if self._tries[name] >= _TRIES or any(ticket.since < late for ticket in tickets)
        }
        if back and self._feed:
            self._feed.give_back(back)
            for name in back:
                self._forget(name, found=False)
        return {name: tickets for name, tickets in told.items() if name not in back}

    def _listed(self) -> dict[str, Object]:
        """All arrivals there are, where it is time to list them; ``_found`` holds those that no event will tell of."""
        feed = self._feed
        by_queue = feed is not None and not feed.down
        if by_queue and not (feed and feed.up and self._monotonic() >= self._list_at):
            return {}
        objects = list(self._prefix.list())
        self._castoffs.sweep(objects)
        arrivals = {item.name: item for item in objects if self._is_told_apart(item.name)}
        self._told.sweep()
        overdue = self._visibility * (1 if feed and feed.quiet else _LONG) if by_queue else 0.0
        with self._lock:
            self._found = {name: item for name, item in arrivals.items() if self._age(item) >= overdue}
        self._list_at = self._monotonic() + self._list_interval
        return arrivals

    def _is_told_apart(self, name: str) -> bool:
        """Whether it is an arrival; the log hears of what is none."""
        why = path_left_alone(name, self._wanted) if _is_file(name) else ""
        if why:
            self._told.tell(name, "left alone in the inbox", why)
        return _is_file(name) and not why

    def _look_at(self, told: Pending, listed: dict[str, Object]) -> None:
        """Find the present state of each object that something new was told of."""
        with self._lock:
            self._known = {name: known for name, known in self._known.items() if name in told}
            before = dict(self._known)
        fresh = {name: _Known(tickets=told[name], object=listed[name]) for name in told if name in listed}
        names = [name for name in told if name not in fresh and _is_new(before.get(name), told[name])]
        looks = dict(zip(names, self._looks(names), strict=True))
        problems = [look for look in looks.values() if isinstance(look, RepodError)]
        if problems and len(problems) == len(looks) and not listed:
            raise problems[0]
        for name, look in looks.items():
            if isinstance(look, Object):
                fresh[name] = _Known(tickets=told[name], object=look)
            elif look is None and self._feed:
                self._feed.settle(name, told[name])
            elif look is not None:
                self._tries[name] += 1
                fresh[name] = _Known(tickets=told[name], problem=str(look))
        with self._lock:
            self._known |= fresh

    def _looks(self, names: Sequence[str]) -> Iterable[Object | RepodError | None]:
        if len(names) <= 1:
            return map(self._look, names)
        self._lookers = self._lookers or ThreadPoolExecutor(_LOOKERS, thread_name_prefix="inbox")
        return list(self._lookers.map(self._look, names))

    def _look(self, name: str) -> Object | RepodError | None:
        try:
            return self._prefix.look(name)
        except RepodError as error:
            return error

    def _forget(self, name: str, *, found: bool = True) -> None:
        """It is not as it was known: the next scan looks again."""
        with self._lock:
            self._known.pop(name, None)
            self._tries.pop(name, None)
            if found:
                self._found.pop(name, None)

    def _age(self, item: Object) -> float:
        return max(0.0, self._prefix.now() - item.modified)

    def _arrival(self, item: Object) -> Arrival:
        return Arrival(name=item.name, size=item.size, mark=item.mark, age=self._age(item))


def _is_file(name: str) -> bool:
    """Whether it may be an arrival at all: no folder, which consoles make as an empty object, and not refused."""
    return bool(name) and not name.endswith("/") and not name.startswith(REJECTED)


def _is_new(known: _Known | None, tickets: frozenset[Ticket]) -> bool:
    return known is None or known.object is None or known.tickets != tickets


def _unread(name: str, why: str) -> Arrival:
    return Arrival(name=name, size=0, mark="", age=0.0, waiting=f"cannot be read: {why}")


def reasons(place: S3Place, bucket: Bucket) -> Reasons:
    """What is told of the refused ones below the prefix."""
    return CastoffReasons(Prefix(place, bucket))


def count(place: S3Place, bucket: Bucket, wanted: Wanted) -> tuple[int, int]:
    """How many arrivals lie below the prefix, and how many among the refused ones."""
    names = [item.name for item in Prefix(place, bucket).list()]
    refused = [name.removeprefix(REJECTED) for name in names if name.startswith(REJECTED)]
    waiting = [name for name in names if _is_file(name)]

    def counted(some: Sequence[str]) -> int:
        return sum(not path_left_alone(name, wanted) for name in some)

    return counted(waiting), counted(refused)
