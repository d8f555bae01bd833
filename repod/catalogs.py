"""Joins what lists and searches the packages of a repository, and keeps it in step."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from repod.cataloguing import Cataloguing
from repod.config import Repository, Settings
from repod.doors import Rpms, Store
from repod.errors import Corrupt, NotFound
from repod.headers import Headers
from repod.history import History
from repod.ledger import Ledger
from repod.office import Details, Names, Page, Row, Search
from repod.package import Nevra
from repod.repodata.described import details
from repod.repodata.summaries import StoredSummaries
from repod.wiring import pause


class OpenCatalog:
    """``Catalog`` of one repository. Close it."""

    def __init__(self, settings: Settings, repository: Repository, store: Store, rpms: Rpms, workspace: Path) -> None:
        """``rpms`` reads what one asks the details of; ``workspace`` is a private folder."""
        from repod.catalog.sqlite import SqliteCatalog  # noqa: PLC0415 - most commands need none

        self._file = SqliteCatalog(Path(settings.state_dir) / "catalog" / f"{repository.name}.sqlite")
        self._headers = Headers(store=store, rpms=rpms, changelogs=repository.changelogs, workspace=workspace)
        self._store = store

    def step(self, stopping: Callable[[], bool]) -> Cataloguing:
        """What keeps it in step; where ``stopping`` says so, it gives up reading everything."""
        return Cataloguing(
            book=self._file,
            history=History(self._store),
            ledger=Ledger(self._store, pause),
            listings=StoredSummaries(self._store, self._headers.entry),
            stopping=stopping,
        )

    def search(self, search: Search) -> Page:
        """See ``Catalog.search``."""
        return self._file.search(search)

    def names(self, limit: int) -> Names:
        """See ``Catalog.names``."""
        return self._file.names(limit)

    def builds_of(self, name: str) -> Sequence[Row]:
        """See ``Catalog.builds_of``."""
        return self._file.builds_of(name)

    def arches(self) -> Mapping[str, int]:
        """See ``Catalog.arches``."""
        return self._file.arches()

    def details(self, nevra: Nevra) -> Details:
        """See ``Catalog.details``; ``Corrupt`` where the package is listed and its file cannot be read."""
        package = self._file.package(nevra)
        try:
            return details(self._headers.entry(package))
        except NotFound as error:
            msg = f"{nevra} is listed, and its file is missing ({error}); see: repod verify REPO"
            raise Corrupt(msg) from error

    def close(self) -> None:
        """Let go of its file."""
        self._file.close()
