"""The newest build of each name that a repository lists."""

from collections.abc import Callable, Iterable, Mapping

from repod.config import Settings
from repod.history import History
from repod.office import Catalog
from repod.package import Nevra
from repod.places import open_store
from repod.repodata.listing import packages

Newest = Mapping[str, Nevra]
"""By name."""

_NAMES = 100_000


class NewestCatalogued:
    """By the catalog of a repository: read anew where that is of another generation."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        """``catalog`` may raise ``Unavailable`` while there is none."""
        self._catalog = catalog
        self._generation = -1
        self._known: Newest = {}

    def __call__(self) -> Newest:
        """``Unavailable`` where it is not known yet."""
        catalog = self._catalog()
        if catalog.names(1).generation != self._generation:
            names = catalog.names(_NAMES)
            self._known = {row.newest.name: Nevra.parse(row.newest.package) for row in names.rows}
            self._generation = names.generation
        return self._known


def newest_listed(settings: Settings, name: str) -> Newest:
    """By what the current generation of a repository lists."""
    store = open_store(settings, settings.named(name))
    generation = History(store).current()
    return newest_of(package.nevra for package in packages(store, generation)) if generation else {}


def newest_of(nevras: Iterable[Nevra]) -> Newest:
    """Of some builds."""
    found: dict[str, Nevra] = {}
    for nevra in nevras:
        known = found.get(nevra.name)
        if known is None or known.rank < nevra.rank:
            found[nevra.name] = nevra
    return found
