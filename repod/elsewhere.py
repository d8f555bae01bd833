"""The doors to repositories that other tools made: their files, and what their documents say."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from repod.package import Entry, Nevra, Package


class Source(Protocol):
    """Files of another repository, under raw hrefs, read only. Threads may share one.

    ``base`` is an ``xml:base`` as its documents have it; empty means the repository's own.
    Every method may raise ``NotFound`` (it is not offered there) and ``Unavailable``.
    """

    name: str
    """Where it lies, fit for everybody's eyes: without credentials."""

    def size(self, href: str, base: str = "") -> int | None:
        """The file's length in bytes; None where nobody tells before sending it."""

    def open(self, href: str, base: str = "") -> Iterator[bytes]:
        """The file's bytes, in pieces; raises when first asked for one, or between two."""

    def path(self, href: str, base: str = "") -> Path | None:
        """The local file that holds it; None where it must be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A package as another repository lists it.

    ``checksum`` is by ``algorithm``, a name of hashlib. ``href`` is as its documents have it, and
    so is ``base``, an ``xml:base``. ``built`` and ``filed`` are seconds since 1970.
    """

    nevra: Nevra
    algorithm: str
    checksum: str
    size: int
    href: str
    base: str
    built: int
    filed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The plain text of a document of another repository that is carried on, by its record in repomd."""

    type: str
    data: bytes


class Foreign(Protocol):
    """Another repository whose documents were fetched and proven sound."""

    @property
    def notes(self) -> Sequence[str]:
        """What of its documents is not taken over, and why, or is doubtful; a line each."""

    @property
    def carried(self) -> Sequence[Carried]:
        """Its documents beside primary, filelists and other, at most one of a type."""

    def listed(self) -> Iterator[Listed]:
        """Its packages, in their order; the same each time."""

    def entries(self, become: Callable[[Listed], Package | None]) -> Iterator[Entry]:
        """The entries of its packages, as ours: with pkgid and href of what ``become`` answers.

        Nothing else in them changes, save that an ``xml:base`` goes. ``become`` answers None for a
        package that is left out. Raises ``Corrupt`` where an entry cannot be read back.
        """
