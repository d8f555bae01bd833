"""A repository in a local directory, with the guarantees of an object store.

A file becomes visible in one step or not at all. The order is always the same:

1. stage the bytes in ``.repod/tmp`` (see ``stage``);
2. ``add``: read them back and prove them; then set the mode and fsync the file;
3. ``write`` and ``remove``: take the kernel's lock on ``.repod/lock`` and compare;
4. link, rename or unlink, and fsync the folder: ``_commit``, the only place that changes
   what a reader sees;
5. remove the stage, whatever happened.

A stage lies inside the repository's own tree, so that no rename crosses file systems and
the published file has the tree's SELinux label. All names are resolved from an open folder
to the next one, so no symbolic link below the root is ever followed.
"""

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from repod.doors import Blob, Expect, Extent, Part, Store, Stored, Version
from repod.errors import Conflict, Corrupt, Misconfigured, NotFound, OutcomeUnknown, Unavailable
from repod.package import Sha256, StorePath
from repod.store.stage import PIECE, Stage, digest, merged, staged, sweep
from repod.store.tree import FILE, FOLDER, LOCK, OWN, TMP, closing, enter, modified_now, names, walk

# These say that no object can be there; every other failed look proves nothing.
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
# With these the kernel refused to link, rename or unlink; after any other, such as an answer
# that a network file system lost, it may have been done.
_REFUSED = _ABSENT | {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EISDIR,
    errno.EMLINK,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
    errno.EXDEV,
}
_PLACINGS = 20
# These say at the start that a person must change the place.
_PLACE = {errno.EACCES, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.EOPNOTSUPP, errno.EPERM, errno.EROFS}
_HINTS = {
    errno.EACCES: "give it to the user that repod runs as (owner, mode, SELinux label)",
    errno.EDQUOT: "the quota is used up: free space or raise it",
    errno.EIO: "the disk fails: see the kernel's log",
    errno.ELOOP: "a symbolic link lies there, none is followed: remove it, or bind-mount the folder",
    errno.EMFILE: "too many open files: raise LimitNOFILE",
    errno.ENOSPC: "disk full: free space or inodes there",
    errno.EOPNOTSUPP: "hard links and flock must work there: use another file system; for a bucket, s3://BUCKET/",
    errno.EPERM: "the file system or a file attribute forbids it; hard links must work there",
    errno.EROFS: "mount it writable",
    errno.ESTALE: "the network file system lost it: mount it again",
}


