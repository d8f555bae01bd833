"""What is told of refused arrivals in a directory or below a prefix of a bucket: read only."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from repod.errors import Unavailable
from repod.inbox.folders import open_file, opened, vanished
from repod.inbox.names import OURS, REASON, shown
from repod.refused import Told

_LARGEST = 1 << 20  # no reason is so long; whatever else lies there is not read into memory


class ReasonFolder:
    """``Reasons`` in a directory. One that is missing has none: it is made when something is refused."""

    def __init__(self, folder: Path) -> None:
        """``folder``: where refused arrivals go."""
        self._folder = folder

    def list(self) -> Sequence[Told]:
        """See ``Reasons.list``."""
        try:
            return list(self._told())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._unreadable(self._folder, error) from error

    def _told(self) -> Iterator[Told]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(REASON) and not entry.name.startswith(OURS):
                    with contextlib.suppress(FileNotFoundError):
                        state = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(state.st_mode) and state.st_size <= _LARGEST:
                            yield _state(entry.name, state)

    def read(self, told: Told) -> bytes | None:
        """See ``Reasons.read``."""
        name = told.name + REASON
        try:
            with opened(self._folder) as folder, open_file(folder, name) as file:
                if _state(name, os.fstat(file)) != told:
                    return None
                with os.fdopen(file, "rb", closefd=False) as data:
                    return data.read(_LARGEST)
        except OSError as error:
            if vanished(error):
                return None
            raise self._unreadable(self._folder / shown(name), error) from error

    def _unreadable(self, what: Path, error: OSError) -> Unavailable:
        return Unavailable(f"{what} cannot be read ({error.strerror}); let repod read what is in {self._folder}")


def _state(name: str, state: os.stat_result) -> Told:
    mark = f"{state.st_ino} {state.st_size}"
    return Told(name=name.removesuffix(REASON), modified=state.st_mtime_ns, mark=mark)
