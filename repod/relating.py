"""The door to what packages require of each other."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from repod.doors import Need
from repod.generation import Generation
from repod.package import Entry, Nevra


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The plain texts of a repository's documents, as local files that never change.

    ``filelists`` is None where only the paths that primary names are known.
    """

    name: str
    primary: Path
    filelists: Path | None = None


class Relations(Protocol):
    """What the packages of one repository require, and who provides it.

    Every method may raise ``Unavailable`` where it could not be decided now, and ``Corrupt`` or ``NotFound``
    where a document that it reads is not as it should be.
    """

    def broken(self, generation: Generation, going: Collection[Nevra]) -> Sequence[Need]:
        """What the packages that stay would miss, were ``going`` not listed any more; sorted by package.

        A requirement that nobody in ``generation`` meets is not among them: other repositories of its
        hosts do that. Of ``(a or b)`` one must stay; of ``(a if b)`` a must, since a host may have b.
        """

    def unmet(self, generation: Generation | None, coming: Sequence[Entry]) -> Mapping[Nevra, Sequence[str]]:
        """Of each of ``coming`` that no host could install from ``generation``, the others and the bases: why."""
