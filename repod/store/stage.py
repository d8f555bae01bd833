"""A stage: the private file in which an object is made before it is linked into place.

Its name is random and its mode 0600, so nobody can foresee, plant or open it. Its owner
holds a kernel lock on it while it lives: that, and neither age nor process id, tells work
in hand from a left-over, across containers and hosts too.
"""

import errno
import fcntl
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from repod.doors import Extent, Part
from repod.package import Sha256, sha256
from repod.store.tree import closing

PIECE = 1 << 20
"""Bytes held in memory at once, and the longest piece of a stream."""

_PULL = 256 << 10
_MINE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What copy_file_range answers where it cannot copy between two files that can be copied.
_NO_KERNEL_COPY = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EXDEV}
# What file systems without hard links answer, CIFS and those of FUSE that mount buckets among them.
_NO_LINKS = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def staged(folder: int) -> Iterator["Stage"]:
    """A new stage in ``folder`` (an open directory); its name is gone at the end, whatever happened."""
    name, fd = _claim(folder)
    stage = Stage(folder, name, fd)
    try:
        yield stage
    finally:
        # It may have been renamed; and what cannot be removed now is swept at the next start.
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        stage.close()


def sweep(folder: int) -> int:
    """Remove what owners that are no more left in ``folder``; return how much there was.

    What cannot be removed now stays for the next time.
    """
    swept = 0
    for name in os.listdir(folder):
        # Held by its owner, gone meanwhile, somebody's symbolic link: all leave it as it is.
        with suppress(OSError), closing(os.open(name, _MINE, dir_fd=folder)) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
            swept += 1
    return swept


def digest(fd: int) -> Sha256:
    """SHA-256 of the whole open file, read from its start."""
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        return sha256(hashlib.file_digest(file, "sha256").hexdigest())


class Stage:
    """The bytes of one object to be, written in order. Every ``OSError`` goes to the caller."""

    def __init__(self, folder: int, name: str, fd: int) -> None:
        """Takes ``fd`` over; ``staged`` is who makes stages."""
        self._folder = folder
        self._name = name
        self._fd = fd
        # A document is some thousand short parts at odd offsets. Gathered into large writes
        # they took 22 ms per 60 MB, with copy_file_range for each 33 ms.
        self._file = io.BufferedWriter(io.FileIO(fd, "wb"), PIECE)

    def feed(self, data: bytes) -> None:
        """Append ``data``."""
        self._file.write(data)

    def pull(self, source: int, offset: int, length: int) -> int:
        """Append ``length`` bytes of an open file from ``offset``; return how many there were."""
        done = 0
        while piece := os.pread(source, min(_PULL, length - done), offset + done):
            self._file.write(piece)
            done += len(piece)
        return done

    def copy(self, source: int) -> None:
        """Append a whole open file; the kernel copies, or shares the blocks, where it can."""
        self._file.flush()
        size = os.fstat(source).st_size
        done = 0
        while moved := _kernel_copy(source, self._fd, done, size - done):
            done += moved
        self.pull(source, done, size - done)

    def digest(self) -> Sha256:
        """SHA-256 of what is stored: read back, not remembered from writing."""
        self._file.flush()
        return digest(self._fd)

    def seal(self) -> None:
        """Give the bytes their published mode and put them on disk."""
        self._file.flush()
        os.fchmod(self._fd, 0o644)
        os.fsync(self._fd)

    def prove(self) -> None:
        """Show that a file can be locked and linked here; raises what stands against it."""
        name = secrets.token_hex(16)
        try:
            self.link(self._folder, name)
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from error
            raise
        os.unlink(name, dir_fd=self._folder)

    def link(self, folder: int, name: str) -> None:
        """Show the file as ``name`` in an open directory; ``FileExistsError`` where there is one."""
        os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder, follow_symlinks=False)

    def replace(self, folder: int, name: str) -> None:
        """Show the file as ``name`` in an open directory, instead of any there."""
        os.replace(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder)

    def close(self) -> None:
        """Let go of the file, and with it of the lock."""
        # Bytes that were never flushed belong to a stage that was given up: no fault to tell.
        with suppress(OSError):
            self._file.close()


def _kernel_copy(source: int, target: int, offset: int, length: int) -> int:
    """How many bytes the kernel copied; 0 at the end, and where it cannot copy between the two."""
    try:
        return os.copy_file_range(source, target, length, offset)
    except OSError as error:
        if error.errno in _NO_KERNEL_COPY:
            return 0
        raise


def _claim(folder: int) -> tuple[str, int]:
    """A new locked file. A sweep may take it between making and locking: then make another."""
    while True:
        name = secrets.token_hex(16)
        fd = os.open(name, _MINE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return name, fd
        except BaseException:
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
            os.close(fd)
            raise
        os.close(fd)


def merged(parts: Iterable[Part]) -> Iterator[Part]:
    """The same bytes with as few extents as possible."""
    last: Extent | None = None
    for part in parts:
        if last is not None:
            if isinstance(part, Extent) and (part.path, part.offset) == (last.path, last.offset + last.length):
                last = replace(last, length=last.length + part.length)
                continue
            yield last
            last = None
        if isinstance(part, Extent):
            last = part
        else:
            yield part
    if last is not None:
        yield last
