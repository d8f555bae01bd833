"""EC2 instances by their tags: those that run now."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repod.aws import Clients, asked_by_settings, told
from repod.client.fleet import Host
from repod.client.grouping import Members, Tags
from repod.client.members import distinct, natural
from repod.config import Bucket
from repod.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef

_FIELDS: Mapping[str, str] = {
    "private-ip": "PrivateIpAddress",
    "public-ip": "PublicIpAddress",
    "private-dns": "PrivateDnsName",
    "public-dns": "PublicDnsName",
    "id": "InstanceId",
}

_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2:
    """``ec2``, ``address`` and ``name``, in a ``region`` with a ``profile``."""

    group: Members
    clients: Clients

    def hosts(self) -> Sequence[Host]:
        """All instances that run, by name; several of one name are told apart by their ids."""
        found = list(self._running())
        hosts = distinct([self._host(one) for one in found], [one.get("InstanceId", "") for one in found])
        return sorted(hosts, key=lambda host: natural(host.name))

    def _running(self) -> Iterator["InstanceTypeDef"]:
        end = time.monotonic() + self.group.timeout
        filters: list[FilterTypeDef] = [*filters_of(self.group.ec2)]
        filters.append({"Name": "instance-state-name", "Values": ["running"]})
        with asked_by_settings(), told(self.clients, "listing EC2 instances"):
            pages = self.clients.ec2().get_paginator("describe_instances").paginate(Filters=filters)
            for page in pages:
                in_time(end, self.group.timeout, "EC2 instances")
                for reservation in page["Reservations"]:
                    yield from reservation.get("Instances", ())

    def _host(self, one: "InstanceTypeDef") -> Host:
        own = one.get("InstanceId", "")
        tags = {tag.get("Key", ""): tag.get("Value", "") for tag in one.get("Tags", ())}
        name = tags.get("Name", "") if self.group.name == "tag:Name" else own
        wanted = "id" if self.group.way == "ssm" else self.group.address or "private-ip"
        address = str(one.get(_FIELDS[wanted]) or "")
        if not address:
            msg = f"instance {own} ({name or 'no name'}) has no {wanted}; take another address, or a filter without it"
            raise Misconfigured(msg)
        zone = one.get("Placement", {}).get("AvailabilityZone", "")
        facts = {"id": own, "zone": zone, **{f"tag:{key}": value for key, value in sorted(tags.items())}}
        return Host(name=name, address=address, way=self.group.way, facts=facts)


def filters_of(tags: Tags) -> "Iterator[FilterTypeDef]":
    """As EC2 takes them."""
    for name, values in tags.items():
        yield {"Name": name, "Values": list(values)}


def in_time(end: float, seconds: float, what: str) -> None:
    """``Unavailable`` after ``end``, a time of the monotonic clock."""
    if time.monotonic() > end:
        raise Unavailable(f"listing {what}: no end within {seconds:.3g} s; try again, or raise timeout")


def clients_of(region: str, profile: str, timeout: float) -> Clients:
    """Clients for a region and a profile; empty: as boto3 finds them. All tries of a request may take ``timeout``."""
    each = max(1.0, min(timeout / _TRIES, 30.0))
    return Clients(Bucket(region=region, profile=profile, attempts=_TRIES, timeout=each))
