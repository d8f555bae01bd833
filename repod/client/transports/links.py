"""Open connections, and those to jump hosts that they share: one for all hosts behind it, closed after the last."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

import fabric
from paramiko.ssh_exception import SSHException

from repod.client.fleet import HostFault
from repod.client.transports.dial import hang_up
from repod.client.transports.route import Route

_AGAIN = 5.0  # seconds for which a jump host that could not be reached is not tried again
_STUCK = "Timeout opening channel"

Open = Callable[[Route, fabric.Connection | None], fabric.Connection]


@dataclass(slots=True)
class _Gate:
    """The last of some jump hosts. ``users``: how many connections lead through it, or are about to."""

    users: int = 0
    lock: Lock = field(default_factory=Lock)
    connection: fabric.Connection | None = None
    fault: HostFault | None = None
    failed: float = 0.0
    behind: bool = False


class Links:
    """Opens and closes connections along routes. Used by many threads."""

    def __init__(self, dial: Open) -> None:
        """``dial``: opens a connection to the end of a route, through one to the host before it."""
        self._dial = dial
        self._lock = Lock()
        self._gates: dict[tuple[Route, ...], _Gate] = {}

    def open(self, route: Route) -> fabric.Connection:
        """A connection to the end of a route; ``HostFault`` says why there is none, of it or of a jump host."""
        gateway = None
        try:
            gateway = self._take(route.jumps)
            return self._dial(route, gateway)
        except BaseException as error:
            # A connection to a jump host that is stuck would be so for all behind it.
            if gateway is not None and isinstance(error.__cause__, SSHException) and _STUCK in str(error.__cause__):
                hang_up(gateway)
            self._release(route.jumps)
            if isinstance(error, HostFault) and not str(error).startswith(f"{route.name}: "):
                raise HostFault(error.trouble, f"{route.name}: {error}", output=error.output) from error
            raise

    def close(self, route: Route, connection: fabric.Connection) -> None:
        """Close what ``open`` gave for the route."""
        hang_up(connection)
        self._release(route.jumps)

    def _take(self, jumps: tuple[Route, ...]) -> fabric.Connection | None:
        if not jumps:
            return None
        with self._lock:
            gate = self._gates.setdefault(jumps, _Gate())
            gate.users += 1
        with gate.lock:
            if gate.connection is not None and gate.connection.is_connected:
                return gate.connection
            # Those who waited while it was tried in vain do not each wait as long again.
            if gate.fault is not None and time.monotonic() - gate.failed < _AGAIN:
                raise HostFault(gate.fault.trouble, str(gate.fault), output=gate.fault.output)
            try:
                gate.connection = self._through(gate, jumps)
            except HostFault as fault:
                gate.fault, gate.failed = fault, time.monotonic()
                raise
            return gate.connection

    def _through(self, gate: _Gate, jumps: tuple[Route, ...]) -> fabric.Connection:
        self._end(gate, jumps)
        gate.behind = True
        return self._dial(jumps[-1], self._take(jumps[:-1]))

    def _end(self, gate: _Gate, jumps: tuple[Route, ...]) -> None:
        if gate.connection is not None:
            hang_up(gate.connection)
            gate.connection = None
        if gate.behind:
            gate.behind = False
            self._release(jumps[:-1])

    def _release(self, jumps: tuple[Route, ...]) -> None:
        if not jumps:
            return
        with self._lock:
            gate = self._gates[jumps]
            gate.users -= 1
            if gate.users:
                return
            del self._gates[jumps]
        with gate.lock, suppress(OSError):
            self._end(gate, jumps)
