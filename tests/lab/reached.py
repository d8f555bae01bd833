"""Settings of SSH that reach the hosts of ``tests/lab/machines.py``, and nothing else of who runs the tests."""

from typing import Any

from repod.client.fleet import Host
from repod.client.sshing import Ssh
from repod.client.transports.ssh import SshTransport
from tests.lab.machines import Machines
from tests.lab.wire import Wire


def ssh_settings(machines: Machines, **own: Any) -> Ssh:
    """With the lab's key and known hosts, time enough, without an agent and without ``~/.ssh/config``."""
    plain = {"identity": [str(machines.identity)], "known_hosts": [str(machines.known_hosts)], "config": ""}
    return Ssh.model_validate({**plain, "agent": False, "connect_timeout": 60, "auth_timeout": 120, **own})


def ssh(machines: Machines, **own: Any) -> SshTransport:
    """A transport with them."""
    return SshTransport(ssh_settings(machines, **own))


def wired(machines: Machines, wire: Wire, number: int = 0) -> Host:
    """A host as it is reached through a wire, and its key known there."""
    with machines.known_hosts.open("a") as known:
        known.write(f"[{wire.host}]:{wire.port} {machines[number].key.public}\n")
    return Host(name=machines[number].name, address=wire.host, port=wire.port, user="deploy")
