"""How an object of a repository is served: its content type, and how long a cache may keep it.

Nothing ever has a ``Content-Encoding``: a client that honours it unpacks ``primary.xml.gz``, and its checksum
is wrong.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from repod.package import StorePath

# Names that contain their own checksum, and packages: never other bytes under the same name.
_IMMUTABLE = re.compile(r"(.*/)?repodata/[0-9a-f]{64}-[^/]+|Packages/.+", re.DOTALL)
_MIRRORLIST = "mirrorlist"
_FOREVER = "public, max-age=31536000, immutable"
_ALWAYS_ASK = "no-cache"
_TYPES: Mapping[str, str] = {
    ".rpm": "application/x-rpm",
    ".gz": "application/gzip",
    ".zst": "application/zstd",
    ".xml": "application/xml",
    ".asc": "application/pgp-signature",
    ".key": "application/pgp-keys",
    ".repo": "text/plain",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """``type`` and ``cache`` are the headers Content-Type and Cache-Control; ``immutable``: never other bytes."""

    type: str
    cache: str
    immutable: bool


def served(path: StorePath) -> Served:
    """How the object at ``path`` is served."""
    suffix = posixpath.splitext(path)[1]
    kind = "text/plain" if path == _MIRRORLIST else _TYPES.get(suffix, "application/octet-stream")
    immutable = bool(_IMMUTABLE.fullmatch(path))
    return Served(type=kind, cache=_FOREVER if immutable else _ALWAYS_ASK, immutable=immutable)
