"""What the front page of a repository says: a page that lies beside the metadata, for a person who opens the URL."""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from repod.office import Names
from repod.package import StorePath

PAGE = StorePath("index.html")
"""Where it lies."""

LONGEST = 1000
"""Names that it lists at most."""

_MARK = re.compile(rb'<meta name="repod" content="generation=([0-9]{1,18}) state=([0-9a-f]{64})">')
_HEAD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a page is of: a generation, and a digest of all else that it was made from."""

    generation: int
    state: str

    def __str__(self) -> str:
        """As the page carries it."""
        return f"generation={self.generation} state={self.state}"


def mark(page: bytes) -> Mark | None:
    """What ``page`` is of; None where it is not one of repod's."""
    found = _MARK.search(page, 0, _HEAD)
    return Mark(generation=int(found[1]), state=found[2].decode()) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What stays the same from generation to generation.

    ``url`` has a slash at its end. ``hosts`` are the systems it is for, in words; ``config`` is the name and
    ``repo`` the text of the ``.repo`` file; ``key`` is the name of the file of keys, ``fingerprints`` are theirs.
    ``restricted``: who reads must show who it is.
    """

    repository: str
    url: str
    hosts: str
    config: str
    repo: str
    key: str
    fingerprints: Sequence[str]
    restricted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """All that the page says. ``published`` is ISO 8601."""

    place: Place
    mark: Mark
    published: str
    names: Names


def ways(url: str, config: str, package: str) -> Sequence[tuple[str, str]]:
    """For each tool one line that makes the repository at ``url`` known and installs from it, as root.

    ``config`` is the name of its ``.repo`` file; ``package`` is empty where nothing is listed yet.
    """
    what = shlex.quote(package) if package else "PACKAGE"
    source = shlex.quote(url + quote(config))
    file = f"/etc/yum.repos.d/{config}"
    fetch = f"aws s3 cp {source} {file}" if url.startswith("s3:") else f"curl -fsSo {file} {source}"
    zypper = f"{fetch.replace('yum.repos.d', 'zypp/repos.d')} && zypper install {what}"
    return [
        ("dnf", f"{fetch} && dnf install {what}"),
        ("zypper", zypper),
        ("yum", f"{fetch} && yum install {what}"),
    ]


Render = Callable[[Welcome], bytes]
"""Makes the page; equal values give equal bytes."""
