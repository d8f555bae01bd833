"""Packages as a list of them shows them, and the doors between that list and who keeps it in step."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from repod.generation import Generation
from repod.package import Package, Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A listed package with what primary says for people. ``built``: seconds since 1970, 0 where unknown."""

    package: Package
    summary: str
    built: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of which generation a list is. ``checksum``: of its primary, since a store may be put back."""

    generation: int
    checksum: str


Coming = tuple[Sha256, int, int]
"""A build by its pkgid, the generation that listed it first, and when, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What became of a list: first ``removed`` go, then ``added`` come. ``packages``: how many it has then."""

    removed: Collection[Package]
    added: Sequence[Listed]
    comings: Sequence[Coming]
    packages: int


class Listings(Protocol):
    """Reads what generations list."""

    def listed(self, generation: Generation) -> Iterator[Sequence[Listed]]:
        """All packages in batches; ``NotFound`` or ``Corrupt`` where a document is not as its record says."""

    def one(self, package: Package) -> Listed:
        """A package from its own head; ``NotFound`` or ``Corrupt`` where that is not there or unreadable."""


class Book(Protocol):
    """A list of packages that is kept: a cache, shared by processes. All may raise ``Unavailable``."""

    @property
    def lost(self) -> bool:
        """Whether somebody wanted to read and found nothing sound, and nobody wrote since."""

    def standing(self) -> Standing | None:
        """Of which generation it is; None where it has to be filled."""

    def fill(self, place: Standing, comings: Iterable[Sequence[Coming]], packages: Iterable[Sequence[Listed]]) -> None:
        """Make it anew, from batches. What it was is read until all is there; it stays where they raise."""

    def change(self, before: Standing, after: Standing, difference: Difference) -> bool:
        """Make it that of another generation; False, with nothing changed, where the result would not be sound.

        True as well where somebody else did it meanwhile.
        """
