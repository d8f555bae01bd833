"""Joins what follows the generations of a repository."""

import time
from collections.abc import Sequence

from repod.board import Board
from repod.config import Repository, Settings
from repod.doors import Store
from repod.following import Step
from repod.happenings import Hear
from repod.reporting import on_board
from repod.telling import Telling
from repod.wiring import public_url


def open_steps(
    settings: Settings,
    repository: Repository,
    store: Store,
    *,
    hear: Hear,
    board: Board,
    couriers: Sequence[Step] = (),
) -> Sequence[Step]:
    """Everything that is kept in step with the current generation, in this order."""
    name = repository.name
    telling = Telling(
        repository=name,
        store=store,
        hear=hear,
        clock=time.time,
        url=public_url(settings, repository),
        also=on_board(board, name),
    )
    return (telling, *couriers)
