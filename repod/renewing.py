"""When a signed document of one repository is signed anew, so that clients can tell a live one from a frozen copy."""

import math
import time
from collections.abc import Callable

from repod.errors import RepodError
from repod.pruning import Log
from repod.signed import Kept
from repod.times import stamp

_EVERY = 60.0
_AFTER_FAILURE = 300.0


class Renewing:
    """Looks once a minute; a failure is told and tried again."""

    def __init__(
        self,
        *,
        name: str,
        what: str,
        renew: Callable[[], Kept | None],
        expires: Callable[[float], object],
        log: Log,
    ) -> None:
        """``name`` is the repository's, ``what`` its document. ``renew`` signs it anew where that is due.

        ``expires`` hears until when it is good, seconds since 1970, and 0 where there is none.
        """
        self._name = name
        self._what = what
        self._renew = renew
        self._expires = expires
        self._log = log
        self._next = -math.inf
        self._told = ""

    def look(self, *, at_once: bool = False) -> None:
        """Sign it anew where that is due; ``at_once``: whenever the last look was."""
        now = time.monotonic()
        if now < self._next and not at_once:
            return
        self._next = now + _EVERY
        try:
            kept = self._renew()
        except Exception as error:  # noqa: BLE001 - packages are taken in whatever this meets
            self._next = now + _AFTER_FAILURE
            self._failed(error)
            return
        self._told = ""
        self._expires(kept.expires if kept else 0)
        if kept and kept.anew:
            self._log.info(f"{self._what} signed anew", repository=self._name, expires=stamp(kept.expires))

    def _failed(self, error: Exception) -> None:
        expected = isinstance(error, RepodError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        if text != self._told:
            self._log.error(
                f"{self._what} not signed anew, tried again",
                repository=self._name,
                problem=text,
                exc_info=not expected,
            )
        self._told = text
