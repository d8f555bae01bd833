"""What a repository shows its hosts, as far as keys go: observed in its store, beside a daemon."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from repod.announced import read_announced
from repod.doors import Store
from repod.errors import NotFound
from repod.generation import Generation
from repod.history import History
from repod.hostfiles import key_name
from repod.package import Package, Sha256
from repod.rotation import Issuers, Past, Shown
from repod.signatures import Signatures

Listing = Callable[[Store, Generation], Iterable[Package]]
"""The packages of the current generation."""


class Showing:
    """Looks at one repository."""

    def __init__(
        self,
        *,
        name: str,
        store: Store,
        signatures: Signatures,
        listing: Listing,
        issuers: Callable[[bytes], Sequence[str]],
        fingerprints: Callable[[bytes], Collection[str]],
        grace: float,
    ) -> None:
        """``issuers`` reads an armored signature, ``fingerprints`` a file of public keys; ``grace`` is in seconds."""
        self._name = name
        self._store = store
        self._signatures = signatures
        self._listing = listing
        self._issuers = issuers
        self._fingerprints = fingerprints
        self._grace = grace

    def look(self) -> Shown:
        """What there is now. ``Corrupt`` where documents or records are not sound."""
        back = list(History(self._store).back())
        listed = list(self._listing(self._store, back[0])) if back else []
        signed = self._signatures.of([*listed, *(package for one in back for package in one.removed)])
        counts = Counter(signed[package.pkgid] for package in listed if package.pkgid in signed)
        return Shown(
            repository=self._name,
            served=frozenset(self._served()),
            announced=read_announced(self._store),
            index=self._by(back[0].signature) if back else frozenset(),
            signed=dict(counts),
            past=list(self._past(back, counts, signed)),
            grace=self._grace,
        )

    def _served(self) -> Collection[str]:
        try:
            return self._fingerprints(self._store.read(key_name(self._name)).data)
        except NotFound:
            return ()

    def _past(
        self, back: Sequence[Generation], counts: Counter[Issuers], signed: Mapping[Sha256, Issuers]
    ) -> Iterator[Past]:
        """The generations before the current one, whose packages ``counts`` counts."""
        left = Counter(counts)
        for after, one in itertools.pairwise(back):
            left.subtract(signed[package.pkgid] for package in after.added if package.pkgid in signed)
            left.update(signed[package.pkgid] for package in after.removed if package.pkgid in signed)
            yield Past(
                number=one.number,
                ended=after.time,
                index=self._by(one.frozen_signature),
                packages=frozenset(issuers for issuers, number in left.items() if number > 0),
            )

    def _by(self, signature: str) -> Issuers:
        return frozenset(self._issuers(signature.encode()))
