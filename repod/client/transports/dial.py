"""Opens connections of Fabric along routes: every host on the way must show a key that is known."""

import logging
import random
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import TimeoutExpired
from threading import Lock
from typing import Any

import fabric
import paramiko
from paramiko.ssh_exception import ChannelException, IncompatiblePeer, NoValidConnectionsError

from repod.client.fleet import HostFault, Trouble
from repod.client.sshing import Ssh
from repod.client.transports.hostkeys import judge
from repod.client.transports.identities import is_encrypted
from repod.client.transports.known import Known, KnownHosts
from repod.client.transports.route import Route
from repod.client.transports.watched import Watched
from repod.errors import Misconfigured

# Its threads write tracebacks of errors that are raised and told here.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

BROKEN = (OSError, EOFError, paramiko.SSHException)
"""What is raised where a connection does not work."""

_PROGRAM = 2.0  # seconds for a program that connected to end when told to
_NO_KEY = "No authentication methods available"
_BANNER = "Error reading SSH protocol banner"
_PAUSES = (0.5, 2.0)  # seconds, more or less, before a host that hung up at once is tried again


class _KnownOnly(paramiko.MissingHostKeyPolicy):
    """Asked about every key, since the client itself is told of none."""

    def __init__(self, route: Route, lines: Sequence[Known]) -> None:
        self._route, self._lines = route, lines

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        """``HostFault`` where it is not known."""
        judge(self._route, self._lines, key)


class _HungUp(HostFault):
    """It took the connection and ended it before it said anything; so sshd does where it has too many."""


class Dialer:
    """Opens what leads to a host. Used by many threads."""

    def __init__(self, settings: Ssh) -> None:
        """``settings``: its time limits, and whether an agent is asked."""
        self._settings = settings
        self._lock = Lock()
        self._known: dict[tuple[Path, ...], tuple[object, KnownHosts]] = {}

    def open(self, route: Route, gateway: fabric.Connection | None = None) -> fabric.Connection:
        """A connection to the end of a route; ``gateway``: to the last host before it. ``HostFault`` says why not."""
        for pause in _PAUSES:
            with suppress(_HungUp):
                return self._opened(route, gateway)
            # Others wait for it too, and not all are to come again at one time.
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret  # nosec B311
        return self._opened(route, gateway)

    def _opened(self, route: Route, gateway: fabric.Connection | None) -> fabric.Connection:
        lines = self._known_hosts(route.known_hosts).of(route.known_as)
        settings = self._settings
        options: dict[str, Any] = {
            "key_filename": list(route.identities),
            "look_for_keys": route.search,
            "allow_agent": settings.agent,
            "banner_timeout": settings.connect_timeout,
            "auth_timeout": settings.auth_timeout,
            "channel_timeout": settings.connect_timeout,
            "transport_factory": partial(_transport, lines, settings.auth_timeout),
        }
        connection = fabric.Connection(
            host=route.address,
            user=route.user,
            port=route.port,
            # Without files of Fabric's own settings, and with ssh's as the route has them. Each has its own: one that
            # threads share is empty now and then, and Fabric says "No attribute or config key found".
            config=fabric.Config(lazy=True, ssh_config=paramiko.SSHConfig()),
            gateway=gateway or route.command or False,
            connect_kwargs=options,
        )
        connection.client.set_missing_host_key_policy(_KnownOnly(route, lines))
        try:
            if not connection.gateway:
                options["sock"] = socket.create_connection((route.address, route.port), settings.connect_timeout)
            connection.open()
        except BaseException as error:
            hang_up(connection)
            if "sock" in options:
                options["sock"].close()
            if isinstance(error, BROKEN):
                trouble, text = _explained(error, route, settings)
                kind = _HungUp if _hung_up(error) else HostFault
                raise kind(trouble, f"{route.name}: {text}") from error
            raise
        if settings.keepalive and connection.transport:
            connection.transport.set_keepalive(int(settings.keepalive) or 1)
        return connection

    def _known_hosts(self, paths: tuple[Path, ...]) -> KnownHosts:
        """Read again where a file has changed: somebody may add a key while a run goes on."""
        try:
            stamp = [(path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None for path in paths]
            with self._lock:
                if paths not in self._known or self._known[paths][0] != stamp:
                    self._known[paths] = (stamp, KnownHosts.read(paths))
                return self._known[paths][1]
        except OSError as error:
            raise Misconfigured(f"ssh: known_hosts cannot be read ({error})") from error


def hang_up(connection: fabric.Connection) -> None:
    """Close it, with its thread, and its socket or program, whatever state it is in."""
    transport = connection.client.get_transport()
    with suppress(*BROKEN):
        connection.client.close()
    if transport is not None and isinstance(transport.sock, paramiko.ProxyCommand):
        transport.join(_PROGRAM)  # it ends the program too, which must not be gone by then
        with suppress(TimeoutExpired), transport.sock.process as process:
            process.wait(_PROGRAM)


def _transport(lines: Sequence[Known], handshake: float, sock: socket.socket, **options: Any) -> Watched:
    transport = Watched(sock, **options)
    transport.handshake_timeout = handshake
    transport.prefer([one.kind for one in lines if not one.marker])
    return transport


def _explained(error: Exception, route: Route, settings: Ssh) -> tuple[Trouble, str]:
    where = f"{route.address}:{route.port}"
    seconds = settings.connect_timeout
    trouble = Trouble.UNREACHABLE
    match error:
        case paramiko.AuthenticationException():
            trouble, text = Trouble.DENIED, _denied(error, route, settings)
        case paramiko.SSHException() if _NO_KEY in str(error):
            trouble, text = Trouble.DENIED, _denied(error, route, settings)
        case socket.gaierror():
            text = f"no address is known for {route.address!r} ({error.strerror}); check its name"
        case IncompatiblePeer():
            text = f"{where} and repoctl have no algorithm in common ({error})"
        case ChannelException():
            text = f"{route.jumps[-1].name} cannot reach {where} ({error.text})"
        case TimeoutError():
            text = f"{where} did not answer within {seconds:g} s; see that it runs, and is let through"
        case paramiko.SSHException() if _hung_up(error):
            text = (
                f"{where} hung up before it spoke SSH; see MaxStartups of its sshd, and whether it lets this machine in"
            )
        case paramiko.SSHException() if _BANNER in str(error):
            text = f"{where} takes connections, but did not speak SSH within {seconds:g} s"
        case NoValidConnectionsError() | OSError() | EOFError():
            text = f"{where} cannot be reached ({_said(error)}); see that it and its sshd run"
        case _:
            text = f"no connection to {where} could be made ({_said(error)})"
    return trouble, text


def _hung_up(error: BaseException) -> bool:
    return _BANNER in str(error) and isinstance(error.__context__, EOFError | ConnectionError)


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or "it hung up"


def _denied(error: Exception, route: Route, settings: Ssh) -> str:
    tried = [*route.identities, *(["the agent's keys"] if settings.agent else [])]
    tried += ["~/.ssh/id_*"] if route.search else []
    locked = [path for path in route.identities if is_encrypted(Path(path))]
    text = f"does not let {route.user} in with {', '.join(tried) or 'no key at all'} ({_said(error)})"
    if locked:
        return f"{text}; {', '.join(locked)} is encrypted: give it to the agent with ssh-add"
    return f"{text}; put the public key into its authorized_keys, or name another user or identity"
