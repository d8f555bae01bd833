"""Ports of this machine that nobody listens on."""

import contextlib
import random
import socket

_FIRST, _END = 10_000, 20_000  # below those that the kernel gives to connections, and not SeaweedFS's


def free_port() -> int:
    """One that is free on loopback now; the kernel gives it to nobody before its user binds it."""
    draw = random.SystemRandom()  # processes of one run must not draw alike, whoever seeded the other one
    while True:
        port = draw.randrange(_FIRST, _END)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port
