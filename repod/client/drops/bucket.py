"""An inbox that is a prefix of a bucket. A role that may put objects there, and nothing else, is enough to send."""

from contextlib import suppress

from repod.client.drops.told import Watched
from repod.client.proving import opened
from repod.client.pushing import Fate, Parcel, Sent, Ticket
from repod.config import Bucket
from repod.errors import Conflict, Refused, RepodError, Unavailable
from repod.inbox.castoffs import CastoffReasons
from repod.inbox.names import left_alone
from repod.inbox.parcels import names_for
from repod.inbox.prefix import Prefix
from repod.inbox.sending import PART, SHA256, Load, Sending
from repod.repodata.kinds import kind
from repod.values import S3Place

_SIDE_BY_SIDE = 4
_TRIES = 3


class BucketDrop:
    """``Drop`` into a bucket."""

    def __init__(self, place: S3Place, bucket: Bucket, *, part: int = PART) -> None:
        """``bucket``: how it is reached; ``part``: bytes of each part of what goes in parts."""
        self._prefix = Prefix(place, bucket)
        self._sending = Sending(self._prefix, part=part, side_by_side=_SIDE_BY_SIDE)
        self._reasons = Watched(CastoffReasons(self._prefix))

    @property
    def place(self) -> str:
        """See ``Drop``."""
        return str(self._prefix.place)

    def send(self, parcel: Parcel, sent: Sent) -> Ticket:
        """See ``Drop``."""
        if why := left_alone(parcel.name, folder=False, wanted=lambda name: bool(kind(name))):
            raise Refused(f"{parcel.name}: {why}; the inbox would leave it alone")
        self._reasons.begin(parcel.sha256)
        with opened(parcel.path) as file:
            for name in names_for(parcel.name):
                there = self._kept(name)
                if there == parcel.sha256:
                    sent(parcel.size)
                elif there is not None or not self._sent(name, file.fileno(), parcel, sent):
                    continue
                return Ticket(file=name, sha256=parcel.sha256, size=parcel.size)
        raise AssertionError  # there is no last name

    def fate(self, ticket: Ticket) -> Fate:
        """See ``Drop``."""
        try:
            waits = self._prefix.look(ticket.file) is not None
        except Unavailable:
            # Who may not look into the inbox may all the same be let look at what was refused.
            if told := self._reasons.fate(ticket.sha256):
                return told
            raise
        if waits:
            return Fate(state="waiting", why="it lies in the inbox")
        return self._reasons.fate(ticket.sha256) or Fate(state="taken")

    def _sent(self, name: str, file: int, parcel: Parcel, sent: Sent) -> bool:
        """Whether the object was made; False where the name is another's."""
        for last in (*[False] * (_TRIES - 1), True):
            told: list[int] = []  # parts are told of by several threads

            def count(more: int, told: list[int] = told) -> None:
                told.append(more)
                sent(more)

            try:
                self._sending.send(name, Load(file=file, size=parcel.size, checksum=parcel.sha256, sent=count))
            except Conflict:
                # An answer that was lost may have been to the request that made it.
                ours = self._kept(name) == parcel.sha256
                sent((parcel.size if ours else 0) - sum(told))
                return ours
            except Unavailable:
                sent(-sum(told))
                if last:
                    raise
            else:
                return True
        raise AssertionError  # the last try returns or raises

    def _kept(self, name: str) -> str | None:
        """The SHA-256 that an object says it has, empty where it does not; None: none is there, or none is shown."""
        with suppress(RepodError):
            found = self._prefix.head(name)
            return None if found is None else str(found.get("Metadata", {}).get(SHA256, ""))
        return None
