"""A connection of paramiko that is asked whether its host is still there, and whose requests do not wait for ever."""

import time
from collections.abc import Sequence
from socket import socket
from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST

_PROHIBITED = 1  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


class Watched(paramiko.Transport):
    """``heard``: when the host last answered an ask, or 0."""

    def __init__(self, sock: socket, **options: Any) -> None:
        """As ``paramiko.Transport``."""
        super().__init__(sock, **options)
        self.heard = 0.0

    def prefer(self, kinds: Sequence[str]) -> None:
        """Ask for the host's key of these kinds first, so that one is shown which can be compared."""
        wanted = [algorithm for kind in kinds for algorithm in (_RSA if kind == "ssh-rsa" else (kind,))]
        options = self.get_security_options()
        first = [one for one in wanted if one in options.key_types]
        options.key_types = [*first, *(one for one in options.key_types if one not in first)]

    def ask(self) -> None:
        """Have the host answer; that it knows no such request is an answer."""
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)  # noqa: FBT003 - an answer is wanted
        self._send_user_message(message)  # type: ignore[attr-defined]

    def execute(self, channel: paramiko.Channel, command: str, seconds: float) -> None:
        """Start a command.

        ``ChannelException`` where the host refuses it, ``SSHException`` where it does not answer in time or is gone.
        """
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)  # noqa: FBT003 - an answer is wanted
        message.add_string(command)
        # Channel.exec_command waits for the answer of a host that stands still until the connection ends.
        self._send_user_message(message)  # type: ignore[attr-defined]
        if not channel.event.wait(seconds):
            msg = f"no answer within {seconds:g} s"
            raise paramiko.SSHException(msg)
        if channel.closed and not channel.event_ready:
            if self.is_active():
                raise paramiko.ChannelException(_PROHIBITED, "the request to run a command was refused")
            msg = "the host closed it"
            raise paramiko.SSHException(msg)

    def _parse_request_success(self, message: paramiko.Message) -> None:
        self.heard = time.monotonic()
        super()._parse_request_success(message)  # type: ignore[misc]

    def _parse_request_failure(self, message: paramiko.Message) -> None:
        self.heard = time.monotonic()
        super()._parse_request_failure(message)  # type: ignore[misc]
