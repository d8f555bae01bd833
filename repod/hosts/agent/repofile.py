"""The `.repo` file of the repository: where it lies, and what is needed to read it."""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit, urlunsplit

from repod.hosts.agent.settings import Settings
from repod.hosts.faults import WrongUse

FOLDERS = (Path("/etc/yum.repos.d"), Path("/etc/zypp/repos.d"))
CREDENTIALS = Path("/etc/zypp/credentials.d")
_POINTERS = re.compile(r"(metalink\.xml|mirrorlist)$")
_OFF = {"0", "no", "false", "off"}


@dataclass(frozen=True)
class Source:
    """Where the repository is read, with a slash at the end, and how."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    proxy: str = ""
    ca: str = ""
    certificate: str = ""
    certificate_key: str = ""
    verify: bool = True


def find(settings: Settings, folders: Sequence[Path] = FOLDERS, credentials: Path = CREDENTIALS) -> Source:
    """As the settings and the `.repo` file say; ``WrongUse`` where neither says where.

    ``credentials``: the folder of the files that zypper's ``?credentials=NAME`` names.
    """
    told = _section(settings.repository, folders)
    url, user, password = _apart(settings.url or _url(told, settings.repository), settings.repository, credentials)
    if url.startswith("s3://"):
        url = settings.s3_proxy + quote(url[len("s3://") :])
    return Source(
        url=url.rstrip("/") + "/",
        user=told.get("username", user),
        password=told.get("password", password),
        proxy="" if told.get("proxy", "") == "_none_" else told.get("proxy", ""),
        ca=settings.ca or told.get("sslcacert", ""),
        certificate=told.get("sslclientcert", ""),
        certificate_key=told.get("sslclientkey", ""),
        verify=told.get("sslverify", "1").lower() not in _OFF,
    )


def _section(name: str, folders: Sequence[Path]) -> dict[str, str]:
    for path in [path for folder in folders for path in sorted(folder.glob("*.repo"))]:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeError, configparser.Error):
            continue  # that of another repository, or the package tool will say it
        if parser.has_section(name):
            return dict(parser[name])
    return {}


def _url(told: dict[str, str], name: str) -> str:
    """The base URL; the pointers of repod lie at it too."""
    if not told:
        msg = f"repository {name}: expected a .repo file with [{name}], or url in the settings, found neither"
        raise WrongUse(msg)
    found = ""
    for key in ("baseurl", "metalink", "mirrorlist"):
        found = found or (told.get(key, "").split() or [""])[0]
    url = _POINTERS.sub("", found)
    if not re.match(r"(https?|s3|file)://", url) or "$" in url:
        msg = f"repository {name}: expected a URL without variables in its .repo file, found {found!r}; set url"
        raise WrongUse(msg)
    return url


def _apart(url: str, name: str, credentials: Path) -> tuple[str, str, str]:
    """A URL without what tells who asks, and that: user and password, as package tools take them from it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        msg = f"repository {name}: its URL cannot be read ({error})"
        raise WrongUse(msg) from error
    # The last @ is the one: a password may have another.
    who, _, host = parts.netloc.rpartition("@")
    user, _, password = map(unquote, who.partition(":"))
    for file in parse_qs(parts.query).get("credentials", []):
        user, password = _pair(credentials / file)
    return urlunsplit((parts.scheme, host, parts.path, "", "")), user, password


def _pair(path: Path) -> tuple[str, str]:
    """The user and the password in a file of zypper's."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        msg = f"{path}: credentials cannot be read ({error})"
        raise WrongUse(msg) from error
    told = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    return told.get("username", ""), told.get("password", "")
