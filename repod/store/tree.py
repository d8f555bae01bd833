"""The folders of a local store: which names are objects, resolved with no symbolic link followed.

A path is opened from folder to folder, so nothing below the root can lead out of it.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from repod.doors import Stored
from repod.package import StorePath, store_path

OWN = ".repod"
TMP = ".repod/tmp"
LOCK = ".repod/lock"

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: a FIFO that somebody put there must not stop the daemon.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def closing(fd: int) -> Iterator[int]:
    """``fd``, closed at the end."""
    try:
        yield fd
    finally:
        os.close(fd)


def modified_now(fd: int) -> None:
    """Let a file count as modified now, to the nanosecond.

    The kernel's own now is that of its last tick, milliseconds ago: what is added twice within one would look as if it
    had not been added again. Of a file that is somebody else's only that one may be set.
    """
    now = time.time_ns()
    try:
        os.utime(fd, ns=(now, now))
    except PermissionError:
        os.utime(fd)


def _proven(path: str) -> StorePath:
    path.encode()  # a name that is not UTF-8 could be neither published nor logged
    return store_path(path)


def names(path: StorePath) -> list[str]:
    """The names that ``path`` leads through; ``ValueError`` where it can be no object's."""
    found = _proven(path).split("/")
    if found[:2] in (TMP.split("/"), LOCK.split("/")):
        msg = f"not an object but the store's own file: {path!r}"
        raise ValueError(msg)
    return found


def enter(folder: int, name: str, mode: int | None) -> int:
    """Open the folder ``name`` in an open one. ``mode``: make it so, durably, where it is not there."""
    try:
        return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except NotADirectoryError:
        # The kernel says so of a symbolic link too; but that does not prove that nothing is there.
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise
    except FileNotFoundError:
        if mode is None:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=folder)
        # mkdir took the umask off; a set-group-id bit is the operator's and stays.
        made = stat.S_IMODE(os.stat(name, dir_fd=folder).st_mode)
        if made & 0o777 != mode:  # systemd's RestrictSUIDSGID refuses a chmod that keeps the bit
            os.chmod(name, made & ~0o777 | mode, dir_fd=folder)
        os.fsync(folder)
    return enter(folder, name, None)


def walk(folder: int, below: str, prefix: str) -> Iterator[Stored]:
    """Objects in an open folder whose path starts with ``prefix``; ``below`` is the folder's own path.

    Raises ``OSError`` where a folder cannot be read.
    """
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        path = below + entry.name
        if not entry.is_dir(follow_symlinks=False):
            if path.startswith(prefix) and path != LOCK:
                yield from _stored(entry, path)
            continue
        inside = f"{path}/"
        if path != TMP and (inside.startswith(prefix) or prefix.startswith(inside)):
            # Only what vanished since it was read may be missing.
            with suppress(FileNotFoundError), closing(enter(folder, entry.name, None)) as inner:
                yield from walk(inner, inside, prefix)


def _stored(entry: os.DirEntry[str], path: str) -> Iterator[Stored]:
    """The entry, if it is an object."""
    with suppress(FileNotFoundError, ValueError):
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(info.st_mode):
            yield Stored(path=_proven(path), size=info.st_size, modified=info.st_mtime)
