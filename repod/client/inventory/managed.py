"""Instances that SSM manages, by their tags.

Those whose agent is not online are listed too, and their facts say so: a host that is down must not be left out
of a rollout in silence. One that is gone for good is gone from the list some time after.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repod.aws import Clients, asked_by_settings, told
from repod.client.fleet import Host
from repod.client.grouping import Members
from repod.client.inventory.ec2 import in_time
from repod.client.members import distinct, natural

if TYPE_CHECKING:
    from types_boto3_ssm.type_defs import InstanceInformationStringFilterTypeDef, InstanceInformationTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """``ssm``, in a ``region`` with a ``profile``."""

    group: Members
    clients: Clients

    def hosts(self) -> Sequence[Host]:
        """All of them, by name; several of one name are told apart by their ids."""
        found = list(self._listed())
        hosts = distinct([_host(one) for one in found], [one.get("InstanceId", "") for one in found])
        return sorted(hosts, key=lambda host: natural(host.name))

    def _listed(self) -> Iterator["InstanceInformationTypeDef"]:
        end = time.monotonic() + self.group.timeout
        filters: list[InstanceInformationStringFilterTypeDef] = [
            {"Key": key, "Values": list(values)} for key, values in self.group.ssm.items()
        ]
        with asked_by_settings(), told(self.clients, "listing managed instances"):
            pages = self.clients.ssm().get_paginator("describe_instance_information").paginate(Filters=filters)
            for page in pages:
                in_time(end, self.group.timeout, "managed instances")
                yield from page["InstanceInformationList"]


def _host(one: "InstanceInformationTypeDef") -> Host:
    facts = {
        "id": one.get("InstanceId", ""),
        "ping": one.get("PingStatus", ""),
        "system": " ".join((one.get("PlatformName", ""), one.get("PlatformVersion", ""))).strip(),
        "ip": one.get("IPAddress", ""),
    }
    # Of machines outside of EC2, Name is what a person called them.
    name = one.get("Name") or one.get("ComputerName") or ""
    own = one.get("InstanceId", "")
    return Host(name=name, address=own, way="ssm", facts={key: value for key, value in facts.items() if value})
