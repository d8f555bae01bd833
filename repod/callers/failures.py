"""How often an address failed of late: who guesses passwords must wait."""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable

_WINDOW = 60.0
_ALLOWED = 10
_REMEMBERED = 4096
_SITE = 64  # bits of an IPv6 address that a site has in common


class Failures:
    """Counts failures per address, of IPv6 per /64, in windows of a minute. Threads may share it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock``: seconds that never go back."""
        self._clock = clock
        self._lock = threading.Lock()
        self._found: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str) -> None:
        """One more failure."""
        key, now = _site(address), self._clock()
        with self._lock:
            began, count = self._found.pop(key, (now, 0))
            self._found[key] = (began, count + 1) if now - began < _WINDOW else (now, 1)
            while len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)

    def wait(self, address: str) -> float:
        """Seconds until a guess from there is looked at again; 0: now."""
        with self._lock:
            began, count = self._found.get(_site(address), (0.0, 0))
        left = began + _WINDOW - self._clock()
        return left if count >= _ALLOWED and left > 0 else 0.0


def _site(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    # A listener for both kinds sees addresses of IPv4 in this form: they have no site in common.
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _SITE), strict=False))
