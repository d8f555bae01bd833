"""What is pushed, where to, and what becomes of it: words and doors of ``repoctl push``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from repod.errors import RepodError
from repod.package import Nevra, trace

State = Literal["waiting", "taken", "published", "rejected"]
"""``taken``: it left the inbox and was not rejected, which is all that an inbox alone can tell."""

Outcome = Literal["sent", "published", "already", "rejected", "refused", "failed", "late", "unsent"]

Sent = Callable[[int], object]
"""Hears how many more bytes were sent; a negative number takes back what must be sent again.
It may raise ``Stopped``, which leaves the sending early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A file that was proven, and is to be sent. ``kind`` is ``package`` or that of a document (``kinds.kind``).

    ``nevra`` and ``header_sha256`` are None and empty where it is a document.
    """

    path: Path
    size: int
    sha256: str
    kind: str
    nevra: Nevra | None = None
    header_sha256: str = ""

    @property
    def name(self) -> str:
        """The name under which it is brought."""
        return self.path.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What was sent, and by what it is followed. ``file``: the name under which it lies in the inbox, or lay."""

    file: str
    sha256: str
    size: int

    @property
    def trace(self) -> str:
        """See ``package.trace``."""
        return trace(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of something that was sent.

    ``generation`` lists it, None where that is not known. ``faults`` are why it was rejected, each with ``code``,
    ``text`` and ``remedy``. ``why``: what it waits for, where that is known.
    """

    state: State
    generation: int | None = None
    packages: Sequence[str] = ()
    faults: Sequence[Mapping[str, str]] = ()
    why: str = ""


class Drop(Protocol):
    """The door to where packages are pushed. Threads may share it."""

    @property
    def place(self) -> str:
        """Where that is, as people write it."""

    def send(self, parcel: Parcel, sent: Sent) -> Ticket:
        """Bring the file, whole or not at all, proven by its SHA-256; nothing of another's is overwritten.

        Sending the same bytes again is the same as sending them once. Failures that pass are tried again.
        ``Corrupt`` where the file is not what the parcel says any more, or other bytes came than were sent;
        ``Refused`` where the place takes no such file or not from this caller; ``NoRoom``; ``Unavailable``.
        Where it is left early, by whatever exception, nothing half is left behind.
        """

    def fate(self, ticket: Ticket) -> Fate:
        """What became of it, as far as is known now. ``Unavailable`` or ``Refused`` where it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one file of a push. ``code`` is the exit code that it alone would give.

    ``state``: ``sent`` (it lies in the inbox; nothing more was asked), ``published`` (a fresh client sees it),
    ``already`` (so it was before, and nothing was sent), ``rejected`` (by the repository), ``refused`` (it was not
    sent, by a rule), ``failed``, ``late`` (the time was over first), ``unsent`` (others were wrong, or it was stopped).
    """

    file: str
    state: Outcome
    code: int
    text: str = ""
    sha256: str = ""
    size: int = 0
    trace: str = ""
    package: str = ""
    generation: int | None = None
    packages: Sequence[str] = ()
    faults: Sequence[Mapping[str, str]] = ()


class Teller(Protocol):
    """The door to who is told how a push gets on, as it does, by any thread."""

    def begin(self, parcels: Sequence[Parcel]) -> None:
        """These are being sent now."""

    def sent(self, parcel: Parcel, count: int) -> None:
        """So many more bytes of it were sent; see ``Sent``."""

    def doing(self, text: str) -> None:
        """What is being done, in a line that stands for the one before."""

    def done(self, result: Result) -> None:
        """What came of a file."""


class Stopped(RepodError):
    """Somebody stopped the push."""
