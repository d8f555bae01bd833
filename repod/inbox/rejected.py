"""The directory for refused arrivals: each with a file beside it that says why."""

import errno
import itertools
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from repod.doors import Arrival
from repod.errors import Unavailable
from repod.inbox.folders import (
    digest,
    is_file,
    is_link,
    locked,
    open_file,
    opened,
    pieces,
    remove_if_there,
    state_of,
)
from repod.inbox.names import OURS, REASON, fitted, shown
from repod.package import REMEDIES, Fault, trace


def reason(arrival: Arrival, inbox: str, *, checksum: str, time: float, faults: Sequence[Fault]) -> dict[str, object]:
    """What a reason file says of an arrival of ``inbox``, a directory or prefix.

    Names are written as by ``shown``; ``sha256`` is null where nothing was read.
    """
    return {
        "file": shown(arrival.name.rpartition("/")[2]),
        "inbox": shown(inbox),
        "inbox_path": shown(arrival.name),
        "sha256": checksum or None,
        "trace": trace(checksum) or None,
        "size": arrival.size,
        "time": datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "faults": [
            {"code": fault.code, "text": fault.text, "remedy": REMEDIES.get(fault.code, "")} for fault in faults
        ],
    }


def as_json(said: dict[str, object]) -> bytes:
    """A reason file's bytes."""
    return json.dumps(said, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def candidates(name: str) -> Iterator[str]:
    """``NAME``, ``NAME.2``, ``NAME.3`` …, short enough to have a reason file each."""
    name = fitted(name, spare=len(REASON) + 10)
    yield name
    for number in itertools.count(2):
        yield f"{name}.{number}"


class Rejected:
    """One directory that any number of inboxes, threads and processes move refused arrivals to."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is created where it is missing, as soon as something is refused."""
        self._directory = directory

    def receive(self, source: int, hidden: str, name: str, said: dict[str, object]) -> Path:
        """Move the entry ``hidden`` of the folder ``source`` here, as ``name``; where it lies now.

        The reason is written first: a file without one is never to be seen here. An entry
        with the same bytes under that name is replaced, one with others stays and the new
        one takes the next free number. Raises ``Unavailable``; the entry is at its old
        place then.
        """
        try:
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            with opened(self._directory) as here, locked(here):
                _sweep(here)
                as_name = next(n for n in candidates(name) if _free_for(here, n, source, hidden))
                _receive(source, hidden, here, as_name, as_json(said | {"file": shown(as_name)}))
        except OSError as error:
            msg = (
                f"rejected directory {self._directory}: {shown(name)} cannot be moved there ({error.strerror}); "
                "make the directory writable for repod and see that the disk has room"
            )
            raise Unavailable(msg) from error
        return self._directory / as_name


def _receive(source: int, hidden: str, here: int, name: str, why: bytes) -> None:
    """Reason first, then the entry. Where that fails a reason for nothing is taken back."""
    known = state_of(here, name) is not None
    _write(here, name + REASON, why)
    try:
        _move(source, hidden, here, name)
    except BaseException:
        if not known:
            remove_if_there(here, name + REASON)
        raise
    os.fsync(here)


def _sweep(here: int) -> None:
    """Remove what stopped processes left half written; the lock says that none is at work."""
    for name in os.listdir(here):
        if name.startswith(OURS):
            remove_if_there(here, name)


def _free_for(here: int, name: str, source: int, hidden: str) -> bool:
    """Whether the entry may lie here as ``name``: nothing does, or the same."""
    there, new = state_of(here, name), state_of(source, hidden)
    if there is None or new is None:
        return there is None
    if is_link(there) and is_link(new):
        return os.readlink(name, dir_fd=here) == os.readlink(hidden, dir_fd=source)
    if not (is_file(there) and is_file(new)) or there.st_size != new.st_size:
        return False
    return digest(here, name) == digest(source, hidden)


def _write(here: int, name: str, data: bytes) -> None:
    stage = OURS + secrets.token_hex(8)
    _fill(here, stage, [data])
    os.rename(stage, name, src_dir_fd=here, dst_dir_fd=here)
    os.fsync(here)


def _fill(here: int, stage: str, data: Iterable[bytes]) -> None:
    """A new, durable file; nothing of it stays where that fails."""
    file = os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=here)
    try:
        with os.fdopen(file, "wb") as out:
            for piece in data:
                out.write(piece)
            out.flush()
            os.fsync(file)
    except BaseException:
        remove_if_there(here, stage)
        raise


def _move(source: int, hidden: str, here: int, name: str) -> None:
    """Move the entry; what ``_free_for`` found equal is replaced."""
    try:
        os.rename(hidden, name, src_dir_fd=source, dst_dir_fd=here)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, hidden, here, name)
        remove_if_there(source, hidden)


def _copy(source: int, hidden: str, here: int, name: str) -> None:
    """The same entry on another file system, durable and proven before it has its name."""
    stage = OURS + secrets.token_hex(8)
    state = state_of(source, hidden)
    if state and is_link(state):
        os.symlink(os.readlink(hidden, dir_fd=source), stage, dir_fd=here)
    else:
        with open_file(source, hidden) as file:
            _fill(here, stage, pieces(file))
        if digest(here, stage) != digest(source, hidden):
            remove_if_there(here, stage)
            raise OSError(errno.EIO, "the copy reads back differently")
    os.rename(stage, name, src_dir_fd=here, dst_dir_fd=here)
