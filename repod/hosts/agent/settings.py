"""Settings of the agent: `/etc/repod-agent.conf`."""

from __future__ import annotations

import configparser
import re
import shlex
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from repod.hosts.faults import WrongUse
from repod.windows import Window

CONFIG = Path("/etc/repod-agent.conf")
TOOLS = ("auto", "dnf5", "dnf", "yum", "microdnf", "zypper")
_SECTION = "repod-agent"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_REQUIRED = ("repository", "ring", "key")


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Times are seconds; commands are words, run without a shell.

    ``repository``: its id in the `.repo` files; ``name``: as repod calls it. ``install``: names that may be
    installed where they are missing. ``on_failure`` is empty where the ring says it.
    """

    repository: str
    ring: str
    key: Path
    name: str = ""
    url: str = ""
    fingerprints: Sequence[str] = ()
    bases: Sequence[str] = ()
    install: Sequence[str] = ()
    windows: Sequence[Window] = ()
    check: Sequence[str] = ()
    check_within: float = 60.0
    restart: Sequence[str] = ()
    on_failure: str = ""
    tool: str = "auto"
    transaction: float = 1800.0
    lock_wait: float = 600.0
    timeout: float = 30.0
    ca: str = ""
    s3_proxy: str = "http://127.0.0.1:8471/"
    report: str = ""
    token_file: str = ""
    host: str = ""
    state: Path = field(default=Path("/var/lib/repod-agent"))


def load(path: Path) -> Settings:
    """The settings of a file; ``WrongUse`` names the key, what was expected and what was found."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeError, configparser.Error) as error:
        msg = f"{path}: cannot be read: {' '.join(str(error).split())}"
        raise WrongUse(msg) from error
    if parser.sections() != [_SECTION]:
        msg = f"{path}: expected one section [{_SECTION}], found {parser.sections() or 'none'}"
        raise WrongUse(msg)
    try:
        return parse(dict(parser[_SECTION]))
    except WrongUse as fault:
        msg = f"{path}: {fault}"
        raise WrongUse(msg) from fault


def parse(values: Mapping[str, str]) -> Settings:
    """Settings from texts by key; an empty text leaves a key at its default."""
    known = {one.name for one in fields(Settings)}
    strange = sorted(set(values) - known)
    if strange:
        msg = f"{strange[0]}: no such setting; expected one of {', '.join(sorted(known))}"
        raise WrongUse(msg)
    given = {key: text.strip() for key, text in values.items() if text.strip()}
    missing = [key for key in _REQUIRED if key not in given]
    if missing:
        msg = f"{missing[0]}: is required and missing"
        raise WrongUse(msg)
    found: dict[str, Any] = {key: _PARSERS.get(key, _text)(key, text) for key, text in given.items()}
    found.setdefault("name", found["repository"])
    found.setdefault("host", socket.gethostname())
    if bool(found.get("report")) != bool(found.get("token_file")):
        msg = "report and token_file: expected both or neither, found one"
        raise WrongUse(msg)
    return Settings(**found)


def _text(_key: str, text: str) -> str:
    return text


def _word(key: str, text: str) -> str:
    if not _WORD.fullmatch(text):
        msg = f"{key}: expected letters, digits and _ . : -, found {text!r}"
        raise WrongUse(msg)
    return text


def _words(key: str, text: str) -> Sequence[str]:
    return tuple(_word(key, part) for part in text.replace(",", " ").split())


def _names(_key: str, text: str) -> Sequence[str]:
    return tuple(text.replace(",", " ").split())


def _fingerprints(key: str, text: str) -> Sequence[str]:
    """One on each line, since gpg prints them with blanks."""
    found = tuple(line.replace(" ", "").upper() for line in text.replace(",", "\n").splitlines() if line.strip())
    for one in found:
        if not _FINGERPRINT.fullmatch(one):
            msg = f"{key}: expected full fingerprints (40 hexadecimal digits), one on each line, found {one!r}"
            raise WrongUse(msg)
    return found


def _windows(key: str, text: str) -> Sequence[Window]:
    try:
        return tuple(Window.parse(line) for line in text.splitlines() if line.strip())
    except ValueError as error:
        msg = f"{key}: {error}"
        raise WrongUse(msg) from error


def _command(key: str, text: str) -> Sequence[str]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        msg = f"{key}: expected a command line, found {text!r} ({error})"
        raise WrongUse(msg) from error
    if not words[0].startswith("/"):
        msg = f"{key}: expected the whole path of a program first, found {words[0]!r}"
        raise WrongUse(msg)
    return words


def _seconds(key: str, text: str) -> float:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        msg = f"{key}: expected a time such as 90s, 10m or 1h, found {text!r}"
        raise WrongUse(msg)
    return float(match[1]) * _UNITS[match[2]]


def _path(key: str, text: str) -> Path:
    if not text.startswith("/"):
        msg = f"{key}: expected a whole path, found {text!r}"
        raise WrongUse(msg)
    return Path(text)


def _url(key: str, text: str) -> str:
    if not re.fullmatch(r"(https?|s3)://[^/\s]+(/\S*)?|file:///\S*", text):
        msg = f"{key}: expected a URL such as https://repo.example.com/el9-prod/, found {text!r}"
        raise WrongUse(msg)
    return text.rstrip("/") + "/"


def _one_of(*words: str) -> Callable[[str, str], str]:
    def parsed(key: str, text: str) -> str:
        if text not in words:
            msg = f"{key}: expected one of {', '.join(words)}, found {text!r}"
            raise WrongUse(msg)
        return text

    return parsed


_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "repository": _word,
    "ring": _word,
    "name": _word,
    "host": _word,
    "key": _path,
    "state": _path,
    "url": _url,
    "report": _url,
    "s3_proxy": _url,
    "fingerprints": _fingerprints,
    "bases": _words,
    "install": _names,
    "windows": _windows,
    "check": _command,
    "restart": _command,
    "check_within": _seconds,
    "transaction": _seconds,
    "lock_wait": _seconds,
    "timeout": _seconds,
    "on_failure": _one_of("downgrade", "stay"),
    "tool": _one_of(*TOOLS),
}
