"""Hosts are brought to their aim in waves; each is proven, and the run stops where too many failed.

A host's own thread does what belongs to it: bring it there, check it, and take it back where it failed. Only the
main thread begins hosts, so who has begun does not depend on who was quick. No host waits for another of its wave,
unless more than ``parallel`` are at work.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from repod.client.fleet import Host, Installed, Outcome
from repod.client.runs import Standing
from repod.client.waves import Wave


class Hands(Protocol):
    """The door to what is done on hosts. Used by many threads. What goes wrong is in the outcome; nothing is raised."""

    def bring(self, host: Host, run: str, note: Callable[[Sequence[Installed]], object]) -> Outcome:
        """Bring it to the aim. ``note`` is told what it runs before anything is changed.

        A transaction that ``run`` began there earlier is followed, never begun again.
        """

    def look(self, host: Host) -> Outcome:
        """Whether it runs what is wanted; nothing is changed."""

    def restore(self, host: Host, run: str, before: Sequence[Installed]) -> Outcome:
        """Bring it back to what it ran before; ``proven`` where it does."""

    def packages(self, host: Host) -> str:
        """All that it runs, as ``rpm -qa`` prints it."""


class Health(Protocol):
    """The door to whether hosts do their work after an update; ``HostFault`` UNHEALTHY, or ``RepodError``."""

    def host(self, host: Host) -> None:
        """Check one host. ``HostFault`` where it fails."""

    def wave(self, wave: Wave, run: str) -> None:
        """Check what a wave did to all. ``RepodError`` where it fails."""


class Journal(Protocol):
    """The door to what outlives this process."""

    def note(self, standing: Standing, host: str = "") -> None:
        """Keep what was learned of ``host``, or of the run as a whole, before anything follows from it."""


class Watcher(Protocol):
    """Hears of every change, at once and in order; it must be quick."""

    def changed(self, standing: Standing, host: str = "") -> None:
        """Something changed: ``host``, or the run as a whole."""
