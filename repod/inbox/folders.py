"""Folders by open descriptor, so that nobody can swap one for a link while repod works in it."""

import ctypes
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from repod.errors import Unavailable

# Never through a link, never waiting for the other end of a pipe.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_RENAME_NOREPLACE = 1
_PIECE = 1 << 20
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def opened(root: Path, parts: Sequence[str] = ()) -> Iterator[int]:
    """The descriptor of the folder ``parts`` below ``root``; only ``root`` itself may be a link.

    Raises ``OSError``; ``vanished`` tells whether the folder is simply not there any more.
    """
    folder = os.open(root, _FOLDER)
    try:
        for part in parts:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def vanished(error: OSError) -> bool:
    """Whether ``error`` means that the entry is gone, or is no folder or no plain file any more."""
    return error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}


def state_of(folder: int, name: str) -> os.stat_result | None:
    """The state of the entry itself, not of what a link points to; None where there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextmanager
def open_file(folder: int, name: str) -> Iterator[int]:
    """A descriptor to read an entry by; ``OSError`` where it is a link. Never blocks."""
    file = os.open(name, READ, dir_fd=folder)
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """A new private file; it is gone again where anything fails. ``Unavailable`` where it cannot be made."""
    try:
        copy = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        msg = f"{target} cannot be created ({error.strerror}); its folder must exist, be writable and have room"
        raise Unavailable(msg) from error
    try:
        with copy:
            yield copy
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def pieces(file: int) -> Iterator[bytes]:
    """The file's bytes from where the descriptor stands."""
    while piece := os.read(file, _PIECE):
        yield piece


def digest(folder: int, name: str) -> str:
    """The SHA-256 of a regular file."""
    hasher = hashlib.sha256()
    with open_file(folder, name) as file:
        for piece in pieces(file):
            hasher.update(piece)
    return hasher.hexdigest()


def move_new(source: int, name: str, target: int, new_name: str) -> None:
    """Rename an entry, folders too, where nothing has the new name; else ``FileExistsError``.

    Raises ``OSError`` with ``EXDEV`` where the two folders lie on different file systems.
    """
    rename = getattr(_LIBC, "renameat2", None)
    if rename and rename(source, os.fsencode(name), target, os.fsencode(new_name), _RENAME_NOREPLACE) == 0:
        return
    number = ctypes.get_errno() if rename else errno.ENOSYS
    if number not in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
        raise OSError(number, os.strerror(number), name)
    move_new_without_kernel(source, name, target, new_name)


def move_new_without_kernel(source: int, name: str, target: int, new_name: str) -> None:
    """``move_new`` for NFS and other file systems that know no renaming without replacing."""
    try:
        os.link(name, new_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        # No links there, or not to a file of somebody else, or it is a folder.
        if error.errno not in {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}:
            raise
        if state_of(target, new_name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name) from error
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    else:
        os.unlink(name, dir_fd=source)


@contextmanager
def locked(folder: int) -> Iterator[None]:
    """Keep out all other threads and processes that take the same lock."""
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def remove_if_there(folder: int, name: str) -> None:
    """Unlink an entry; that somebody else did it first is success."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def is_link(state: os.stat_result) -> bool:
    """Whether the entry is a symbolic link."""
    return stat.S_ISLNK(state.st_mode)


def is_file(state: os.stat_result) -> bool:
    """Whether the entry is a regular file."""
    return stat.S_ISREG(state.st_mode)


def is_folder(state: os.stat_result) -> bool:
    """Whether the entry is a directory."""
    return stat.S_ISDIR(state.st_mode)
