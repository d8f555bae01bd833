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
    """What one host said that it runs: ``rpm -qa`` line by line, and when (seconds since 1970).

    ``previous`` are builds that it would be downgraded to. ``digests`` are rpm's SHA-256 of the headers of ``lines``,
    in their order, each empty where it was not told; none at all where no digest was. ``by`` sent the report.
    """

    host: str
    time: float
    lines: Collection[str]
    previous: Collection[str] = ()
    digests: Sequence[str] = ()
    by: str = ""

    def digest_of(self, lines: Collection[str]) -> str:
        """The header digest that was told of the first of ``lines`` that is in the report; empty where none was."""
        return next((digest for line, digest in zip(self.lines, self.digests, strict=False) if line in lines), "")


class HostReports(Protocol):
    """Where hosts say what they run."""

    def read(self) -> Sequence[HostReport]:
        """All reports; ``Unavailable`` where one cannot be read, so that none is ever left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that runs a build, and when it said so; ``header_sha256`` tells that build from others of its NEVRA.

    It is empty where the host did not tell it. ``previous``: it does not run it, but would be downgraded to it.
    """

    host: str
    time: str
    header_sha256: str = ""
    previous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Which hosts run a build, by name; ``warnings`` say why that may not be all."""

    hosts: Sequence[Host]
    warnings: Sequence[str] = ()
