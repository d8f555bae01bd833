"""Joins what follows the generations of a repository."""

from collections.abc import Callable, Sequence

from repod.catalogs import OpenCatalog
from repod.config import Repository, Settings
from repod.doors import Store
from repod.following import Step


def open_steps(
    _settings: Settings, _repository: Repository, _store: Store, *, catalog: OpenCatalog, stopping: Callable[[], bool]
) -> Sequence[Step]:
    """Everything that is kept in step with the current generation, in this order.

    Where ``stopping`` says so, what takes long is given up.
    """
    return (catalog.step(stopping),)
