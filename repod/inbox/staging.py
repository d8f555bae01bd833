"""The private file in which an upload is gathered, and whether the disk has room for it."""

import errno
import os
import threading
from pathlib import Path

from repod.errors import NoRoom, Unavailable

_SPARE = 64 << 20
_SPARE_PART = 20  # one in so many bytes stays free
_LOOK_EVERY = 8 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Room:
    """The free space of the file system that a folder lies on, less what uploads under way will still take."""

    def __init__(self, folder: Path) -> None:
        """Nothing is asked yet."""
        self._folder = folder
        self._lock = threading.Lock()
        self._promised = 0

    def promise(self, size: int) -> None:
        """``size`` bytes more are to be written; ``NoRoom`` where the disk would be nearly full with them."""
        free, spare = self._free()
        with self._lock:
            needed = size + self._promised + spare
            if needed > free:
                msg = (
                    f"{self._folder}: {free} bytes are free; {size} more and {spare} to spare were expected, beside "
                    f"{self._promised} of other uploads; make room on the disk, and send it again"
                )
                raise NoRoom(msg)
            self._promised += size

    def taken(self, size: int) -> None:
        """``size`` of the promised bytes are written, or will not be."""
        with self._lock:
            self._promised -= size

    def _free(self) -> tuple[int, int]:
        try:
            state = os.statvfs(self._folder)
        except OSError as error:
            msg = f"{self._folder} cannot be looked at ({error.strerror}); bring it back"
            raise Unavailable(msg) from error
        spare = min(_SPARE, state.f_blocks * state.f_frsize // _SPARE_PART)
        return state.f_bavail * state.f_frsize, spare


class Staging:
    """One private file, written in order."""

    def __init__(self, file: int, room: Room, size: int | None) -> None:
        """Takes the open ``file`` over; ``size``: how many bytes will come, None: unknown. ``NoRoom`` at once."""
        self.file = file
        self._room = room
        self._left = 0
        self.size = 0
        self._looked_at = 0
        room.promise(size or 0)
        self._left = size or 0

    def write(self, data: bytes) -> None:
        """See ``Letter.write``."""
        if self._left <= 0 and self.size - self._looked_at >= _LOOK_EVERY:
            self._room.promise(0)
            self._looked_at = self.size
        rest = memoryview(data)
        while rest:
            try:
                count = os.write(self.file, rest)
            except OSError as error:
                raise unwritten(error) from error
            rest = rest[count:]
            self.size += count
            self._fulfil(count)

    def seal(self) -> None:
        """Put it on the disk."""
        try:
            os.fchmod(self.file, 0o644)
            os.fsync(self.file)
        except OSError as error:
            raise unwritten(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._fulfil(self._left)
        if self.file >= 0:
            os.close(self.file)
        self.file = -1

    def _fulfil(self, count: int) -> None:
        done = min(count, self._left)
        self._left -= done
        self._room.taken(done)


def unwritten(error: OSError) -> Unavailable:
    """What an error in writing an upload is to who sent it."""
    if error.errno in _FULL:
        return NoRoom(f"the upload cannot be written ({error.strerror}); make room on the disk, and send it again")
    return Unavailable(f"the upload cannot be written ({error.strerror}); see to the inbox and its disk")
