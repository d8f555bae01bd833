"""What a source says, held to what a group needs: names that reports can use, each once, and not none."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from pydantic import TypeAdapter, ValidationError

from repod.client.fleet import Host
from repod.client.grouping import Member, Members, Tags
from repod.client.settings import Group
from repod.errors import Misconfigured, Unavailable
from repod.reports import MOST_HOSTS, HostName

_NAME: TypeAdapter[str] = TypeAdapter(HostName)


def is_name(text: str) -> bool:
    """Whether reports can call a host that."""
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


def member(one: Member, group: Members) -> Host:
    """The host that an entry of a list names."""
    return Host(
        name=one.name,
        address=one.address or one.name,
        way=one.transport or group.way,
        user=one.user,
        port=one.port,
        facts=dict(one.facts),
    )


def decided(name: str, group: Group, found: Sequence[Host]) -> Sequence[Host]:
    """The hosts of a group, of all that its source knows.

    ``Misconfigured`` lists every name that cannot be used or is there twice; where none is left, it is
    ``Misconfigured`` or, where that may change by itself, ``Unavailable``.
    """
    hosts = [host for host in found if not any(fnmatchcase(host.name, one) for one in group.exclude)]
    if faults := [*_unusable(name, hosts), *_twice(name, hosts)]:
        raise Misconfigured(*faults)
    if len(hosts) > MOST_HOSTS:
        msg = f"group {name} has {len(hosts)} hosts, and at most {MOST_HOSTS} are possible; make several groups of it"
        raise Misconfigured(msg)
    if not hosts and not group.allow_empty:
        kind = Misconfigured if group.source in {"hosts", "ansible"} else Unavailable
        raise kind(f"group {name} has no host now: {_why_none(group, len(found))}")
    return hosts


def distinct(hosts: Sequence[Host], ids: Sequence[str]) -> Sequence[Host]:
    """The same with names of their own: several that share one are called ``NAME.ID``, as is usual in a cloud.

    What is no name for reports gives way to the id.
    """
    usable = [host.name if is_name(host.name) else own for host, own in zip(hosts, ids, strict=True)]
    counts = Counter(usable)
    shared = {one for one in usable if counts[one] > 1}
    names = [f"{one}.{own}" if one in shared else one for one, own in zip(usable, ids, strict=True)]
    return [replace(host, name=one) for host, one in zip(hosts, names, strict=True)]


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which ``web2`` comes before ``web10``."""
    # Odd places hold the numbers.
    parts = enumerate(re.split(r"([0-9]+)", name))
    return tuple((int(part), "") if place % 2 else (-1, part) for place, part in parts)


def _unusable(name: str, hosts: Sequence[Host]) -> Iterator[str]:
    for host in hosts:
        if not is_name(host.name):
            yield (
                f"group {name}: {host.name!r} is no name for a host: expected letters, digits, '_', '.', ':', '-', "
                "a letter or digit first; give it such a name and its address beside it"
            )
        if not host.address or host.address.startswith("-") or not _plain(host.address):
            yield f"group {name}: host {host.name} has no address that can be connected to, found {host.address!r}"
        if host.user.startswith("-") or not _plain(host.user):
            yield f"group {name}: host {host.name} has no user that can log in, found {host.user!r}"


def _plain(text: str) -> bool:
    return text.isprintable() and not any(one.isspace() for one in text)


def _twice(name: str, hosts: Sequence[Host]) -> Iterator[str]:
    first: dict[str, Host] = {}
    for host in hosts:
        other = first.setdefault(host.name, host)
        if other is not host:
            yield (
                f"group {name}: host {host.name} is there twice, as {_place(other)} and as {_place(host)}; "
                "leave one out, or give them names of their own"
            )


def _place(host: Host) -> str:
    user, port = f"{host.user}@" if host.user else "", f":{host.port}" if host.port else ""
    return f"{user}{host.address}{port} ({host.way})"


def _why_none(group: Group, found: int) -> str:
    if found:
        return f"exclude leaves out all {found} of them"
    told = {
        "hosts": "hosts names none",
        "ansible": f"none of {group.ansible} fits pattern {group.pattern!r}",
        "ec2": f"no running instance fits {_filters(group.ec2)}",
        "ssm": f"no managed instance fits {_filters(group.ssm)}",
        "command": f"{' '.join(group.command)} printed an empty list",
    }
    where = f" in region {group.region}" if group.region and group.source in {"ec2", "ssm"} else ""
    return f"{told[group.source or 'hosts']}{where}; where that is fine, set allow_empty = true"


def _filters(tags: Tags) -> str:
    return ", ".join(f"{key} = {' or '.join(values)}" for key, values in tags.items())
