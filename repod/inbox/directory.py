"""Inbox: a directory that CI jobs copy packages into, nested folders included."""

import hashlib
import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Literal

from repod.doors import Arrival, Clock
from repod.errors import Conflict, Misconfigured, NotFound, Unavailable
from repod.inbox.folders import is_file, is_folder, is_link, new_file, open_file, opened, pieces, state_of, vanished
from repod.inbox.hiding import Hideout, is_hidden, mark_of, same_file, split
from repod.inbox.mounts import shared_filesystem
from repod.inbox.names import Wanted, left_alone, shown
from repod.inbox.readiness import Patience, Wait, has_writer, next_look, read_head
from repod.inbox.rejected import Rejected, reason
from repod.inbox.told import Told
from repod.inbox.watcher import Log, MakeObserver, Watcher
from repod.package import Fault, Sha256, is_rpm, sha256

_DEEPEST = 32
_VOUCHED = 10_000
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """An arrival, when it was written, and in how many seconds its age alone makes it ready."""

    written: int
    arrival: Arrival
    due: float


class DirectoryInbox:
    """An ``Inbox`` on a directory. The scan is the truth; events only end a ``wait`` early.

    Files are never opened for writing, and no link is ever followed below the directory.
    """

    def __init__(
        self,
        directory: Path,
        *,
        rejected: Path,
        watch: Literal["auto", "poll"],
        scan_interval: float,
        settle: float,
        incomplete_after: float,
        clock: Clock,
        log: Log,
        wanted: Wanted,
        mountinfo: Path = _MOUNTS,
        observer: MakeObserver | None = None,
    ) -> None:
        """Times in seconds. ``Misconfigured`` where the directory is missing or not repod's to change.

        ``observer``: see ``Watcher``.
        """
        _check(directory)
        self._root = directory
        self._clock = clock
        self._wanted = wanted
        shared = shared_filesystem(directory, mountinfo)
        # There a lease would speak of this machine's writers only, and CIFS refuses leases as if there were one.
        self._leases = not shared
        self._patience = Patience(settle=settle, incomplete_after=incomplete_after)
        self._rejected = Rejected(rejected)
        self._hideout = Hideout(directory, leases=self._leases, clock=clock, log=log)
        self._told = Told(log, str(directory))
        self._scanning = threading.Lock()
        self._checksums: dict[tuple[str, str], Sha256] = {}
        self._whole: dict[str, None] = {}
        self._due = math.inf
        self._watcher = Watcher(
            directory,
            poll=watch == "poll",
            interval=scan_interval,
            log=log,
            wanted=wanted,
            shared=shared,
            observer=observer,
        )

    @property
    def up(self) -> bool:
        """Whether the directory is watched as configured; False before the first scan."""
        return self._watcher.up

    @property
    def mode(self) -> str:
        """``events`` while they come, else ``polling``."""
        return self._watcher.mode

    def scan(self) -> Sequence[Arrival]:
        """Everything that waits now, oldest first. ``Unavailable`` where any folder cannot be read."""
        with self._scanning:
            try:
                found = self._look_everywhere()
            except Unavailable:
                self._watcher.distrust()
                raise
            self._due = monotonic() + next_look(item.due for item in found)
            self._forget_all_but({_key(item.arrival) for item in found})
            return [item.arrival for item in found]

    def _look_everywhere(self) -> list[_Found]:
        """All there is, oldest first. The watch stands before the look begins, so nothing falls between."""
        try:
            root = self._root.stat()
        except OSError as error:
            raise self._unreadable((), error) from error
        self._watcher.tend((root.st_dev, root.st_ino))
        self._watcher.listen()
        return sorted(self._walk(), key=lambda item: (item.written, item.arrival.name))

    def take(self, arrival: Arrival, target: Path) -> Sha256:
        """As in ``Inbox``; ``Unavailable`` where it cannot be read or ``target`` not be written."""
        parts, name = split(arrival.name)
        try:
            with (
                new_file(target) as copy,
                opened(self._root, parts) as folder,
                open_file(folder, name) as file,
            ):
                checksum = self._copy(file, arrival, copy)
        except BlockingIOError as error:
            raise Conflict(f"{shown(arrival.name)} is held by another program; it is looked at again") from error
        except OSError as error:
            if vanished(error):
                raise NotFound(f"{shown(arrival.name)} is no longer in the inbox") from error
            msg = (
                f"{shown(arrival.name)} cannot be copied to {target} ({error.strerror}); see to its rights and the disk"
            )
            raise Unavailable(msg) from error
        self._checksums[_key(arrival)] = checksum
        return checksum

    def remove(self, arrival: Arrival) -> None:
        """As in ``Inbox``; one that is gone already is success."""
        with (
            suppress(NotFound, Conflict),
            self._hideout.hold(arrival, self._checksums.get(_key(arrival), "")) as (folder, hidden),
        ):
            os.unlink(hidden, dir_fd=folder)

    def reject(self, arrival: Arrival, faults: Sequence[Fault], checksum: str, time: float) -> str:
        """As in ``Inbox``. ``Conflict`` or ``NotFound`` where this state is no longer there: nothing is done then."""
        name = split(arrival.name)[1]
        said = reason(arrival, str(self._root), checksum=checksum, time=time, faults=faults)
        with self._hideout.hold(arrival, checksum) as (folder, hidden):
            return str(self._rejected.receive(folder, hidden, name, said))

    def wait(self, seconds: float) -> bool:
        """As in ``Inbox``: True at once where something happened since the last scan began."""
        return self._watcher.wait(seconds, self._due)

    def vouch(self, state: os.stat_result) -> None:
        """A file in that state is whole, wherever it will lie in the inbox."""
        self._whole[_content(mark_of(state))] = None
        while len(self._whole) > _VOUCHED:
            self._whole.pop(next(iter(self._whole)), None)

    def knock(self) -> None:
        """Something arrived: ends a ``wait``, or the next one."""
        self._watcher.knock()

    def close(self) -> None:
        """Stop watching; wakes a ``wait``. Scanning, taking and removing go on to work."""
        self._watcher.close()

    def _walk(self) -> Iterator[_Found]:
        folders: list[tuple[str, ...]] = [()]
        while folders:
            parts = folders.pop()
            try:
                with opened(self._root, parts) as folder:
                    for name in self._names(folder):
                        path = (*parts, name)
                        state = state_of(folder, name)
                        if state is None or self._is_left_alone(path, state):
                            continue
                        if is_folder(state):
                            folders.append(path)
                        else:
                            yield from self._look(folder, path, state)
            except OSError as error:
                # A folder that went away meanwhile held nothing; the inbox itself may not go away.
                if not parts or not vanished(error):
                    raise self._unreadable(parts, error) from error
        self._told.sweep()

    def _names(self, folder: int) -> list[str]:
        """What the folder holds, once all that stopped processes had hidden is back."""
        names = os.listdir(folder)
        back = [name for name in names if is_hidden(name) and self._hideout.recover(folder, name)]
        return os.listdir(folder) if back else names

    def _is_left_alone(self, path: Sequence[str], state: os.stat_result) -> bool:
        why = left_alone(path[-1], folder=is_folder(state), wanted=self._wanted)
        if not why and is_folder(state) and len(path) > _DEEPEST:
            why = f"it lies more than {_DEEPEST} folders deep"
        if not why and not (is_folder(state) or is_file(state) or is_link(state)):
            why = "it is no regular file"
        if why and not is_hidden(path[-1]):
            self._told.tell("/".join(path), "left alone in the inbox", why)
        return bool(why)

    def _look(self, folder: int, path: Sequence[str], state: os.stat_result) -> Iterator[_Found]:
        """The arrival under that name; none where it went away meanwhile."""
        name = "/".join(path)
        if is_link(state):
            yield self._found(name, state, None, _link_fault(name))
            return
        try:
            with open_file(folder, path[-1]) as file:
                writer = has_writer(file) if self._leases else None
                state = os.fstat(file)
                head = read_head(file)
        except BlockingIOError:
            yield self._found(name, state, Wait(why="held by another program"))
        except OSError as error:
            if not vanished(error):
                why = f"cannot be read ({error.strerror}); give repod the right to read it"
                self._told.tell(name, "arrival cannot be read", why, warn=True)
                yield self._found(name, state, Wait(why=why))
        else:
            if _content(mark_of(state)) in self._whole and not writer:
                yield self._found(name, state, None, whole=True)
                return
            wait = self._patience.judge(head, state.st_size, self._age(state), writer=writer, rpm=is_rpm(path[-1]))
            yield self._found(name, state, wait)

    def _found(
        self, name: str, state: os.stat_result, wait: Wait | None, fault: Fault | None = None, *, whole: bool = False
    ) -> _Found:
        arrival = Arrival(
            name=name,
            size=state.st_size,
            mark=mark_of(state),
            age=self._age(state),
            waiting=wait.why if wait else "",
            fault=fault,
            whole=whole,
        )
        due = math.inf if wait is None or wait.seconds is None else wait.seconds
        return _Found(written=state.st_mtime_ns, arrival=arrival, due=due)

    def _age(self, state: os.stat_result) -> float:
        """Seconds since the last change; a modification time in the future is a copied one and says nothing."""
        now = self._clock()
        last = state.st_ctime if state.st_mtime > now else max(state.st_mtime, state.st_ctime)
        return max(0.0, now - last)

    def _copy(self, file: int, arrival: Arrival, copy: BinaryIO) -> Sha256:
        before = os.fstat(file)
        if not is_file(before) or not same_file(arrival.mark, before) or self._is_written(file):
            raise Conflict(f"{shown(arrival.name)} changed after it was seen; it is looked at again")
        hasher = hashlib.sha256()
        length = 0
        for piece in pieces(file):
            hasher.update(piece)
            copy.write(piece)
            length += len(piece)
            if length > arrival.size:
                break  # it grows, perhaps for ever
        copy.flush()
        if mark_of(os.fstat(file)) != mark_of(before) or self._is_written(file):
            raise Conflict(f"{shown(arrival.name)} changed while it was copied; it is looked at again")
        return sha256(hasher.hexdigest())

    def _is_written(self, file: int) -> bool:
        return self._leases and has_writer(file) is True

    def _unreadable(self, parts: Sequence[str], error: OSError) -> Unavailable:
        what = f"its folder {shown('/'.join(parts))}" if parts else "it"
        return Unavailable(
            f"inbox {self._root}: {what} cannot be read ({error.strerror}); "
            "bring it back, or give repod the right to read and search it"
        )

    def _forget_all_but(self, present: set[tuple[str, str]]) -> None:
        for key in list(self._checksums):
            if key not in present:
                self._checksums.pop(key, None)


def _key(arrival: Arrival) -> tuple[str, str]:
    """The arrival's name and its mark without the change time."""
    return arrival.name, _content(arrival.mark)


def _content(mark: str) -> str:
    """A mark without its change time, which links and renames touch too."""
    return mark.rpartition(":")[0]


def _link_fault(name: str) -> Fault:
    text = f"{shown(name)} is a symbolic link; repod follows none out of an inbox; upload the file itself"
    return Fault(code="symlink", text=text)


def _check(directory: Path) -> None:
    if not directory.is_dir():
        found = "something else" if os.path.lexists(directory) else "nothing"
        msg = f"inbox {directory}: expected a directory, found {found}; create it with: mkdir -p {directory}"
        raise Misconfigured(msg)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        msg = f"inbox {directory}: repod may not read and change it; give its user all rights on the directory"
        raise Misconfigured(msg)