class LocalStore:
    """``Store`` in a directory. Threads and processes may share it.

    The version of an object is the SHA-256 of its bytes: a write that changes nothing
    leaves the version as it was. Published files have mode 0644 and folders 0755, whatever
    the umask. A path that is no proven ``StorePath``, or is one of the store's own files
    under ``.repod``, is a ``ValueError``. ``stream`` and ``list`` look, and raise, when
    they are first asked for a piece.
    """

    def __init__(self, root: Path) -> None:
        """``root``: a directory on a file system that has hard links and ``flock``.

        Makes ``.repod`` in it and sweeps. Raises ``Misconfigured`` where it cannot be a
        store as it is, ``Unavailable`` where it may be later (a full disk).
        """
        self._root = root.absolute()
        try:
            self._prepare()
        except OSError as error:
            if error.errno not in _PLACE:
                raise Unavailable(self._words(OWN, "prepared", error)) from error
            make = f"make it for the user that repod runs as: install -d -o USER {self._root}"
            remedy = _HINTS.get(error.errno or 0, make)
            found = _reason(error)
            msg = f"store {self._root}: expected a directory that repod can write, found: {found}; {remedy}"
            raise Misconfigured(msg) from error

    def _prepare(self) -> None:
        with closing(os.open(self._root, FOLDER)) as root, closing(enter(root, OWN, 0o755)) as own:
            os.close(enter(own, "tmp", 0o700))
        # First, for what is left over may be what fills the disk.
        self.sweep()
        with self._staged() as probe:
            probe.prove()
        with self._locked():
            pass

    def sweep(self) -> int:
        """Remove the stages that dead processes left; return how many. A live one's stay."""
        with self._errors(TMP, "swept"), closing(os.open(self._root / TMP, FOLDER)) as tmp:
            return sweep(tmp)

    def prove(self) -> None:
        """See ``Store.prove``; it was, when this was made."""

    def read(self, path: StorePath) -> Blob:
        """See ``Store.read``."""
        with self._errors(path, "read"), self._object(path) as fd, open(fd, "rb", closefd=False) as file:
            data = file.read()
        return Blob(data=data, version=_version(data))

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ``Store.stream``. Pieces have at most 1 MiB; bytes past the end are not there."""
        with self._errors(path, "read"), self._object(path) as fd:
            end = os.fstat(fd).st_size if length is None else offset + length
            while piece := os.pread(fd, min(PIECE, max(0, end - offset)), offset):
                offset += len(piece)
                yield piece

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        """See ``Store.write``."""
        with self._errors(path, "written"), self._staged() as stage:
            stage.feed(data)
            stage.seal()

            def show(folder: int, name: str) -> None:
                with self._locked():
                    if expect not in {Expect.ABSENT, Expect.ANY}:
                        self._compare(path, expect)
                    put = stage.link if expect is Expect.ABSENT else stage.replace
                    self._commit(path, folder, partial(put, folder, name))

            try:
                self._place(path, show)
            except FileExistsError as error:
                msg = f"{path}: expected nothing there, found an object; read it and try again"
                raise Conflict(msg) from error
        return _version(data)

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        """See ``Store.add``. A missing source of ``parts`` is ``NotFound`` and named."""
        with self._errors(path, "added"), self._staged() as stage:
            self._fill(stage, parts)
            found = stage.digest()
            if found != checksum:
                msg = f"{path}: expected bytes with SHA-256 {checksum}, stored {found}; nothing was added"
                raise Corrupt(msg)
            stage.seal()
            self._add(path, stage.link, checksum)

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        """See ``Store.copy``: another name of the same file, as long as the file system allows one more."""
        origin = self if of is None else of
        if isinstance(origin, LocalStore) and self._linked(origin, source, target, checksum):
            return
        self.add(target, origin.stream(source), checksum)

    def _linked(self, origin: "LocalStore", source: StorePath, target: StorePath, checksum: Sha256) -> bool:
        """False where the file system allows no such name: one too many, or the other store lies on another one."""

        def link(folder: int, name: str) -> None:
            modified_now(fd)
            os.link(old, name, src_dir_fd=outer, dst_dir_fd=folder, follow_symlinks=False)

        with (
            self._errors(target, "added"),
            origin._object(source) as fd,  # noqa: SLF001 - one of its own kind
            origin._folder(source) as (outer, old),  # noqa: SLF001
        ):
            try:
                self._add(target, link, checksum)
            except OSError as error:
                if error.errno not in {errno.EMLINK, errno.EXDEV}:
                    raise
                return False
        return True

    def _add(self, path: StorePath, link: Callable[[int, str], None], checksum: Sha256) -> None:
        """Show an immutable object by ``link``, or prove that it is there already."""

        def show(folder: int, name: str) -> None:
            try:
                self._commit(path, folder, partial(link, folder, name))
            except FileExistsError:
                self._same(path, folder, name, checksum)

        self._place(path, show)

    def _place(self, path: StorePath, show: Callable[[int, str], None]) -> None:
        """Call ``show`` with the open folder of ``path``, made where it is missing, and the name there."""
        for _ in range(_PLACINGS - 1):
            # Somebody else may remove the last object in the folder, and the folder with it.
            with suppress(FileNotFoundError), self._folder(path, create=True) as (folder, name):
                show(folder, name)
                return
        with self._folder(path, create=True) as (folder, name):
            show(folder, name)

    def list(self, prefix: str) -> Iterable[Stored]:
        """See ``Store.list``. A folder that cannot be read is ``Unavailable``, never left out.

        Symbolic links, and names that no ``StorePath`` can have, are not objects.
        """
        with self._errors(f"{prefix}*", "listed"), self._open_root() as root:
            yield from walk(root, "", prefix)

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        """See ``Store.remove``. Folders that are empty then go too, but for those at the top."""
        gone = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
        with (
            self._errors(path, "removed"),
            suppress(*gone),
            self._folder(path) as (folder, name),
            self._locked(),
        ):
            if seen and os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime != seen.modified:
                return False
            self._commit(path, folder, partial(os.unlink, name, dir_fd=folder))
        self._tidy(path)
        return True

    def _tidy(self, path: StorePath) -> None:
        outer = names(path)[:-1]
        with suppress(OSError):  # one that is not empty ends it
            while len(outer) > 1:
                with self._folder(StorePath("/".join(outer))) as (folder, name):
                    os.rmdir(name, dir_fd=folder)
                outer = outer[:-1]

    def _fill(self, stage: Stage, parts: Iterable[Part]) -> None:
        source: StorePath | Path | None = None
        fd = -1
        # One source is held open at a time: a document has thousands of parts from the same one.
        with ExitStack() as held:
            for part in merged(parts):
                if isinstance(part, bytes):
                    stage.feed(part)
                    continue
                wanted = part.path if isinstance(part, Extent) else part
                if wanted != source:
                    held.close()
                    source, fd = wanted, held.enter_context(self._opened(wanted))
                if isinstance(part, Extent):
                    _pull(stage, fd, part)
                else:
                    stage.copy(fd)

    def _opened(self, source: StorePath | Path) -> AbstractContextManager[int]:
        return _local(source) if isinstance(source, Path) else self._object(source)

    def _compare(self, path: StorePath, expected: Version) -> None:
        try:
            with self._object(path) as fd:
                found: str = digest(fd)
        except NotFound:
            found = "nothing"
        if found != expected:
            msg = f"{path}: expected version {expected}, found {found}; read it and try again"
            raise Conflict(msg)

    def _same(self, path: StorePath, folder: int, name: str, checksum: Sha256) -> None:
        """What is there already must be the wanted object, and as durable as if added now.

        ``FileNotFoundError`` where it was removed meanwhile.
        """
        try:
            with self._object(path) as fd:
                found: str = digest(fd)
                if found == checksum:
                    self._touch(fd, folder, name)
                os.fsync(fd)
            os.fsync(folder)
        except NotFound:
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
            found = "a folder"
        if found != checksum:
            msg = f"{path}: expected nothing or SHA-256 {checksum}, found {found}; it stays as it is"
            raise Conflict(msg)

    def _touch(self, fd: int, folder: int, name: str) -> None:
        """Let the open object count as modified now; ``FileNotFoundError`` where it was removed meanwhile."""
        with self._locked():
            if not os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=folder, follow_symlinks=False)):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            modified_now(fd)

    def _commit(self, path: StorePath, folder: int, change: Callable[[], None]) -> None:
        """Make ``change`` in the open ``folder``, durably: the only place that changes what is visible."""
        refused = _REFUSED
        try:
            change()
            refused = set()
            os.fsync(folder)
        except OSError as error:
            if error.errno in refused:
                raise
            msg = f"{path} in store {self._root} may or may not have changed: {_reason(error)}; read it back"
            raise OutcomeUnknown(msg) from error

    @contextmanager
    def _staged(self) -> Iterator[Stage]:
        with closing(os.open(self._root / TMP, FOLDER)) as tmp, staged(tmp) as stage:
            yield stage

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude every other writer, in this process too: the lock belongs to the opening."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with closing(os.open(self._root / LOCK, flags, 0o600)) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # Closing alone would not do while a child process that was just forked has it open.
                fcntl.flock(fd, fcntl.LOCK_UN)

    @contextmanager
    def _open_root(self) -> Iterator[int]:
        """The root, if it still is this store: one that was unmounted must never look empty."""
        with ExitStack() as stack:
            try:
                root = stack.enter_context(closing(os.open(self._root, FOLDER)))
                os.stat(TMP, dir_fd=root)
            except OSError as error:
                msg = f"store {self._root} is not there any more: {_reason(error)}; is it mounted?"
                raise Unavailable(msg) from error
            yield root

    @contextmanager
    def _folder(self, path: StorePath, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder that ``path`` lies in, and its name there."""
        *outer, name = names(path)
        with ExitStack() as stack:
            folder = stack.enter_context(self._open_root())
            for each in outer:
                folder = stack.enter_context(closing(enter(folder, each, 0o755 if create else None)))
            yield folder, name

    @contextmanager
    def _object(self, path: StorePath) -> Iterator[int]:
        """The object, open for reading; ``NotFound`` where there certainly is none."""
        try:
            with self._folder(path) as (folder, name):
                fd = os.open(name, FILE, dir_fd=folder)
        except OSError as error:
            if error.errno in _ABSENT:
                raise NotFound(f"{path} is not in store {self._root}") from error
            raise
        with closing(fd):
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                raise NotFound(f"{path} in store {self._root} is a folder, not an object")
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "not a regular file")
            yield fd

    @contextmanager
    def _errors(self, path: str, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(self._words(path, doing, error)) from error

    def _words(self, path: str, doing: str, error: OSError) -> str:
        hint = _HINTS.get(error.errno or 0, "try again; if it stays so, see the kernel's log")
        return f"{path} cannot be {doing} in store {self._root}: {_reason(error)}; {hint}"


def _reason(error: OSError) -> str:
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, 'no errno')})"


def _version(data: bytes) -> Version:
    return Version(hashlib.sha256(data).hexdigest())


def _pull(stage: Stage, source: int, extent: Extent) -> None:
    found = stage.pull(source, extent.offset, extent.length)
    if found != extent.length:
        msg = f"{extent.path}: expected {extent.length} bytes from {extent.offset}, found {found}; nothing was added"
        raise Corrupt(msg)


@contextmanager
def _local(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, FILE)
    except FileNotFoundError as error:
        raise NotFound(f"local file {path} is not there; nothing was added") from error
    with closing(fd):
        yield fd
