"""Says which keys hosts are given and when each ends: at the start, and daily from 30 days ahead."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repod.doors import Clock
from repod.hostkeys import WARN_BEFORE, HostKey, ending
from repod.loop import Log

if TYPE_CHECKING:  # a command whose metrics nobody reads does without the library
    from repod.metrics import Metrics

_DAY = 86400.0


class Reminder:
    """Tells log and metrics of the keys."""

    def __init__(self, keys: Sequence[HostKey], metrics: "Metrics", log: Log, clock: Clock) -> None:
        """Nothing is told yet. ``keys``: all that hosts get."""
        self._keys = keys
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._told_at = 0.0

    def introduce(self, signing_key: str) -> None:
        """Say what there is, and what hosts may dislike about it; ``signing_key`` is the key or subkey that signs."""
        self._metrics.key_expiry.clear()  # before a reload they may have been others
        for key in self._keys:
            expires = float("inf") if key.expires is None else key.expires
            self._metrics.key_expiry.labels(key.fingerprint).set(expires)
            if key is self._keys[0]:
                self._log.info("signing key", fingerprint=key.fingerprint, signing_key=signing_key)
            else:
                self._log.info("further key for hosts", fingerprint=key.fingerprint, role=key.role)
            for warning in key.warnings:
                self._log.warning("signing key", fingerprint=key.fingerprint, problem=warning)
        self._remind()

    def again(self) -> None:
        """Once a day, say again what ends soon; may be called as often as one likes."""
        if self._clock() - self._told_at >= _DAY:
            self._remind()

    def _remind(self) -> None:
        now = self._told_at = self._clock()
        for key in self._keys:
            if key.expires is None or key.expires > now + WARN_BEFORE:
                continue
            say = self._log.error if key.expires <= now else self._log.warning
            say("signing key", fingerprint=key.fingerprint, role=key.role, problem=ending(key, now))
