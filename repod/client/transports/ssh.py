"""Hosts over SSH, by Fabric's connections: known keys only, no terminal, bounded in time and memory.

``~/.ssh/config`` is honoured as Fabric does it: HostName, User, Port, IdentityFile, ProxyJump, ProxyCommand.
"""

import logging
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import fabric
import paramiko
from invoke.exceptions import UnexpectedExit
from paramiko.ssh_exception import NoValidConnectionsError, PasswordRequiredException

from repod.client.fleet import ORDINARY, Connection, Host, HostFault, Limits, Ran, Trouble
from repod.client.sshing import Ssh
from repod.client.transports import sshkeys
from repod.client.transports.ended import Streams
from repod.client.transports.framing import line
from repod.client.transports.kept import Kept
from repod.errors import Misconfigured

# What paramiko has to say comes as errors too; on standard error it would be said twice, without the host.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_PIECE = 1 << 16
_LOOK = 0.25  # seconds between two looks whether a program has ended that keeps its streams open
_DRAIN = 1.0  # seconds without a word after which a program has ended, though something it left holds its streams open
_BY_SIGNAL = 255  # SSH names the signal in a message that paramiko does not read


class SshTransport:
    """``Transport`` over SSH: as many connections at a time as callers hold, each with one thread of paramiko's."""

    def __init__(self, settings: Ssh) -> None:
        """Nothing is connected yet."""
        self.settings = settings
        self.known_hosts = [Path(text) for text in settings.known_hosts]
        self.identity = settings.identity
        self._making = Lock()
        self._config: fabric.Config | None = None

    @contextmanager
    def connect(self, host: Host) -> Iterator[Connection]:
        """See ``Transport.connect``."""
        connection = _Session(self, host)
        try:
            yield connection
        finally:
            connection.close()

    def open(self, host: Host) -> fabric.Connection:
        """A connection that is not open yet, and that knows which keys hosts have."""
        settings = self.settings
        gateway: fabric.Connection | None = None
        for jump in settings.jump:
            gateway = self._made(jump, "", 0, gateway, [])
        user, port = host.user or settings.user, host.port or settings.port
        return self._made(host.address, user, port, gateway, [host.identity] if host.identity else [])

    def _made(
        self, host: str, user: str, port: int, gateway: fabric.Connection | None, own: Sequence[str]
    ) -> fabric.Connection:
        identity = [*own, *self.identity]
        bare = host.strip("[]") if host.startswith("[") and host.endswith("]") else host
        made = fabric.Connection(
            bare,
            user=user or None,
            port=port or None,
            config=self._fabric(),
            gateway=gateway,
            connect_timeout=self.settings.connect_timeout,
            connect_kwargs=self._how(identity),
        )
        known: Any = made
        while isinstance(known, fabric.Connection):  # gateways that ssh's own settings name are hosts too
            sshkeys.load(known.client, self.known_hosts)
            known.connect_kwargs = _joined(self._how(identity), known.connect_kwargs)
            known.connect_timeout = self.settings.connect_timeout
            known = known.gateway
        return made

    def _how(self, identity: Sequence[str]) -> dict[str, Any]:
        seconds = self.settings.connect_timeout
        return {
            "banner_timeout": seconds,
            "auth_timeout": seconds,
            "channel_timeout": seconds,
            "allow_agent": self.settings.agent,
            "look_for_keys": not identity,
            "key_filename": list(identity),
        }

    def _fabric(self) -> fabric.Config:
        with self._making:
            if self._config is None:
                self._config = fabric.Config(
                    lazy=True,
                    overrides={"load_ssh_configs": False, "run": {"in_stream": False}},
                    ssh_config=_read(self.settings.config),
                )
            return self._config


def _read(path: str) -> paramiko.SSHConfig:
    config = paramiko.SSHConfig()
    if path and Path(path).is_file():
        try:
            with Path(path).open() as file:
                config.parse(file)
        except (OSError, UnicodeDecodeError, paramiko.ConfigParseError) as error:
            msg = f'[ssh] config: {path} cannot be read ({error}); correct it, or set config = "" to leave it aside'
            raise Misconfigured(msg) from error
    return config


