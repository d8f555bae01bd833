"""The door to documents that come along with packages from one repository to another."""

from collections.abc import Collection, Mapping
from typing import Protocol

from repod.doors import Edit
from repod.package import Nevra


class Papers(Protocol):
    """Makes edits of the carried documents of another repository: ``documents``, plain, by their type.

    Every method may raise ``Corrupt`` where a document is not sound.
    """

    def advisories(self, documents: Mapping[str, bytes]) -> Mapping[str, Collection[Nevra]]:
        """The packages that each advisory speaks of, by its id."""

    def with_advisories(self, documents: Mapping[str, bytes], ids: Collection[str]) -> Edit:
        """The edit that adds those of its advisories."""

    def with_modules(
        self, documents: Mapping[str, bytes], packages: Collection[Nevra], present: bytes | None
    ) -> Edit | None:
        """The edit that adds the module builds of ``packages`` beside ``present``; None where none is modular."""

    def whole(self, documents: Mapping[str, bytes]) -> list[Edit]:
        """The edits that add all advisories and modules, and set the groups."""

    @property
    def modules(self) -> str:
        """The type of the document of modules."""
