"""Hosts over SSH: connections of Fabric, one command at a time on each, each with one thread of paramiko's."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

import fabric
import paramiko

from repod.client.fleet import ORDINARY, Connection, Host, HostFault, Limits, Ran, Trouble
from repod.client.sshing import Ssh
from repod.client.transports import frame
from repod.client.transports.dial import BROKEN, Dialer
from repod.client.transports.links import Links
from repod.client.transports.pump import Ended, LateError, Pump, SilentError
from repod.client.transports.route import Route, Router
from repod.client.transports.watched import Watched

_ANSWER = 15.0  # seconds for a host to begin a command


class SshTransport:
    """See ``Transport``: as many connections at a time as callers hold, and one to each jump host."""

    def __init__(self, settings: Ssh) -> None:
        """``Misconfigured`` where a file that the settings name is missing or cannot be read."""
        self._settings = settings
        self._router = Router(settings)
        self._links = Links(Dialer(settings).open)

    def connect(self, host: Host) -> AbstractContextManager[Connection]:
        """See ``Transport``."""
        return self._connect(host)

    @contextmanager
    def _connect(self, host: Host) -> Iterator[Connection]:
        connection = SshConnection(self._router.route(host), self._links, self._settings.keepalive)
        try:
            yield connection
        finally:
            connection.close()


class SshConnection:
    """See ``Connection``."""

    def __init__(self, route: Route, links: Links, silence: float) -> None:
        """``silence``: see ``Pump``."""
        self._route, self._links, self._silence = route, links, silence
        self._open: fabric.Connection | None = None

    def run(self, argv: Sequence[str], *, root: bool = False, data: bytes = b"", limits: Limits = ORDINARY) -> Ran:
        """See ``Connection``."""
        mark = secrets.token_hex(16)
        first = frame.line(frame.marked(argv, mark, root=root))
        out, err = frame.Stream(mark, limits.output), frame.Stream(mark, limits.output)
        transport, channel = self._start()
        pump = Pump(
            channel=channel, out=out, err=err, silence=self._silence, ask=transport.ask, heard=lambda: transport.heard
        )
        try:
            ended = pump.run(first + data, limits.seconds)
        except LateError as error:
            raise frame.late(self._route.name, argv[0], limits.seconds, out, err) from error
        except SilentError as error:
            self.close()
            raise self._lost(f"it answered nothing for {3 * self._silence:g} s", out, err) from error
        except BROKEN as error:
            self.close()
            raise self._lost(str(error) or "it was cut", out, err) from error
        finally:
            with suppress(*BROKEN):
                channel.close()
        if ended is not None:
            self._unmarked(ended, out, err, root=root)
        return frame.ran(out, err)

    def _start(self) -> tuple[Watched, paramiko.Channel]:
        """A channel with a shell that reads. A connection that ended while nothing ran is made anew, once."""
        if self._open is not None:
            try:
                return self._begin()
            except BROKEN:
                self.close()
        try:
            return self._begin()
        except paramiko.ChannelException as error:
            self.close()
            raise self._fault(Trouble.DENIED, f"it runs no command for {self._route.user} ({error.text})") from error
        except BROKEN as error:
            self.close()
            why = f"the connection was lost before a command began ({error or type(error).__name__})"
            raise self._fault(Trouble.LOST, why) from error

    def _begin(self) -> tuple[Watched, paramiko.Channel]:
        if self._open is None:
            self._open = self._links.open(self._route)
        transport = self._open.transport
        channel = transport.open_session(timeout=_ANSWER)
        channel.settimeout(_ANSWER)
        transport.execute(channel, frame.READER, _ANSWER)
        return transport, channel

    def close(self) -> None:
        """End the connection; the next command would make it anew."""
        if self._open is not None:
            self._links.close(self._route, self._open)
            self._open = None

    def _unmarked(self, ended: Ended, out: frame.Stream, err: frame.Stream, *, root: bool) -> None:
        """Raise what it means that the channel ended before the last marks came."""
        if out.code is not None and err.code is not None:
            return
        for stream in (out, err):
            stream.close()
        said = err.noise or out.noise or f"exit status {ended.status}"
        if out.begun or ended.status is None:
            self.close()
            why = "its shell there ended before the command did"
            raise self._lost(why, out, err)
        user = self._route.user
        if not root:
            raise self._fault(Trouble.DENIED, f"it runs no command for {user}: {said}", output=said)
        raise frame.no_sudo(self._route.name, user, said)

    def _lost(self, why: str, out: frame.Stream, err: frame.Stream) -> HostFault:
        for stream in (out, err):
            stream.close()
        last = err.kept.last() or out.kept.last()
        text = f"the connection was lost while a command ran ({why}); it may still run there"
        return self._fault(Trouble.LOST, text, output=last)

    def _fault(self, trouble: Trouble, text: str, output: str = "") -> HostFault:
        return HostFault(trouble, f"{self._route.name}: {text}", output=output)
