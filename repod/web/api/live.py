"""The part of the API that lives with the daemon: what comes in, what became of it, what happens."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter

from repod.board import Board
from repod.bus import Bus
from repod.letterbox import Letterbox
from repod.web.api.arrivals import Arrivals, make_arrivals
from repod.web.api.door import Door
from repod.web.api.events import Streams, make_events
from repod.web.api.inbox import Inboxes, Log, make_inbox
from repod.web.desk import Desk

_THREADS = 8  # that write uploads to disk
_WAITING = 256


def make_live(
    door: Door, *, letterboxes: Callable[[], Mapping[str, Letterbox]], board: Board, bus: Bus, log: Log
) -> APIRouter:
    """Its routes. ``letterboxes`` is asked for each upload."""
    arrivals = Arrivals(door, board)
    inboxes = Inboxes(door, letterboxes, arrivals, log, Desk(threads=_THREADS, waiting=_WAITING))
    api = APIRouter()
    api.include_router(make_inbox(door, arrivals, inboxes))
    api.include_router(make_arrivals(door, arrivals))
    api.include_router(make_events(door, Streams(bus)))
    return api
