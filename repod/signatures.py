"""Who signed the packages of a repository, as their signature headers say it: fast, and remembered.

Nothing is verified: that is ``repod verify``. A package's bytes never change under its pkgid, so
what was read once holds for ever.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from repod.beside import Threads, threads
from repod.doors import Store
from repod.errors import NotFound
from repod.package import Package, Sha256, StorePath
from repod.rpmhead import signature_end

Issuers = frozenset[str]
"""The issuers that a package's signatures name: full fingerprints, or key IDs; none where it is not signed."""

Read = Callable[[Sequence[bytes]], Sequence[Sequence[str]]]
"""The issuers of each of these beginnings of packages; any thread may ask."""

Tell = Callable[[str, int, int], object]
"""Told what is being done, how many are done, and of how many."""

_HEAD = 16 << 10  # bytes read first of a package: most signature headers end within
_BATCH = 250


class Seen(Protocol):
    """What was read before; may be lost at any time."""

    def load(self) -> Mapping[Sha256, Issuers]:
        """All that is remembered, by pkgid."""

    def save(self, known: Mapping[Sha256, Issuers]) -> None:
        """Remember this, and nothing else."""


class Signatures:
    """Looks at the signatures of one store."""

    def __init__(
        self,
        *,
        store: Store,
        read: Read,
        seen: Seen,
        parallel: int,
        tell: Tell = lambda _doing, _done, _all: None,
        threads: Threads = threads,
    ) -> None:
        """``parallel``: how many batches are read at a time; ``tell`` hears how far it is."""
        self._store = store
        self._read = read
        self._seen = seen
        self._parallel = parallel
        self._tell = tell
        self._threads = threads

    def of(self, packages: Iterable[Package]) -> Mapping[Sha256, Issuers]:
        """Who signed each of these, by pkgid. A package whose file is not there is left out."""
        wanted = {package.pkgid: package for package in packages}
        seen = self._seen.load()
        known = {pkgid: seen[pkgid] for pkgid in wanted if pkgid in seen}
        fresh = [package for pkgid, package in wanted.items() if pkgid not in known]
        done = 0
        with self._threads(self._parallel, "signatures") as beside:
            for batch in beside.map(self._looked, _batches(fresh)):
                known |= batch
                done += _BATCH
                self._tell("reading signatures", min(done, len(fresh)), len(fresh))
        if fresh:
            self._seen.save(known)
        return known

    def _looked(self, packages: Sequence[Package]) -> Mapping[Sha256, Issuers]:
        heads = {package.pkgid: head for package in packages if (head := self._head(package.href))}
        return {
            pkgid: frozenset(issuers) for pkgid, issuers in zip(heads, self._read(list(heads.values())), strict=True)
        }

    def _head(self, path: StorePath) -> bytes:
        """The file up to the end of its signature header; nothing where it is not there."""
        try:
            head = b"".join(self._store.stream(path, 0, _HEAD))
            while (needed := signature_end(head) or 0) > len(head):
                more = b"".join(self._store.stream(path, len(head), needed - len(head)))
                if not more:
                    break
                head += more
        except NotFound:
            return b""
        return head[: signature_end(head) or len(head)]


def _batches(packages: Iterable[Package]) -> Iterable[Sequence[Package]]:
    left = iter(packages)
    return iter(lambda: list(itertools.islice(left, _BATCH)), [])
