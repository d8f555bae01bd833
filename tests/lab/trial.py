"""``python -m tests.lab.trial FOLDER COUNT``: hosts to try repoctl on, on this machine, until it is ended.

Each has its own root, name, package database and sshd, in namespaces; this machine's network is shared. ``FOLDER``
takes a key, ``known_hosts``, and ``hosts.json``: the hosts as ``repoctl``'s ``command`` source takes them. Needs root.
"""

import json
import signal
import sys
from pathlib import Path

from tests.lab.machines import Machines


def main() -> None:
    """Start them, and wait for SIGTERM or Ctrl-C."""
    folder, count = Path(sys.argv[1]).absolute(), int(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Machines(folder, count) as machines:
        hosts = [{"name": host.name, "address": host.address, "user": host.user} for host in machines.hosts()]
        (folder / "hosts.json").write_text(json.dumps(hosts, indent=1))
        print(f"{count} hosts are up: {', '.join(host['name'] for host in hosts)}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
