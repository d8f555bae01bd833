"""Joins settings, sources of hosts and ways to them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock

from repod.client.fleet import Connection, Host, Transport, Way
from repod.client.inventory.opening import open_inventory
from repod.client.settings import Group, Settings
from repod.client.sshing import overridden
from repod.client.transports.local import LocalTransport


def resolve(settings: Settings, group_name: str, environ: Mapping[str, str]) -> Sequence[Host]:
    """The hosts that are in a group now, in a stable order.

    ``Misconfigured`` or ``Unavailable`` where that cannot be said whole, or there is none.
    """
    return open_inventory(group_name, settings, environ).hosts()


@dataclass(slots=True, kw_only=True)
class _ByWay:
    """A transport that leaves each host to the transport of its way; one is made when the first host needs it."""

    makers: Mapping[Way, Callable[[], Transport]]
    _made: dict[Way, Transport] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def connect(self, host: Host) -> AbstractContextManager[Connection]:
        with self._lock:
            if host.way not in self._made:
                self._made[host.way] = self.makers[host.way]()
            transport = self._made[host.way]
        return transport.connect(host)


def open_transports(settings: Settings, group_name: str) -> Transport:
    """The ways to the hosts of a group, for many threads.

    ``Misconfigured`` where there is no such group, and by the first ``connect`` whose way cannot work as it is set.
    """
    group = settings.grouped(group_name)
    return _ByWay(
        makers={
            "ssh": lambda: _ssh(settings, group),
            "ssm": lambda: _ssm(settings, group),
            "local": LocalTransport,
        }
    )


def _ssh(settings: Settings, group: Group) -> Transport:
    # Fabric takes as long to import as repoctl takes to say what it can.
    from repod.client.transports.ssh import SshTransport  # noqa: PLC0415

    return SshTransport(overridden(settings.ssh, group.ssh))


def _ssm(settings: Settings, group: Group) -> Transport:
    # boto3 takes 0.25 s to import, so only who has hosts there waits for it.
    from repod.client.transports.ssm import SsmTransport  # noqa: PLC0415

    # Instances are asked for in the region in which they were found.
    own = {"region": group.region or settings.ssm.region, "profile": group.profile or settings.ssm.profile}
    return SsmTransport(settings.ssm.model_copy(update=own))
