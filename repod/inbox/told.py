"""Tells the log of each name once, for as long as the name is there."""

from repod.inbox.names import shown
from repod.inbox.watcher import Log

_MOST = 10_000


class Told:
    """What was told of an inbox. Its memory is bounded: what does not fit is not told."""

    def __init__(self, log: Log, inbox: str) -> None:
        """``inbox`` joins every line."""
        self._log = log
        self._inbox = inbox
        self._before: dict[str, str] = {}
        self._now: dict[str, str] = {}

    def tell(self, name: str, event: str, why: str, *, warn: bool = False) -> None:
        """Tell, unless the same was told of that name before."""
        if len(self._now) >= _MOST:
            return
        known = why in {self._before.get(name), self._now.get(name)}
        self._now[name] = why
        if not known:
            say = self._log.warning if warn else self._log.info
            say(event, inbox=self._inbox, file=shown(name), why=why)

    def sweep(self) -> None:
        """All that is there was told of: forget the names that are gone."""
        self._before, self._now = self._now, {}
