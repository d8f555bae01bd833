"""Settings of the proxy: `/etc/repod-s3.conf`, and options that take their place."""

from __future__ import annotations

import configparser
import ipaddress
import pwd
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from repod.hosts.faults import WrongUse
from repod.hosts.place import Prefix

CONFIG = Path("/etc/repod-s3.conf")
_SECTION = "repod-s3"
_UNITS = {"s": 1, "m": 60, "h": 3600}
_PORTS = 0xFFFF
_ADDRESSING = ("auto", "path", "virtual")


@dataclass(frozen=True)
class Listen:
    """An address of loopback."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """``127.0.0.1:8471`` or ``[::1]:8471``; ``WrongUse`` where other hosts could connect."""
        match = re.fullmatch(r"\[?([0-9a-f.:]+)\]?:(\d{1,5})", text)
        try:
            inner = ipaddress.ip_address(match[1]).is_loopback if match else False
        except ValueError:
            inner = False
        if match is None or not inner or int(match[2]) > _PORTS:
            msg = f"listen: expected an address of loopback as 127.0.0.1:8471, found {text!r}"
            raise WrongUse(msg)
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        """As in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Empty texts leave the choice to botocore."""

    listen: Listen = Listen("127.0.0.1", 8471)
    allow: Sequence[Prefix] = ()
    allow_users: Sequence[int] = ()
    idle: float = 600.0
    endpoint: str = ""
    region: str = ""
    profile: str = ""
    addressing: str = "auto"


def read(path: Path, *, required: bool) -> Mapping[str, str]:
    """The keys of the file with their values as text; none where it need not be there and is not."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        if not required:
            return {}
        msg = f"{path}: expected the settings, found no file"
        raise WrongUse(msg) from None
    except (OSError, UnicodeError, configparser.Error) as error:
        msg = f"{path}: cannot be read: {' '.join(str(error).split())}"
        raise WrongUse(msg) from error
    others = [name for name in parser.sections() if name != _SECTION]
    if others or not parser.has_section(_SECTION):
        msg = f"{path}: expected one section [{_SECTION}], found {others or 'none'}"
        raise WrongUse(msg)
    return dict(parser[_SECTION])


def parse(values: Mapping[str, str]) -> Settings:
    """Settings from texts by key; ``WrongUse`` names the key, what was expected and what was found."""
    known = {field.name for field in fields(Settings)}
    strange = sorted(set(values) - known)
    if strange:
        msg = f"{strange[0]}: no such setting; expected one of {', '.join(sorted(known))}"
        raise WrongUse(msg)
    settings = Settings()
    parsers: Mapping[str, Callable[[str], Any]] = {
        "listen": Listen.parse,
        "allow": _prefixes,
        "allow_users": lambda text: tuple(map(user, text.replace(",", " ").split())),
        "idle": seconds,
        "endpoint": _endpoint,
        "addressing": _addressing,
    }
    for key, text in values.items():
        if text.strip() or key in {"listen", "idle", "addressing"}:
            settings = replace(settings, **{key: parsers.get(key, str)(text.strip())})
    return settings


def _prefixes(text: str) -> Sequence[Prefix]:
    """One on each line, since a prefix may hold blanks."""
    return tuple(Prefix.parse(line) for line in text.splitlines() if line.strip())


def user(text: str) -> int:
    """The uid of a user by name or number."""
    try:
        return int(text) if re.fullmatch("[0-9]{1,10}", text) else pwd.getpwnam(text).pw_uid
    except KeyError:
        msg = f"allow_users: expected a user of this host, found {text!r}"
        raise WrongUse(msg) from None


def seconds(text: str) -> float:
    """``90s``, ``10m`` or ``1h`` in seconds; 0 for never."""
    match = re.fullmatch(r"(\d+)([smh])|0", text)
    if match is None:
        msg = f"idle: expected a time such as 10m, or 0 for never, found {text!r}"
        raise WrongUse(msg)
    return float(match[1]) * _UNITS[match[2]] if match[1] else 0.0


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+/?", text):
        msg = f"endpoint: expected a URL such as https://s3.example.com, found {text!r}"
        raise WrongUse(msg)
    return text


def _addressing(text: str) -> str:
    if text not in _ADDRESSING:
        msg = f"addressing: expected one of {', '.join(_ADDRESSING)}, found {text!r}"
        raise WrongUse(msg)
    return text
