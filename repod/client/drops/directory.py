"""An inbox in a directory of this machine, or of a file system that is mounted here."""

import hashlib
import os
from pathlib import Path

from repod.client.drops.told import Watched
from repod.client.proving import opened
from repod.client.pushing import Fate, Parcel, Sent, Ticket
from repod.config import rejected_place
from repod.errors import Corrupt, Misconfigured, Refused
from repod.inbox.letters import DirectoryLetterbox
from repod.inbox.reasons import ReasonFolder
from repod.repodata.kinds import kind

_PIECE = 1 << 20
_NO_LIMIT = 1 << 62


class DirectoryDrop:
    """``Drop`` into a directory: each file is gathered where the inbox does not see it, and appears whole."""

    def __init__(self, directory: Path) -> None:
        """``Misconfigured`` where it is none."""
        if not directory.is_dir():
            msg = f"inbox {directory}: expected a directory, found none; correct [repository.NAME] inbox, or mount it"
            raise Misconfigured(msg)
        self._directory = directory
        self._reasons = Watched(ReasonFolder(Path(rejected_place(str(directory)))))
        self._box = DirectoryLetterbox(
            directory,
            limit=_NO_LIMIT,
            wanted=lambda name: bool(kind(name)),
            vouch=lambda _state: None,
            knock=lambda: None,
        )

    @property
    def place(self) -> str:
        """See ``Drop``."""
        return f"{self._directory}/"

    def send(self, parcel: Parcel, sent: Sent) -> Ticket:
        """See ``Drop``."""
        if why := self._box.refuses(parcel.name):
            raise Refused(f"{parcel.name}: {why}; the inbox would leave it alone")
        self._reasons.begin(parcel.sha256)
        if self._lies_there(parcel):
            sent(parcel.size)
            return Ticket(file=parcel.name, sha256=parcel.sha256, size=parcel.size)
        with opened(parcel.path) as file:
            letter = self._box.open(parcel.name, parcel.size)
            try:
                hasher = hashlib.sha256()
                while piece := file.read(_PIECE):
                    hasher.update(piece)
                    letter.write(piece)
                    sent(len(piece))
                if hasher.hexdigest() != parcel.sha256:
                    msg = f"{parcel.path}: it changed while it was sent; nothing was sent: push it again"
                    raise Corrupt(msg)
                name = letter.deliver(lambda _name: None)
            finally:
                letter.close()
        return Ticket(file=name, sha256=parcel.sha256, size=parcel.size)

    def fate(self, ticket: Ticket) -> Fate:
        """See ``Drop``."""
        if os.path.lexists(self._directory / ticket.file):
            return Fate(state="waiting", why="it lies in the inbox")
        return self._reasons.fate(ticket.sha256) or Fate(state="taken")

    def _lies_there(self, parcel: Parcel) -> bool:
        """Whether these bytes lie there under this name already, and wait."""
        place = self._directory / parcel.name
        try:
            if place.is_symlink() or place.stat().st_size != parcel.size:
                return False
            with place.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == parcel.sha256
        except OSError:
            return False
