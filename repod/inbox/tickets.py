"""Messages in hand: what each tells of, and which of it is not done with yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from repod.values import S3Place


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """One message. ``open``: how many of the objects that it tells of are not done with.

    ``receives``: how often it was received; ``since`` and ``deadline`` (monotonic): when it was received,
    and until when nobody else gets it.
    """

    message: str
    receipt: str
    receives: int
    body: str
    since: float
    deadline: float
    open: int = 0

    def renew(self, other: "Ticket") -> None:
        """The same message was received once more."""
        self.receipt, self.receives, self.deadline = other.receipt, other.receives, other.deadline


Pending = Mapping[str, frozenset[Ticket]]
"""Names of objects with what tells of each."""


@dataclass(slots=True, kw_only=True, eq=False)
class Tickets:
    """What tells of the objects of one inbox. Its owner keeps threads apart.

    ``wanted`` says of a name below ``place`` whether it is an arrival; ``wake`` wakes who waits for one.
    """

    place: S3Place
    wanted: Callable[[str], bool]
    wake: Callable[[], None]
    _names: dict[str, set[Ticket]] = field(default_factory=dict)

    def has(self, bucket: str, key: str) -> bool:
        """Whether an object lies below the prefix."""
        return bucket == self.place.bucket and key.startswith(self.place.prefix)

    def pending(self) -> Pending:
        """What tells of each name."""
        return {name: frozenset(tickets) for name, tickets in self._names.items()}

    def add(self, name: str, ticket: Ticket) -> None:
        """A message tells of an object."""
        tickets = self._names.setdefault(name, set())
        ticket.open += ticket not in tickets
        tickets.add(ticket)

    def settle(self, name: str, ticket: Ticket) -> bool:
        """The object is done with, as far as the message tells of it; whether nothing of the message is left."""
        tickets = self._names.get(name, set())
        if ticket not in tickets:
            return False
        self._drop(name, ticket)
        ticket.open -= 1
        return not ticket.open

    def forget(self, ticket: Ticket) -> None:
        """The message goes back: what it tells of is not known any more."""
        for name in [name for name, tickets in self._names.items() if ticket in tickets]:
            self._drop(name, ticket)

    def _drop(self, name: str, ticket: Ticket) -> None:
        self._names[name].discard(ticket)
        if not self._names[name]:
            del self._names[name]
