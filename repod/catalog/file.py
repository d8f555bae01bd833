"""A file of SQLite that is a cache: opened, shared, and thrown away where it is not sound.

Readers and one writer, in any processes, do not wait for each other (write-ahead log). Only who holds the
lock beside the file writes to it or removes it. A reader that finds it missing or damaged says so, and the
next writer makes it anew.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from repod.errors import Unavailable

_BUSY_SECONDS = 5.0
_IDLE = 8  # connections that are kept open
_SUFFIXES = ("-wal", "-shm", "")  # the log first: it must never be found beside another file
# What says nothing against the file: somebody else is at it, or the place cannot be written, where another
# file would fare no better.
_ELSEWHERE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}


class CacheFile:
    """Connections to one file, each used by one thread at a time."""

    def __init__(self, path: Path, *, version: int) -> None:
        """``version`` of its tables: a file with another one is as good as none."""
        self._path = path
        self._version = version
        self._guard = Lock()
        self._idle: list[tuple[int, sqlite3.Connection]] = []
        self._closed = False
        self._damaged = 0
        self.wanting = False
        """Whether a reader found nothing to read since somebody wrote."""

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the file; ``Unavailable`` where there is none to read."""
        inode = self._inode()
        if not inode:
            raise self._unread()
        connection: sqlite3.Connection | None = None
        try:
            connection = self._taken(inode) or self._opened("rw")
            connection.execute("BEGIN")
            if not self.fits(connection):
                raise self._unread()
            yield connection
            connection.execute("COMMIT")
            self._give_back(inode, connection)
            connection = None
        except sqlite3.Error as error:
            raise self._told(error, inode) from error
        finally:
            if connection is not None:
                connection.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, the only one that writes; ``Unavailable`` where it cannot be.

        The tables are whatever is there (see ``fits``). Nothing is changed where the body raises, which it
        may with ``sqlite3.IntegrityError`` where what is to be written contradicts itself.
        """
        with self._locked(), contextlib.closing(self._made()) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute(f"PRAGMA user_version = {self._version}")
                connection.execute("COMMIT")
            except sqlite3.IntegrityError:
                raise  # what was to be written is not sound; the file is
            except sqlite3.Error as error:
                raise self._told(error, self._inode()) from error
            self.wanting = False

    def fits(self, connection: sqlite3.Connection) -> bool:
        """Whether the tables are those of this version."""
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        return bool(found == self._version)

    def close(self) -> None:
        """Let go of the connections that nobody uses now, and keep no others."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _unread(self) -> Unavailable:
        self.wanting = True
        return Unavailable("the list of packages is not read yet; try again")

    def _told(self, error: sqlite3.Error, inode: int) -> Unavailable:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _ELSEWHERE:
            return Unavailable(f"{self._path} cannot be used now ({error}); it is tried again")
        self.wanting, self._damaged = True, inode
        return Unavailable(f"{self._path} is damaged ({error}); it is made anew")

    def _inode(self) -> int:
        """Which file lies there now; 0 where none does."""
        try:
            return self._path.stat().st_ino
        except OSError:
            return 0

    def _taken(self, inode: int) -> sqlite3.Connection | None:
        """An idle connection to that file; those to others are closed."""
        with self._guard:
            stale = [connection for kept, connection in self._idle if kept != inode]
            self._idle = [one for one in self._idle if one[0] == inode]
            found = self._idle.pop()[1] if self._idle else None
        for connection in stale:
            connection.close()
        return found

    def _give_back(self, inode: int, connection: sqlite3.Connection) -> None:
        with self._guard:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append((inode, connection))
                return
        connection.close()

    def _opened(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # one thread after another
        )
        # Each connection has a cache of its own, so they are small.
        connection.execute("PRAGMA cache_size = -1024")
        return connection

    def _made(self) -> sqlite3.Connection:
        """A connection to write with; what is damaged or of another version is replaced by an empty file."""
        if self._damaged and self._damaged == self._inode():
            self._remove()
        self._damaged = 0
        try:
            return self._prepared()
        except sqlite3.Error as error:
            told = self._told(error, self._inode())
            if not self._damaged:
                raise told from error
        self._remove()
        try:
            return self._prepared()
        except sqlite3.Error as error:
            raise self._told(error, self._inode()) from error

    def _prepared(self) -> sqlite3.Connection:
        connection = self._opened("rwc")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {4 << 20}")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        for suffix in _SUFFIXES:
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; ``Unavailable`` at once where somebody else does."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            msg = f"{self._path.parent} cannot be written ({error.strerror}); make it writable for repod"
            raise Unavailable(msg) from error
        with os.fdopen(handle):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                msg = f"{self._path} is written by another process; it is tried again"
                raise Unavailable(msg) from error
            yield
