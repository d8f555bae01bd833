"""Who is at the other end of a connection over loopback.

Any local user can connect to a port. The kernel knows whose socket it is: `/proc/net/tcp`, proc(5).
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

# Of this process, so that it is there too where the unit sees processes only (ProcSubset=pid).
_TABLES = {socket.AF_INET: Path("/proc/self/net/tcp"), socket.AF_INET6: Path("/proc/self/net/tcp6")}
_LOCAL, _REMOTE, _UID, _INODE = 1, 2, 7, 9


def uid(connection: socket.socket) -> int | None:
    """The user that owns the other end; None where nobody does any more."""
    here, there = connection.getsockname(), connection.getpeername()
    wanted = [_hex(there, connection.family), _hex(here, connection.family)]
    with _TABLES[connection.family].open(encoding="ascii") as table:
        next(table)
        for line in table:
            columns = line.split()
            # A socket that its owner closed has no inode, and says that it is root's.
            if [columns[_LOCAL], columns[_REMOTE]] == wanted and columns[_INODE] != "0":
                return int(columns[_UID])
    return None


def _hex(address: tuple[str, int], family: int) -> str:
    """An address as the table has it: words of 32 bits in the machine's order."""
    packed = socket.inet_pton(family, address[0])
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
