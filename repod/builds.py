"""What retention needs to know of builds, and the doors through which it is read."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from repod.generation import Generation
from repod.package import Nevra, Package

Stream = tuple[str, str]
"""Name of a module, and of one of its streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A listed package, and what its metadata say of its making.

    ``source_rpm`` is the file name of its source package; empty where it is one, or none is named.
    ``time`` is when it was built, in seconds since 1970; 0 where that is not said.
    """

    package: Package
    source_rpm: str
    time: int


class StoredBuilds(Protocol):
    """Reads from the store what generations list.

    Every method may raise ``NotFound`` and ``Corrupt`` where a document is not as its record says.
    """

    def listed(self, generation: Generation) -> Iterator[Built]:
        """All packages, in document order."""

    def streams(self, generation: Generation) -> Mapping[Nevra, frozenset[Stream]]:
        """The module streams of each modular package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What one host said that it runs: ``rpm -qa`` line by line, and when (seconds since 1970)."""

    host: str
    time: float
    lines: Collection[str]


class HostReports(Protocol):
    """Where hosts say what they run."""

    def read(self) -> Sequence[HostReport]:
        """All reports; ``Unavailable`` where one cannot be read, so that none is ever left out."""
