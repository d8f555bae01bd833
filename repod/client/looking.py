"""Looks at hosts: what they run, how that stands to a repository. Nothing is changed."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from repod.client.fleet import Connection, Host, HostFault, Transport, Trouble
from repod.client.standing import Standing, standings
from repod.client.toolkit.facts import Facts
from repod.package import Nevra

Ask = Callable[[Connection, Sequence[str], Sequence[str]], Facts]
"""Asks a host for facts: the connection, ids of repositories, names of packages, or ``["*"]`` for all."""

_AT_ONCE = 32
_NAMED = 200  # more names than that cost more to say than all packages of a host to hear


class Records(Protocol):
    """The door to what a repository has."""

    def listed(self, names: Sequence[str]) -> Mapping[str, Sequence[Nevra]]:
        """The builds that it lists now, by name; of all names where ``names`` is empty."""

    def digests(self, nevra: Nevra) -> Sequence[str] | None:
        """Header digests of its builds of a NEVRA, listed or not any more; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One host: what it says, or why it says nothing (``trouble`` and ``text``)."""

    host: Host
    facts: Facts = field(default_factory=Facts)
    packages: Sequence[Standing] = ()
    trouble: Trouble | None = None
    text: str = ""


def look(
    hosts: Sequence[Host], transport: Transport, names: Sequence[str], records: Records | None, ask: Ask
) -> Sequence[Looked]:
    """All hosts, in their order, asked side by side; one that does not answer delays no other.

    ``names``: packages that are looked for, also where they are not there; empty: those of the repository that are
    there. ``records``: None where there is no repository to compare with.
    """
    listed = records.listed(names) if records else {}
    wanted = list(names or listed)
    asked = wanted if len(wanted) <= _NAMED else ["*"]

    def one(host: Host) -> Looked:
        try:
            with transport.connect(host) as connection:
                return Looked(host=host, facts=ask(connection, (), asked))
        except HostFault as fault:
            return Looked(host=host, trouble=fault.trouble, text=str(fault))

    with ThreadPoolExecutor(_AT_ONCE, "look") as pool:
        found = list(pool.map(one, hosts))
        named = set(wanted)
        builds = sorted({it.nevra for one in found for it in one.facts.installed if it.nevra.name in named}, key=str)
        known = dict(zip(map(str, builds), pool.map(records.digests, builds), strict=True)) if records else {}

    def compared(one: Looked) -> Looked:
        rows = standings(wanted, one.facts.installed, listed, one.facts.takes, known)
        return replace(one, packages=[row for row in rows if names or row.installed])

    return [one if one.trouble else compared(one) for one in found]
