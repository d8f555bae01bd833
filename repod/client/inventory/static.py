"""Hosts that the settings list: ``web1``, ``admin@web2:2222``, ``[2001:db8::1]:22``, ``web[01:12].example.com``."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from repod.client.fleet import Host
from repod.client.grouping import Member, Members
from repod.client.hostranges import expanded
from repod.client.members import member
from repod.errors import Misconfigured

_ENTRY = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>[^@\s]+?)(?::(?P<port>[0-9]{1,5}))?")
_IN_BRACKETS = re.compile(r"(?:(?P<user>[^@\s]+)@)?\[(?P<host>[0-9A-Fa-f:.]+)\](?::(?P<port>[0-9]{1,5}))?")
_PORTS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """``hosts``; a host is called by its address, without user and port."""

    group: Members

    def hosts(self) -> Sequence[Host]:
        """All of them, in the order of the settings."""
        return [member(one, self.group) for entry in self.group.hosts for one in _members(entry)]


def _members(entry: str | Member) -> Iterator[Member]:
    if isinstance(entry, Member):
        yield entry
    elif (bare := _ipv6(entry)) is not None:
        yield Member(name=bare, address=bare)
    elif (match := _IN_BRACKETS.fullmatch(entry)) and _ipv6(match["host"]) is not None:
        yield Member(name=match["host"], user=match["user"] or "", port=_port(match["port"], entry))
    else:
        for text in expanded(entry):
            yield _one(text, entry)


def _one(text: str, entry: str) -> Member:
    match = _ENTRY.fullmatch(text)
    if match is None or ":" in match["host"]:
        msg = f"hosts {entry!r}: expected HOST, USER@HOST, HOST:PORT or [IPv6]:PORT, found {text!r}"
        raise Misconfigured(msg)
    return Member(name=match["host"], user=match["user"] or "", port=_port(match["port"], entry))


def _port(text: str | None, entry: str) -> int:
    number = int(text or 0)
    if text and not 0 < number < _PORTS:
        raise Misconfigured(f"hosts {entry!r}: expected a port from 1 to 65535, found {text}")
    return number


def _ipv6(text: str) -> str | None:
    try:
        IPv6Address(text)
    except ValueError:
        return None
    return text