def _joined(ours: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """``ours``, and the identities that ssh's own settings name for the host."""
    files = dict.fromkeys([*ours["key_filename"], *theirs.get("key_filename", ())])
    return ours | {"key_filename": list(files)}


class _Session:
    """``Connection`` to one host, opened by the first command, and again where it was lost."""

    def __init__(self, transport: SshTransport, host: Host) -> None:
        self._transport = transport
        self._host = host
        self._open: fabric.Connection | None = None

    def run(self, argv: Sequence[str], *, root: bool = False, data: bytes = b"", limits: Limits = ORDINARY) -> Ran:
        """See ``Connection.run``."""
        deadline = time.monotonic() + limits.seconds
        connection, channel = self._channel()
        user = connection.user
        through_sudo = root and user != "root"
        streams = Streams(limits)
        try:
            channel.exec_command(line(argv, streams.mark, root=through_sudo))
            code = _followed(channel, streams, data, deadline)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise self._lost(error, argv[0]) from error
        finally:
            with suppress(OSError, EOFError, paramiko.SSHException):
                channel.close()
        if code is None:
            raise streams.silent(limits.seconds, argv[0])
        if code < 0:  # the channel was closed, and no exit status came before
            if not connection.transport.is_active():
                self.close()
                raise self._lost(None, argv[0])
            code = _BY_SIGNAL
        return streams.ran(code, root=through_sudo, user=user)

    def close(self) -> None:
        """End it; what runs on the host may go on."""
        connection, self._open = self._open, None
        while isinstance(connection, fabric.Connection):
            with suppress(OSError, EOFError, paramiko.SSHException):
                connection.client.close()
            connection = connection.gateway

    def _channel(self) -> tuple[fabric.Connection, paramiko.Channel]:
        """A connection and a new channel through it; made anew where the old one does not answer."""
        for fresh in (False, True):
            if self._open is None:
                self._open = self._connected()
            transport = self._open.transport
            try:
                return self._open, transport.open_session(timeout=self._transport.settings.connect_timeout)
            except (OSError, EOFError, paramiko.SSHException) as error:
                self.close()
                if fresh:
                    raise self._lost(error, "a command") from error
        raise AssertionError

    def _connected(self) -> fabric.Connection:
        name = f"{self._host.name} ({self._host.address})" if self._host.address != self._host.name else self._host.name
        made = self._transport.open(self._host)
        try:
            made.open()
        except paramiko.BadHostKeyException as error:
            raise sshkeys.changed(error.hostname, error.expected_key, error.key) from error
        except PasswordRequiredException as error:
            text = f"the key for {made.user}@{name} is encrypted; add it to the agent: ssh-add"
            raise HostFault(Trouble.DENIED, text) from error
        except paramiko.AuthenticationException as error:
            text = f"{name} does not let {made.user} in: {error or 'none of the keys fits'}"
            raise HostFault(Trouble.DENIED, f"{text}; add the public key to authorized_keys there") from error
        except paramiko.SSHException as error:
            raise self._refused(made, name, error) from error
        except (OSError, EOFError, UnexpectedExit) as error:
            raise HostFault(Trouble.UNREACHABLE, f"{name} is not reached: {_why(error)}") from error
        transport = made.transport
        transport.set_keepalive(int(self._transport.settings.keepalive))
        return made

    def _refused(self, made: fabric.Connection, name: str, error: paramiko.SSHException) -> HostFault:
        if "authentication methods" in str(error):
            text = f"{name} does not let {made.user} in: there is no key to show; name one in [ssh] identity"
            return HostFault(Trouble.DENIED, text)
        return HostFault(Trouble.UNREACHABLE, f"{name} is not reached: {error or type(error).__name__}")

    def _lost(self, error: BaseException | None, command: str) -> HostFault:
        why = f" ({_why(error)})" if error and str(error) else ""
        text = f"the connection to {self._host.name} was lost{why} while {command} ran; it may still be running there"
        return HostFault(Trouble.LOST, text)


def _why(error: BaseException) -> str:
    if isinstance(error, NoValidConnectionsError):
        return "; ".join(sorted({os.strerror(getattr(one, "errno", 0) or 0) for one in error.errors.values()}))
    if isinstance(error, socket.gaierror):
        return f"its name is not known: {error.strerror}"
    if isinstance(error, TimeoutError):
        return "nobody answers"
    return str(error) or type(error).__name__


def _followed(channel: paramiko.Channel, streams: Streams, data: bytes, deadline: float) -> int | None:
    """The exit code; None where it is not over at ``deadline``, -1 where the channel ended without one.

    Both streams are read and ``data`` is written as it is taken, so that none of the three keeps the others waiting.
    """
    left = memoryview(data)
    if not left:
        channel.shutdown_write()
    channel.setblocking(0)
    quiet = 0.0
    while (now := time.monotonic()) < deadline:
        moved = _read_all(channel, streams.out, streams.err)
        if left and channel.send_ready():
            left, moved = _sent(channel, left), True
        if moved:
            quiet = now
        elif channel.exit_status_ready() and (channel.eof_received or now > quiet + _DRAIN):
            return channel.recv_exit_status()
        elif channel.eof_received:
            channel.status_event.wait(min(_LOOK, deadline - now))
        else:
            select.select([channel], [], [], min(0.01 if left else _LOOK, deadline - now))
    return None


def _read_all(channel: paramiko.Channel, out: Kept, err: Kept) -> bool:
    """Whether there was something to read."""
    moved = False
    if channel.recv_ready():
        out.add(channel.recv(_PIECE))
        moved = True
    if channel.recv_stderr_ready():
        err.add(channel.recv_stderr(_PIECE))
        moved = True
    return moved


def _sent(channel: paramiko.Channel, left: memoryview) -> memoryview:
    try:
        left = left[channel.send(bytes(left[:_PIECE])) :]
    except OSError:  # it reads no more
        left = left[:0]
    if not left:
        with suppress(OSError, EOFError):
            channel.shutdown_write()
    return left
