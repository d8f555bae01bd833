"""Metadata entries of stored packages, made from their headers alone: what was published is not opened whole again."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from repod.doors import Rpms, Store, Unreadable
from repod.errors import Corrupt
from repod.package import Entry, Facts, Package, StorePath
from repod.rpmhead import payload_start
from repod.scratch import discard, writing

_Result = TypeVar("_Result")

_HEAD = 32 << 10  # bytes read first of a package: most headers end within


class Headers:
    """Describes the packages of one store."""

    def __init__(
        self,
        *,
        store: Store,
        rpms: Rpms,
        changelogs: int,
        workspace: Path,
        count: Callable[[int], object] = lambda _size: None,
    ) -> None:
        """``changelogs`` as in ``Rpms.seal``; ``workspace`` is a private folder; ``count`` hears of bytes read."""
        self._store = store
        self._rpms = rpms
        self._changelogs = changelogs
        self._workspace = workspace
        self._count = count

    def entry(self, package: Package, href: StorePath | None = None) -> Entry:
        """The entry of a known package, equal to what was published of it; any thread may ask.

        ``href``: where it is to be listed, if not where it lies. ``NotFound`` where it is not there,
        ``Corrupt`` where its header cannot be read.
        """
        return self._read(
            package, lambda copy: self._rpms.describe(copy, package, href or package.href, self._changelogs)
        )

    def facts(self, package: Package, trusted: bytes) -> Facts:
        """What its header says; signatures are checked with the certificates ``trusted``. Raises as ``entry``."""
        return self._read(package, lambda copy: self._rpms.glance(copy, package, trusted))

    def _read(self, package: Package, read: Callable[[Path], _Result]) -> _Result:
        """What ``read`` makes of a private copy of the file up to its payload."""
        try:
            with self.copy(package) as copy:
                return read(copy)
        except Unreadable as error:
            msg = f"{package.href}: its header cannot be read ({error}); restore it from a copy"
            raise Corrupt(msg) from error

    @contextmanager
    def copy(self, package: Package) -> Iterator[Path]:
        """A private copy of the file up to its payload; ``NotFound`` where it is not there."""
        copy = self._workspace / f"{secrets.token_hex(16)}.rpm"
        try:
            head = self._head(package.href)
            with writing(self._workspace):
                copy.write_bytes(head)
            yield copy
        finally:
            discard(copy)

    def _head(self, path: StorePath) -> bytes:
        """The file up to its payload, in two or three ranged reads."""
        head = b"".join(self._store.stream(path, 0, _HEAD))
        while (needed := payload_start(head) or 0) > len(head):
            more = b"".join(self._store.stream(path, len(head), needed - len(head)))
            if not more:
                break
            head += more
        self._count(len(head))
        return head[:needed] if needed else head
