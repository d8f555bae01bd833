"""A repository in a directory of this machine."""

import errno
import stat
from collections.abc import Iterator
from pathlib import Path

from repod.errors import NotFound, Unavailable

_PIECE = 1 << 20
_ABSENT = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR}


class Directory:
    """Files below ``root``; links are followed, since mirrors are often made of them."""

    def __init__(self, root: Path) -> None:
        """``root``: the folder that holds ``repodata/``."""
        self._root = root.absolute()
        self.name = str(self._root)

    def size(self, href: str) -> int:
        """See ``Source.size``."""
        path = self.path(href)
        try:
            found = path.stat()
        except OSError as error:
            raise _error(path, error) from error
        if not stat.S_ISREG(found.st_mode):
            raise NotFound(f"{path}: expected a file, found a folder, pipe or device")
        return found.st_size

    def open(self, href: str) -> Iterator[bytes]:
        """See ``Source.open``."""
        path = self.path(href)
        self.size(href)
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece
        except OSError as error:
            raise _error(path, error) from error

    def below(self, base: str) -> "Directory":
        """See ``Own.below``."""
        return Directory(self._root / base)

    def path(self, href: str) -> Path:
        """Where the file lies, whether or not there is one."""
        if "\0" in href:
            raise NotFound(f"{href!r} is no name of a file")
        return self._root / href.lstrip("/")


def _error(path: Path, error: OSError) -> NotFound | Unavailable:
    if error.errno in _ABSENT:
        return NotFound(f"{path} is not there")
    return Unavailable(f"{path} cannot be read: {error.strerror}; make it readable for this user")
