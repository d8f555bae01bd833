"""Tells systemd how the daemon is (sd_notify(3)): one datagram to the socket it named."""

import os
import socket
from collections.abc import Mapping


def notify(environ: Mapping[str, str], *lines: str) -> bool:
    """Send ``lines`` (such as ``READY=1``); False where nobody listens."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
    return True


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """How often systemd wants to hear from this process; 0 where it does not."""
    own = environ.get("WATCHDOG_PID", "")
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or (own and own != str(os.getpid())):
        return 0.0
    return int(microseconds) / 1_000_000
