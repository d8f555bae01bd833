"""Where a host is and how one gets there, by its inventory, the settings and a file as ``~/.ssh/config``."""

import getpass
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paramiko

from repod.client.fleet import Host, HostFault, Trouble
from repod.client.sshing import Ssh
from repod.client.transports import identities
from repod.client.transports.known import called
from repod.errors import Misconfigured

KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
"""Where ssh looks, where nothing else is said."""

_HOP = re.compile(r"(?:(?P<user>[^@]+)@)?(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:]+))(?::(?P<port>[0-9]+))?")
_PORT = 22
_NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``name``: for people. ``known_as``: how ``known_hosts`` calls it. ``identities``: private keys that are there.

    ``search``: no key was named, so that those of ``~/.ssh`` are tried. ``jumps`` are the hosts in between, the first
    one first; ``command``: a program that connects in place of that (``ProxyCommand``).
    """

    name: str
    address: str
    port: int
    user: str
    known_as: str
    known_hosts: tuple[Path, ...]
    identities: tuple[str, ...]
    search: bool
    jumps: "tuple[Route, ...]" = ()
    command: str = ""

    def __str__(self) -> str:
        """``USER@ADDRESS``, with the port where it is not that of SSH."""
        return f"{self.user}@{self.address}" if self.port == _PORT else f"{self.user}@{self.address}:{self.port}"


class Router:
    """Finds the route to each host.

    Of the file these are heeded: ``Host`` and ``Match``, ``HostName``, ``User``, ``Port``, ``IdentityFile``,
    ``UserKnownHostsFile``, ``HostKeyAlias``, ``ProxyJump``, ``ProxyCommand``. Nothing in it can make an unknown host
    key be taken.
    """

    def __init__(self, settings: Ssh) -> None:
        """``Misconfigured`` where the file cannot be read, or one that the settings name is missing."""
        self._settings = settings
        self._file = _read(settings)
        self._own = _there(settings.identity, "ssh")

    def route(self, host: Host) -> Route:
        """To a host of an inventory."""
        user, port = host.user or self._settings.user, host.port or self._settings.port
        direct = self._direct(host.name, host.address, user, port, host.identity)
        said = self._file.lookup(host.address)
        jumps = self._settings.jump or _hops(said.get("proxyjump", ""))
        if [one.lower() for one in jumps] not in ([], [_NONE]):
            return replace(direct, jumps=tuple(self._hop(one) for one in jumps))
        command = said.get("proxycommand", "")
        return direct if self._settings.jump or command.lower() == _NONE else replace(direct, command=command)

    def _hop(self, text: str) -> Route:
        match = _HOP.fullmatch(text)
        if match is None:
            msg = f"jump host {text!r}: expected HOST, USER@HOST, HOST:PORT or [IPv6]:PORT"
            raise Misconfigured(msg)
        address = match["six"] or match["host"]
        return self._direct(f"jump host {address}", address, match["user"] or "", int(match["port"] or 0))

    def _direct(self, name: str, address: str, user: str, port: int, identity: str = "") -> Route:
        """``user`` and ``port`` are empty and 0 where the file is to say them."""
        said: Mapping[str, Any] = self._file.lookup(address)
        real = said.get("hostname", address)
        port = port or int(said.get("port", _PORT))
        named = _of_host(identity, name)
        offered = self._own or tuple(one for one in said.get("identityfile", ()) if Path(one).is_file())
        keys = (*named, *(one for one in offered if one not in named))
        alias = said.get("hostkeyalias", "").lower()
        return Route(
            name=name,
            address=real,
            port=port,
            user=user or said.get("user") or _login(),
            known_as=alias or called(real, port),
            known_hosts=self._known_hosts(said.get("userknownhostsfile", "")),
            identities=keys,
            search=not keys,
        )

    def _known_hosts(self, said: str) -> tuple[Path, ...]:
        named = self._settings.known_hosts or said.split() or KNOWN_HOSTS
        return tuple(Path(one).expanduser() for one in named if one.lower() != _NONE)


def _read(settings: Ssh) -> paramiko.SSHConfig:
    path = Path(settings.config).expanduser() if settings.config else None
    if path is None or not path.exists():
        if path and "config" in settings.model_fields_set:
            raise Misconfigured(f"ssh: config {path} does not exist; name another, or leave it out for ~/.ssh/config")
        return paramiko.SSHConfig()
    try:
        return paramiko.SSHConfig.from_text(path.read_text())
    except (OSError, UnicodeDecodeError, paramiko.ConfigParseError) as error:
        raise Misconfigured(f"ssh: {path} cannot be read as ssh_config ({error})") from error


def _login() -> str:
    """Who runs this; in a container that may be a number without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        msg = "ssh: user is not set, and the user who runs repoctl has no name; set it"
        raise Misconfigured(msg) from error


def _there(files: Sequence[str], whose: str) -> tuple[str, ...]:
    """The files, proven to hold private keys; ``Misconfigured`` names all that do not."""
    paths = [Path(one).expanduser() for one in files]
    if faults := [f"{whose}: identity {path}: {fault}" for path in paths if (fault := identities.fault(path))]:
        raise Misconfigured(*faults)
    return tuple(map(str, paths))


def _of_host(identity: str, name: str) -> tuple[str, ...]:
    """The key that the inventory names for one host; that it is none is the trouble of that host alone."""
    try:
        return _there([identity], name) if identity else ()
    except Misconfigured as error:
        raise HostFault(Trouble.DENIED, str(error)) from error


def _hops(text: str) -> Sequence[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
