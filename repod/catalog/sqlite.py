"""A catalog in a file of SQLite."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from repod.catalog import search, tables
from repod.catalog.file import CacheFile
from repod.errors import Corrupt, Unavailable
from repod.listings import Coming, Difference, Listed, Standing
from repod.office import Names, Page, Row, Search
from repod.package import Nevra, Package


class SqliteCatalog:
    """``Book``, and what it answers: what one repository lists, as of one generation; any thread may ask."""

    def __init__(self, path: Path) -> None:
        """``path``: the file. It and its folder are made when something is written."""
        self._file = CacheFile(path, version=tables.VERSION)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def lost(self) -> bool:
        """See ``Book.lost``."""
        return self._file.wanting

    def standing(self) -> Standing | None:
        """See ``Book.standing``."""
        try:
            with self._file.reading() as connection:
                return tables.standing(connection)
        except Unavailable:
            if self._file.wanting:
                return None
            raise

    def fill(self, place: Standing, comings: Iterable[Sequence[Coming]], packages: Iterable[Sequence[Listed]]) -> None:
        """See ``Book.fill``."""
        try:
            with self._file.writing() as connection:
                tables.fill(connection, comings, packages)
                tables.stand(connection, place)
        except sqlite3.IntegrityError as error:
            msg = f"generation {place.generation} lists a package twice ({error}); see: repod verify REPO"
            raise Corrupt(msg) from error

    def change(self, before: Standing, after: Standing, difference: Difference) -> bool:
        """See ``Book.change``."""
        try:
            with self._file.writing() as connection:
                found = tables.standing(connection) if self._file.fits(connection) else None
                if found != after:
                    _require(found == before)
                    tables.come(connection, difference.comings)
                    tables.change(connection, difference.removed, difference.added)
                    tables.stand(connection, after)
                    _require(tables.count(connection) == difference.packages)
        except (_UnsoundError, sqlite3.IntegrityError):
            return False
        return True

    def search(self, wanted: Search) -> Page:
        """See ``Catalog.search``."""
        with self._file.reading() as connection:
            return search.page(connection, wanted)

    def names(self, limit: int) -> Names:
        """See ``Catalog.names``."""
        with self._file.reading() as connection:
            return search.names(connection, limit)

    def builds_of(self, name: str) -> Sequence[Row]:
        """See ``Catalog.builds_of``."""
        with self._file.reading() as connection:
            return search.builds_of(connection, name)

    def arches(self) -> Mapping[str, int]:
        """See ``Catalog.arches``."""
        with self._file.reading() as connection:
            return search.arches(connection)

    def package(self, nevra: Nevra) -> Package:
        """The package that is listed as ``nevra``; ``NotFound`` where none is."""
        with self._file.reading() as connection:
            return search.package(connection, nevra)


class _UnsoundError(Exception):
    """What was changed does not add up; nothing of it stays."""


def _require(sound: bool) -> None:  # noqa: FBT001 - a sentence is read into it
    if not sound:
        raise _UnsoundError
