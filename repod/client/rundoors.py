"""What a run over hosts takes as arguments: the doors to hosts, checks, disk and time, and the brake."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from repod.client.fleet import Host, Installed, Outcome
from repod.client.runs import End, Standing
from repod.client.waves import Wave


class Hands(Protocol):
    """The door to what is done on hosts. Used by many threads. What goes wrong is in the outcome."""

    def bring(
        self,
        host: Host,
        run: str,
        before: Sequence[Installed] | None,
        note: Callable[[Sequence[Installed]], object],
    ) -> Outcome:
        """Bring it to the aim. ``note`` is told what it runs before anything is changed.

        A transaction that ``run`` began there earlier is followed, never begun again; ``before``: what the host ran
        before that, None where it was not seen yet.
        """

    def look(self, host: Host) -> Outcome:
        """Whether it runs what is wanted; nothing is changed."""

    def restore(self, host: Host, run: str, before: Sequence[Installed]) -> Outcome:
        """Bring it back to what it ran before; ``proven`` where it does."""


class Health(Protocol):
    """The door to whether hosts do their work after an update."""

    def host(self, host: Host) -> None:
        """Check one host. ``HostFault`` where it fails."""

    def wave(self, wave: Wave, run: str, go_on: Callable[[], object]) -> None:
        """Check what a wave did to all. ``RepodError`` where it fails.

        ``go_on`` is called while it waits; what that raises ends it.
        """


class Journal(Protocol):
    """The door to what outlives this process."""

    def note(self, standing: Standing, host: str = "") -> None:
        """Keep what was learned of ``host``, or of the run as a whole. Raises where it cannot."""


class Watcher(Protocol):
    """Hears of every change, at once and in order; it must be quick."""

    def changed(self, standing: Standing, host: str = "") -> None:
        """Something changed: ``host``, or the run as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """The door to time: seconds since 1970, and a sleep."""

    now: Callable[[], float]
    sleep: Callable[[float], object]


class Brake:
    """How somebody stops a run: first no further host begins, then what is at work is not waited for either.

    ``pull`` may be called by a signal handler; so there is no lock in it.
    """

    def __init__(self) -> None:
        """Not pulled."""
        self.pulled = 0
        self.why = ""

    def pull(self, why: str) -> None:
        """Once more; ``why`` is what the run says of it."""
        self.why = self.why or why
        self.pulled += 1


class Halt(Exception):
    """The run ends here."""

    def __init__(self, why: str, *, end: End, blamed: bool = False) -> None:
        """``blamed``: because of the build, not because hosts could not be reached."""
        super().__init__(why)
        self.end = end
        self.blamed = blamed
