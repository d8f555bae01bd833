"""Joins what follows the generations of a repository."""

from collections.abc import Sequence

from repod.config import Repository, Settings
from repod.doors import Store
from repod.following import Step


def open_steps(_settings: Settings, _repository: Repository, _store: Store) -> Sequence[Step]:
    """Everything that is kept in step with the current generation, in this order."""
    return ()
