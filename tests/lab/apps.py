"""The application that the daemon serves, without the daemon."""

from collections.abc import Mapping

from fastapi import FastAPI

from repod.access import METRICS, READ, Rules
from repod.board import Board
from repod.bus import Bus
from repod.callers.known import Known
from repod.errors import Unavailable
from repod.listening import Http
from repod.log import open_log
from repod.office import Office
from repod.web.api.door import Door
from repod.web.api.jobs import Jobs
from repod.web.api.live import make_live
from repod.web.api.routes import make_api
from repod.web.desk import Desk
from repod.web.gate import Access, Gate
from repod.web.serve import make_app
from repod.web.shelves import Shelf
from repod.web.site import Site

_ANYBODY = Site(hosts=frozenset({"*"}))


def _closed() -> Office:
    msg = "there is no office here"
    raise Unavailable(msg)


def open_app(shelves: Mapping[str, Shelf], site: Site = _ANYBODY) -> FastAPI:
    """It serves these to anyone, and the API without an office behind it."""
    access = Access(rules=Rules(open=frozenset({READ, METRICS}), scopes={}), callers=Known(Http()))
    log = open_log("json", "error")
    gate = Gate(lambda: access, log)
    desk = Desk(threads=2, waiting=8)
    door = Door(office=_closed, gate=gate, desk=desk, jobs=Jobs(desk, log))
    live = make_live(door, letterboxes=dict, board=Board(), bus=Bus(), log=log)
    return make_app(
        shelves=lambda: shelves,
        gate=gate,
        page=lambda _accept: (b"", "text/plain"),
        health=dict,
        site=lambda: site,
        routers=[make_api(door, live)],
    )
