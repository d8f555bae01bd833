"""Keeps the list of what a repository has in step with its generations: by the records, or read anew whole."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from repod.errors import Corrupt, NotFound, Unavailable
from repod.generation import Generation
from repod.history import History
from repod.ledger import Ledger
from repod.listings import Book, Coming, Difference, Listed, Listings, Standing
from repod.package import Package, Sha256

_FAR = 64  # generations behind, at most, that are followed one by one
_FEW = 50
# What is listed anew is read from its own head, at some 3 ms; from the documents all is read, at 50 µs each.
_DEARER = 60


class Cataloguing:
    """A step of the follower: ``book`` follows the current generation."""

    name = "catalog"

    def __init__(
        self,
        *,
        book: Book,
        history: History,
        ledger: Ledger,
        listings: Listings,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Where ``stopping`` says so, reading it whole is given up, for the next start to do."""
        self._book = book
        self._history = history
        self._ledger = ledger
        self._listings = listings
        self._stopping = stopping
        self._followed: Standing | None = None

    @property
    def lost(self) -> bool:
        """Whether the book was found lost since it followed."""
        return self._book.lost

    def follow(self, current: Generation) -> None:
        """See ``Step.follow``."""
        place, before = _place(current), self._book.standing()
        if before == place or (before and self._ahead(before, current)):
            return
        if not (before and self._caught_up(before, current)):
            self._book.fill(place, self._comings(current), self._whole(current))
        self._followed = place

    def _ahead(self, before: Standing, current: Generation) -> bool:
        """Whether another process followed a generation already that was published meanwhile."""
        if before.generation <= current.number:
            return False
        newest = self._history.current()
        return newest is not None and newest.number >= before.generation

    def _caught_up(self, before: Standing, current: Generation) -> bool:
        """Bring the book there by the records between; False where they do not lead there, or it is dearer."""
        with contextlib.suppress(NotFound, Corrupt):
            between = self._between(before, current)
            if between is None:
                return False
            removed, added = _net(between)
            if len(added) > max(_FEW, current.packages // _DEARER):
                return False
            difference = Difference(
                removed=removed,
                added=[self._listings.one(package) for package in added],
                comings=list(_came(between)),
                packages=current.packages,
            )
            return self._book.change(before, _place(current), difference)
        return False

    def _between(self, before: Standing, current: Generation) -> Sequence[Generation] | None:
        """The generations after that of ``before``, oldest first; None where they are no chain from there."""
        if not 0 < current.number - before.generation <= _FAR:
            return None
        chain = [current]
        while chain[-1].number > before.generation + 1:
            chain.append(self._history.record(chain[-1].parent))
        if chain[-1].parent != before.generation:
            return None
        known = before == self._followed or before == _place(self._history.record(before.generation))
        return chain[::-1] if known else None

    def _comings(self, current: Generation) -> Iterator[Sequence[Coming]]:
        """How builds came: by the ledger, which took over what old records said, and by the records."""
        for book in self._ledger.shards():
            self._go_on()
            yield [(known.pkgid, known.came.generation, known.came.time) for known in book.values() if known.came]
        one = current
        with contextlib.suppress(NotFound):
            while True:
                self._go_on()
                yield list(_came([one]))
                one = self._history.record(one.parent)

    def _whole(self, current: Generation) -> Iterator[Sequence[Listed]]:
        for batch in self._listings.listed(current):
            self._go_on()
            yield batch

    def _go_on(self) -> None:
        if self._stopping():
            msg = "repod ends; the list of packages is read when it starts again"
            raise Unavailable(msg)


def _place(generation: Generation) -> Standing:
    return Standing(generation=generation.number, checksum=generation.documents[0].checksum)


def _came(generations: Sequence[Generation]) -> Iterator[Coming]:
    return ((package.pkgid, one.number, one.time) for one in generations for package in one.added)


def _net(generations: Sequence[Generation]) -> tuple[Sequence[Package], Sequence[Package]]:
    """What the first of ``generations`` still listed and the last one does not, and the other way round."""
    removed, added = dict[Sha256, Package](), dict[Sha256, Package]()
    for one in generations:
        for package in one.removed:
            if added.pop(package.pkgid, None) is None:
                removed[package.pkgid] = package
        for package in one.added:
            added[package.pkgid] = package
    return list(removed.values()), list(added.values())
