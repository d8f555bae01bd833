"""``python -m tests.lab.trial FOLDER COUNT``: hosts to try repoctl on, on this machine, until it is ended.

Each has its own root, name, package database and sshd, in namespaces; this machine's network is shared. ``FOLDER``
takes a key, ``known_hosts`` and an ``ssh_config`` by which ``ssh -F`` and repoctl reach them as web1, web2, …
Needs root.
"""

import signal
import sys
from pathlib import Path

from tests.lab.machines import Machines

_HOST = """Host {name}
  HostName {address}
  User deploy
  IdentityFile {machines.identity}
  UserKnownHostsFile {machines.known_hosts}
"""


def main() -> None:
    """Start them, and wait for SIGTERM or Ctrl-C."""
    folder, count = Path(sys.argv[1]).absolute(), int(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Machines(folder, count) as machines:
        lines = [_HOST.format(name=host.name, address=host.address, machines=machines) for host in machines]
        (folder / "ssh_config").write_text("".join(lines))
        print(f"up: {', '.join(host.name for host in machines)}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
