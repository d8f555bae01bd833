"""Taking exactly one state of a file out of a folder that others write to.

A name can mean another file the moment after it was looked at. So the file is first
renamed, in its folder, to a hidden name that nobody else uses; what lies there is then
looked at in peace, and goes back to its old name if it is not what was meant.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from repod.doors import Arrival, Clock
from repod.errors import Conflict, NotFound, Unavailable
from repod.inbox.folders import digest, is_link, move_new, open_file, opened, state_of, vanished
from repod.inbox.names import OURS, fitted, shown
from repod.inbox.readiness import has_writer
from repod.inbox.watcher import Log

_NAME = re.compile(re.escape(OURS) + r"(?P<pid>[0-9]+)-(?P<token>[0-9a-f]{16})-(?P<name>.+)", re.DOTALL)
# No holder needs so long; process ids of other machines and containers tell nothing.
_ABANDONED = 60.0


def mark_of(state: os.stat_result) -> str:
    """Tells one state of a file from any other. A link to it made or removed elsewhere is another state."""
    return f"{_content_mark(state)}:{state.st_ctime_ns}"


def same_file(mark: str, state: os.stat_result) -> bool:
    """Whether ``state`` is that of ``mark`` but for its change time, which links and renames touch too."""
    return mark.rpartition(":")[0] == _content_mark(state)


def _content_mark(state: os.stat_result) -> str:
    return f"{state.st_dev}:{state.st_ino}:{state.st_size}:{state.st_mtime_ns}"


def split(name: str) -> tuple[tuple[str, ...], str]:
    """The folders and the file name of an arrival's name."""
    *parts, last = name.split("/")
    return tuple(parts), last


def is_hidden(name: str) -> bool:
    """Whether ``Hideout.hold`` made the name."""
    return _NAME.fullmatch(name) is not None


class Hideout:
    """Holds arrivals of one inbox under hidden names, and puts back what stopped processes held."""

    def __init__(self, root: Path, *, leases: bool, clock: Clock, log: Log) -> None:
        """``leases``: whether the kernel knows of every writer."""
        self._root = root
        self._leases = leases
        self._clock = clock
        self._log = log
        self._held = set[str]()

    @contextmanager
    def hold(self, arrival: Arrival, checksum: str) -> Iterator[tuple[int, str]]:
        """The arrival's folder and its hidden name there, while it is out of everybody's reach.

        What the caller leaves there goes back. ``checksum`` is the SHA-256 it must have
        where only its change time moved; empty: unknown. Raises ``NotFound`` where it is
        gone, ``Conflict`` where another state has the name, ``Unavailable`` where the folder
        cannot be changed.
        """
        parts, name = split(arrival.name)
        hidden = fitted(name, before=f"{OURS}{os.getpid()}-{secrets.token_hex(8)}-")
        self._held.add(hidden)
        try:
            with opened(self._root, parts) as folder:
                untouched = self._hide(folder, name, hidden, arrival)
                try:
                    if not self._is_meant(folder, hidden, arrival, None if untouched else checksum):
                        raise _changed(arrival)
                    yield folder, hidden
                finally:
                    self._put_back(folder, hidden, name)
        except OSError as error:
            raise self._problem(arrival, error) from error
        finally:
            self._held.discard(hidden)

    def _hide(self, folder: int, name: str, hidden: str, arrival: Arrival) -> bool:
        """Give the arrival its hidden name; whether nothing at all had touched it."""
        before = state_of(folder, name)
        if before is None:
            raise _gone(arrival)
        if not same_file(arrival.mark, before):
            raise _changed(arrival)
        os.rename(name, hidden, src_dir_fd=folder, dst_dir_fd=folder)
        return arrival.mark == mark_of(before)

    def _is_meant(self, folder: int, hidden: str, arrival: Arrival, checksum: str | None) -> bool:
        """Whether this is the arrival; by its content too where ``checksum`` is given."""
        after = state_of(folder, hidden)
        if after is None or not same_file(arrival.mark, after):
            return False
        if is_link(after):
            return True  # where a link leads cannot be changed without making another
        with open_file(folder, hidden) as file:
            if self._leases and has_writer(file):
                return False
        return checksum is None or digest(folder, hidden) == checksum

    def _put_back(self, folder: int, hidden: str, name: str) -> None:
        """Give an entry its name again, or one like it where the name has a new owner."""
        with suppress(FileNotFoundError):
            try:
                move_new(folder, hidden, folder, name)
            except FileExistsError:
                move_new(folder, hidden, folder, fitted(name, before=f"{secrets.token_hex(4)}-"))

    def recover(self, folder: int, name: str) -> bool:
        """Put a hidden entry back that a stopped process held; whether that was done."""
        match = _NAME.fullmatch(name)
        state = state_of(folder, name)
        if match is None or state is None or name in self._held:
            return False
        if _alive(int(match["pid"])) and self._clock() - state.st_ctime < _ABANDONED:
            return False
        self._put_back(folder, name, match["name"])
        self._log.warning("put back what a stopped process held", inbox=str(self._root), file=shown(match["name"]))
        return True

    def _problem(self, arrival: Arrival, error: OSError) -> Exception:
        if vanished(error):
            return _gone(arrival)
        return Unavailable(
            f"inbox {self._root}: {shown(arrival.name)} cannot be taken out ({error.strerror}); "
            "give repod the right to write to its folder"
        )


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _gone(arrival: Arrival) -> NotFound:
    return NotFound(f"{shown(arrival.name)} is no longer in the inbox")


def _changed(arrival: Arrival) -> Conflict:
    return Conflict(f"{shown(arrival.name)} changed after it was seen; it stays and is looked at again")
