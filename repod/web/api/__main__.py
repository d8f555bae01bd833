"""``python -m repod.web.api [FILE]``: write the OpenAPI document, as the daemon serves it, to a file."""

import sys
from pathlib import Path
from typing import Never

from repod.board import Board
from repod.bus import Bus
from repod.errors import Unavailable
from repod.log import open_log
from repod.web.api.document import document, text_of
from repod.web.api.door import Door
from repod.web.api.jobs import Jobs
from repod.web.api.live import make_live
from repod.web.api.routes import make_api
from repod.web.desk import Desk
from repod.web.gate import Gate


def closed() -> Never:
    """Nobody is served here."""
    msg = "no daemon is running here"
    raise Unavailable(msg)


def written() -> str:
    """The document as text, made from the routes alone."""
    desk, log = Desk(threads=0, waiting=0), open_log("json", "error")
    door = Door(office=closed, gate=Gate(closed, log), desk=desk, jobs=Jobs(desk, log))
    live = make_live(door, letterboxes=dict, board=Board(), bus=Bus(), log=log)
    return text_of(document(make_api(door, live)))


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "config/openapi.json").write_text(written())
