"""The file of the audit log: appended to by any process of this machine, one at a time, and only ever appended to.

Beside it lies ``FILE.head``: the lock, the last record's number and hash, and a piece of the disk that is given
back when the disk is full, so that what a change did can still be written down. It is no secret and may be lost;
while it is there, a log that was rotated goes on where it was, and one that was cut is noticed at the next record.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from repod.auditlog.chain import DAMAGED, NOTHING, TORN, Head, head_of, holds, record, sealed
from repod.doors import Clock
from repod.errors import Unavailable
from repod.office import By, Noted

HEAD = ".head"
_RESERVE = 1 << 16
_HEAD_BYTES = 128
_BLOCK = 1 << 16
_LONGEST = 4 << 20  # bytes that are looked through for the last record
_SHOWN = 200
_WRONG = {
    TORN: "its last line was cut short, as by a crash; the next record says so",
    DAMAGED: "it was cut off or altered since the last record; see: repod audit verify",
}
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """How a file ends: its last record, and ``odd``, what stands after that and is none, but for its line feed.

    ``ended``: whether the file ends with a line feed, or is empty.
    """

    last: Head | None
    odd: bytes
    ended: bool


class AuditFile:
    """``Record`` in a file. Any thread may use it."""

    def __init__(self, path: Path, clock: Clock, tell: Callable[[str], object]) -> None:
        """``tell`` hears, in a line, of what was found wrong with the file."""
        self.path = path
        self._clock = clock
        self._hear = tell

    def __call__(self, *, by: By, what: str, repository: str, details: Mapping[str, Any], outcome: str) -> None:
        """See ``Record``."""
        self.append([self._now(by, what, repository, details, outcome)])

    def append(self, noted: Sequence[Noted]) -> None:
        """See ``Record.append``. Durable when it returns; where it raises, some may have been written."""
        with self._opened() as (file, head):
            self._append(file, head, noted)

    def _now(self, by: By, what: str, repository: str, details: Mapping[str, Any], outcome: str) -> Noted:
        return Noted(time=self._clock(), by=by, what=what, repository=repository, details=details, outcome=outcome)

    def ready(self) -> None:
        """See ``Record.ready``."""
        with self._opened() as (file, head):
            os.posix_fallocate(head, 0, _RESERVE)
            if self._position(_known(head), tail_of(file))[1]:
                self._append(file, head, ())

    def head(self) -> str:
        """See ``Record.head``; of an empty log, record 0."""
        return str(self.last())

    def last(self) -> Head:
        """The last record. ``Unavailable`` where it cannot be read."""
        with _named(self.path, "read"), looked_at(self.path) as (file, known):
            last = (tail_of(file).last if file is not None else None) or NOTHING
            return last if known is None or last.n > known.n else known

    def _append(self, file: int, head: int, entries: Sequence[Noted]) -> None:
        tail = tail_of(file)
        last, notes = self._position(_known(head), tail)
        for note in notes:
            self._hear(f"{self.path}: {_WRONG[note.what]}")
        text = b"" if tail.ended else b"\n"
        for entry in [*notes, *entries]:
            line, last = sealed(entry, last)
            text += line
        _write(file, head, text)
        os.fdatasync(file)
        os.pwrite(head, f"{last}\n".encode().ljust(_HEAD_BYTES), 0)
        os.fdatasync(head)

    def _position(self, known: Head | None, tail: Tail) -> tuple[Head, Sequence[Noted]]:
        """After which record to go on, and what is to be written down of the state in which the file was."""
        notes: list[Noted] = []
        last = tail.last or known or NOTHING
        if tail.odd:
            shown = tail.odd[:_SHOWN].decode(errors="backslashreplace")
            digest = sha256(tail.odd).hexdigest()
            notes.append(self._note(TORN, {"bytes": len(tail.odd), "sha256": digest, "text": shown}))
        if known and tail.last and tail.last != known and tail.last.n <= known.n:
            last = known
            notes.append(self._note(DAMAGED, {"expected": str(known), "found": str(tail.last)}))
        return last, notes

    def _note(self, what: str, details: Mapping[str, Any]) -> Noted:
        return self._now(By(actor="repod"), what, "", details, "done")

    @contextmanager
    def _opened(self) -> Iterator[tuple[int, int]]:
        """The file and its head, locked against every other writer."""
        with _named(self.path, "written"), _open(_beside(self.path), os.O_RDWR) as head:
            fcntl.flock(head, fcntl.LOCK_EX)
            with _open(self.path, os.O_RDWR | os.O_APPEND) as file:
                yield file, head


def doubts(path: Path) -> Sequence[str]:
    """Whether the file ends as it was left, in lines; nothing is changed. ``Unavailable`` where it cannot be read."""
    with _named(path, "read"), looked_at(path) as (file, known):
        if file is None:
            return ()
        tail = tail_of(file)
        cut = known and tail.last and tail.last != known and tail.last.n <= known.n
        return (f"{path}: {_WRONG[DAMAGED]}",) if cut else ()


@contextmanager
def _named(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"the audit log {path} cannot be {done} ({error.strerror}); see the folder, its owner and space"
        raise Unavailable(msg) from error


@contextmanager
def looked_at(path: Path) -> Iterator[tuple[int | None, Head | None]]:
    """The file, None where there is none, and the head beside it, while nobody writes; ``OSError``."""
    with ExitStack() as stack:
        known = None
        with suppress(FileNotFoundError):
            head = stack.enter_context(_open(_beside(path), os.O_RDONLY))
            fcntl.flock(head, fcntl.LOCK_SH)
            known = _known(head)
        file = None
        with suppress(FileNotFoundError):
            file = stack.enter_context(_open(path, os.O_RDONLY))
        yield file, known


def tail_of(file: int) -> Tail:
    """How an open file ends."""
    size = os.fstat(file).st_size
    start, data = size, b""
    while start > 0 and len(data) < _LONGEST:
        length = min(_BLOCK, start)
        start -= length
        data = os.pread(file, length, start) + data
        first = 0 if start == 0 else data.find(b"\n") + 1
        lines = data[first:].splitlines(keepends=True)
        for place in range(len(lines) - 1, -1, -1):
            # A record that lacks its line feed alone is whole: it gets one with the next.
            found = record(lines[place].removesuffix(b"\n") + b"\n")
            if found and holds(found):
                odd = b"".join(lines[place + 1 :])
                return Tail(last=head_of(found), odd=odd.removesuffix(b"\n"), ended=data.endswith(b"\n"))
    return Tail(last=None, odd=data.removesuffix(b"\n"), ended=not data or data.endswith(b"\n"))


def _beside(path: Path) -> Path:
    return path.with_name(path.name + HEAD)


@contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    """A plain file, never through a link: the folder may be another user's than root's."""
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        file = os.open(path, flags)
    except FileNotFoundError:
        if not flags & os.O_RDWR:
            raise
        file = _made(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        yield file
    finally:
        os.close(file)


def _made(path: Path, flags: int) -> int:
    """A new file, its folder's owner's, so that a command run by root leaves it writable to the daemon."""
    try:
        file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        return os.open(path, flags)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return file


def _known(head: int) -> Head | None:
    try:
        return Head.parse(os.pread(head, _HEAD_BYTES, 0).decode("ascii", errors="replace"))
    except ValueError:
        return None


def _write(file: int, head: int, data: bytes) -> None:
    """All of it; where the disk is full, with what was kept for that."""
    kept = True
    while data:
        try:
            data = data[os.write(file, data) :]
        except OSError as error:
            if not (kept and error.errno in _FULL):
                raise
            kept = False
            os.ftruncate(head, _HEAD_BYTES)
