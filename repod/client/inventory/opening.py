"""Opens the source of a group's hosts, and holds to it what every source must keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repod.client.fleet import Host, Inventory
from repod.client.inventory.ansible import Ansible
from repod.client.inventory.command import Command
from repod.client.inventory.static import Static
from repod.client.members import decided
from repod.client.settings import Group, Settings
from repod.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """An inventory of which all is as a group needs it."""

    name: str
    group: Group
    source: Inventory

    def hosts(self) -> Sequence[Host]:
        return decided(self.name, self.group, self.source.hosts())


def open_inventory(group: str, settings: Settings, environ: Mapping[str, str]) -> Inventory:
    """The hosts of the group of that name, asked anew at each call.

    ``environ``: what programs get that are asked. ``Misconfigured`` where there is no such group, or it has no source.
    """
    found = settings.grouped(group)
    return _Checked(name=group, group=found, source=_opened(group, found, settings, environ))


def _opened(name: str, group: Group, settings: Settings, environ: Mapping[str, str]) -> Inventory:
    match group.source:
        case "hosts":
            return Static(group=group)
        case "ansible":
            return Ansible(group=group, folder=settings.folder, environ=environ)
        case "command":
            return Command(group=group, folder=settings.folder, environ=environ)
        case "ec2" | "ssm":
            return _of_aws(group, settings)
        case None:
            msg = (
                f"group {name} has no source of hosts: expected one of hosts, ansible, ec2, ssm, command in "
                f"[group.{name}]; see config/repoctl.toml"
            )
            raise Misconfigured(msg)


def _of_aws(group: Group, settings: Settings) -> Inventory:
    # boto3 takes 0.25 s to import, so only who has hosts there waits for it.
    from repod.client.inventory.ec2 import Ec2, clients_of  # noqa: PLC0415
    from repod.client.inventory.managed import Managed  # noqa: PLC0415

    clients = clients_of(group.region or settings.ssm.region, group.profile or settings.ssm.profile, group.timeout)
    return Ec2(group=group, clients=clients) if group.source == "ec2" else Managed(group=group, clients=clients)
