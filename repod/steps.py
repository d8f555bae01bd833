"""Joins what follows the generations of a repository."""

import time
from collections.abc import Callable, Sequence

from repod.board import Board
from repod.catalogs import OpenCatalog
from repod.config import Repository
from repod.doors import Store
from repod.following import Step
from repod.happenings import Hear
from repod.reporting import on_board
from repod.telling import Telling


def open_steps(
    repository: Repository,
    store: Store,
    *,
    catalog: OpenCatalog,
    stopping: Callable[[], bool],
    hear: Hear,
    board: Board,
) -> Sequence[Step]:
    """Everything that is kept in step with the current generation, in this order.

    Where ``stopping`` says so, what takes long is given up.
    """
    name = repository.name
    # Told of last: who hears of a generation finds it in the catalog.
    telling = Telling(repository=name, store=store, hear=hear, clock=time.time, also=on_board(board, name))
    return (catalog.step(stopping), telling)
