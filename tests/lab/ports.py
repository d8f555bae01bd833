"""Ports of this machine that nobody listens on."""

import secrets
import socket

# Below those that kernels give to who asks for any, and those of ``seaweed.py``.
_LEAST, _COUNT = 10_000, 10_000
# Closed with this process, whatever ends it.
_claims: list[socket.socket] = []


def free_port() -> int:
    """One of loopback that is free, and that no other process of the tests gets as long as this one lives."""
    while True:
        port = _LEAST + secrets.randbelow(_COUNT)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0repod-lab-port-{port}")
            with socket.socket() as one:
                one.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
