"""When the rollout file of one repository is signed anew, so that hosts can tell a live one from a frozen copy."""

import math
import time
from collections.abc import Callable
from typing import Protocol

from repod.doors import Clock
from repod.errors import RepodError
from repod.pruning import Log

_EVERY = 60.0
_AFTER_FAILURE = 300.0


class Renews(Protocol):
    """What can be signed anew."""

    @property
    def serial(self) -> int:
        """Its serial then."""


class Renewing:
    """Looks once a minute; a failure is told and tried again."""

    def __init__(
        self, *, name: str, renew: Callable[[], Renews | None], log: Log, monotonic: Clock = time.monotonic
    ) -> None:
        """``name`` is the repository's. ``renew`` returns what it made, None where nothing was due."""
        self._name = name
        self._renew = renew
        self._log = log
        self._monotonic = monotonic
        self._next = -math.inf
        self._told = ""

    def look(self, *, at_once: bool = False) -> None:
        """Sign it anew where that is due; ``at_once``: whenever the last look was."""
        now = self._monotonic()
        if now < self._next and not at_once:
            return
        self._next = now + _EVERY
        try:
            made = self._renew()
        except Exception as error:  # noqa: BLE001 - packages are taken in whatever this meets
            self._next = now + _AFTER_FAILURE
            self._failed(error)
            return
        self._told = ""
        if made:
            self._log.info("rollout file signed anew", repository=self._name, serial=made.serial)

    def _failed(self, error: Exception) -> None:
        expected = isinstance(error, RepodError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        if text != self._told:
            self._log.error(
                "rollout file not signed anew, tried again",
                repository=self._name,
                problem=text,
                exc_info=not expected,
            )
        self._told = text
