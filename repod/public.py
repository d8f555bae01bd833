"""Joins a running system with what its listener serves."""

from typing import TYPE_CHECKING

from repod.board import Board
from repod.bus import Bus
from repod.loop import Log
from repod.service import Looped
from repod.serving import open_access, open_desk, open_shelves, open_site
from repod.wiring import System, public_url

if TYPE_CHECKING:
    from repod.metrics import Metrics


class Public(Looped):
    """A system with a loop per repository, its files, who may read them, and how all that is called."""

    def __init__(
        self, system: System, metrics: "Metrics", log: Log, *, bus: Bus | None = None, board: Board | None = None
    ) -> None:
        """As ``Looped``."""
        settings = system.settings
        self._desk = open_desk()
        self.shelves = open_shelves(settings, self._desk)
        self.access = open_access(settings)
        self.site = open_site(settings, {one.name: public_url(settings, one) for one in settings.repository})
        super().__init__(system, metrics, log, bus=bus, board=board)

    def close(self) -> None:
        """See ``Looped.close``."""
        self._desk.close()
        super().close()
