"""How the listener and its repositories are called, as the settings say it: never as a request does."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """``hosts``: names of the listener in lower case, shell patterns among them.

    ``urls``: where hosts find each repository, with a slash at the end. ``proxies``: addresses and networks of
    reverse proxies.
    """

    hosts: frozenset[str] = frozenset(("localhost",))
    urls: Mapping[str, str] = field(default_factory=dict)
    proxies: Sequence[str] = ()

    def trusts(self, peer: str) -> bool:
        """Whether who connected from the address ``peer`` is one of the proxies."""
        return peer in self.proxies or any(_holds(network, peer) for network in self.proxies if "/" in network)


def _holds(network: str, peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
