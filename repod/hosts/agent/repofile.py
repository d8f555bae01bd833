"""The `.repo` file of the repository: where it lies, and what is needed to read it."""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from repod.hosts.agent.settings import Settings
from repod.hosts.faults import WrongUse

FOLDERS = (Path("/etc/yum.repos.d"), Path("/etc/zypp/repos.d"))
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


def find(settings: Settings, folders: Sequence[Path] = FOLDERS) -> Source:
    """As the settings and the `.repo` file say; ``WrongUse`` where neither says where."""
    told = _section(settings.repository, folders)
    url = settings.url or _url(told, settings.repository)
    if url.startswith("s3://"):
        url = settings.s3_proxy + quote(url[len("s3://") :])
    return Source(
        url=url.rstrip("/") + "/",
        user=told.get("username", ""),
        password=told.get("password", ""),
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
