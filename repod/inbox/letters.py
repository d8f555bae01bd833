"""Uploads into a directory: gathered in a file without a name, which gets one when it is whole.

So the kernel takes away what a killed process had gathered. Where the file system knows no files without
names, the file has a hidden one, and a lock that tells work in hand from what was left behind.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from repod.errors import Unavailable
from repod.inbox.folders import move_new, opened, state_of
from repod.inbox.names import OURS, Wanted, fitted, left_alone
from repod.inbox.staging import Room, Staging, unwritten
from repod.letterbox import Expect

_STAGE = f"{OURS}upload-"
# What open answers where there are no files without names: an old kernel, NFS, some overlays.
_NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}

_UNNAMED = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC

Vouch = Callable[[os.stat_result], None]
"""Is told the state of a file that is whole, just before the inbox can see it."""


class DirectoryLetterbox:
    """``Letterbox`` of a directory."""

    def __init__(
        self,
        directory: Path,
        *,
        limit: int,
        wanted: Wanted,
        vouch: Vouch,
        knock: Callable[[], None],
        unnamed: bool = True,
    ) -> None:
        """``knock`` wakes who waits for arrivals. ``unnamed``: whether files without names are tried."""
        self.limit = limit
        self.root = directory
        self._wanted = wanted
        self.vouch = vouch
        self.knock = knock
        self._unnamed: bool | None = None if unnamed else False  # None: not tried yet
        self._room = Room(directory)
        with suppress(OSError), opened(directory) as folder:
            _sweep(folder)

    def refuses(self, name: str) -> str:
        """See ``Letterbox``."""
        return left_alone(name, folder=False, wanted=self._wanted)

    def open(self, name: str, size: int | None) -> "_Letter":
        """See ``Letterbox``."""
        try:
            file, stage = self._file()
        except OSError as error:
            raise unwritten(error) from error
        try:
            staging = Staging(file, self._room, size)
        except BaseException:
            os.close(file)
            self._forget(stage)
            raise
        return _Letter(self, name, stage, staging)

    def _file(self) -> tuple[int, str]:
        """A new private file, and its name; empty where it has none."""
        if self._unnamed is None:
            self._unnamed = _unnamed_works(self.root)
        if self._unnamed:
            return os.open(self.root, _UNNAMED, 0o600), ""
        stage = _STAGE + secrets.token_hex(16)
        file = os.open(self.root / stage, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # Shared, so that it can be handed over to another descriptor; a sweep asks for it alone.
        fcntl.flock(file, fcntl.LOCK_SH)
        return file, stage

    def _forget(self, stage: str) -> None:
        if stage:
            (self.root / stage).unlink(missing_ok=True)


class _Letter:
    """``Letter`` into a directory."""

    def __init__(self, box: DirectoryLetterbox, name: str, stage: str, staging: Staging) -> None:
        self._box = box
        self._root = box.root
        self._name = name
        self._stage = stage
        self._staging = staging

    def write(self, data: bytes) -> None:
        self._staging.write(data)

    def deliver(self, expect: Expect) -> str:
        self._staging.seal()
        self._box.vouch(os.fstat(self._staging.file))
        try:
            with opened(self._root) as folder:
                reading = self._only_read(folder)
                try:
                    name = self._show(folder, reading, expect)
                finally:
                    os.close(reading)
                os.fsync(folder)
        except OSError as error:
            msg = f"inbox {self._root}: the upload cannot be put there ({error.strerror}); give repod all rights on it"
            raise Unavailable(msg) from error
        self._box.knock()
        return name

    def close(self) -> None:
        self._staging.close()
        if self._stage:
            (self._root / self._stage).unlink(missing_ok=True)

    def _only_read(self, folder: int) -> int:
        """A descriptor to read the file by, in place of the one it was written by: an arrival has no writer."""
        if self._stage:
            reading = os.open(self._stage, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            fcntl.flock(reading, fcntl.LOCK_SH)
        else:
            reading = os.open(f"/proc/self/fd/{self._staging.file}", os.O_RDONLY | os.O_CLOEXEC)
        self._staging.close()
        return reading

    def _show(self, folder: int, reading: int, expect: Expect) -> str:
        for name in _names(self._name):
            if state_of(folder, name) is not None:
                continue
            expect(name)
            with suppress(FileExistsError):
                if self._stage:
                    move_new(folder, self._stage, folder, name)
                else:
                    os.link(f"/proc/self/fd/{reading}", name, dst_dir_fd=folder, follow_symlinks=True)
                return name
        raise AssertionError  # there is no last name


def _names(name: str) -> Iterator[str]:
    """``NAME``, then names like it that nobody else has."""
    yield name
    while True:
        yield fitted(name, before=f"{secrets.token_hex(4)}-")


def _unnamed_works(root: Path) -> bool:
    """Whether a file without a name can be made there, and be given one later: not everywhere is both so."""
    try:
        file = os.open(root, _UNNAMED, 0o600)
    except OSError as error:
        if error.errno in _NO_UNNAMED and root.is_dir():
            return False
        raise
    name = _STAGE + secrets.token_hex(16)
    try:
        with opened(root) as folder:
            os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
            os.unlink(name, dir_fd=folder)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def _sweep(folder: int) -> None:
    """Remove what stopped processes left."""
    for name in os.listdir(folder):
        if name.startswith(_STAGE):
            with suppress(OSError):
                _remove_if_left(folder, name)


def _remove_if_left(folder: int, name: str) -> None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(file)
