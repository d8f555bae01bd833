"""Which object a request names, and whether it may be read: pure, settled before anything is asked.

Names are raw inside. A client writes them encoded (dnf) or not (zypper leaves ``+`` as it is); they are
decoded once here, and encoded once by botocore.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from repod.hosts.faults import Absent, Malformed, Refused, WrongUse

FAKE_HOST = "s3.repod.invalid"
"""Stands in ``baseurl`` where the proxy is told by ``proxy=``: a constant URL keeps dnf's cache."""

_PLACE = re.compile(r"s3://([a-z0-9][a-z0-9._-]{2,62})(?:/(.*))?")
_ABSOLUTE = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_LOOPBACK = re.compile(r"(127(?:\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ENDS_OF_PATH = re.compile(r"[?#]")
_PRIVATE = ".repod"  # the daemon's own records
_MEDIA = "/media.1/media"
_MENTION = re.compile(rb"s3://([^\s<>\"']+)")


@dataclass(frozen=True)
class Prefix:
    """All objects of ``bucket`` whose key starts with ``key``, which is empty or ends with a slash."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """The prefix that ``s3://BUCKET/PREFIX/`` names; ``WrongUse`` where it names none."""
        match = _PLACE.fullmatch(text.strip())
        parts = [part for part in (match[2] or "").split("/") if part] if match else []
        if match is None or {".", ".."} & set(parts) or not text.isprintable():
            msg = f"allow: expected s3://BUCKET/PREFIX/, found {text.strip()!r}"
            raise WrongUse(msg)
        return cls(match[1], "".join(f"{part}/" for part in parts))

    def __str__(self) -> str:
        """As settings have it."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Target:
    """An object that may be read. ``base``: what stands before BUCKET/KEY in the URL that named it."""

    bucket: str
    key: str
    base: str

    def __str__(self) -> str:
        """As messages name it."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def names_places(self) -> bool:
        """Whether its content names URLs of the repository (``mirrorlist``, ``metalink.xml``)."""
        return self.key.rpartition("/")[2] in {"mirrorlist", "metalink.xml"}


def settle(request: str, host: str, own: str, allowed: Sequence[Prefix]) -> Target:
    """The object that a request line names.

    ``request`` is its target, in origin form or, as to a proxy, in absolute form, with one character
    per byte; ``host`` the header, ``own`` this proxy's HOST:PORT. ``Malformed``, ``Absent`` or
    ``Refused`` where there is none or it is below no allowed prefix.
    """
    base, path = _base(request, host, own)
    bucket, _, key = _settled(path).partition("/")
    if not key:
        msg = f"/{bucket}: expected /BUCKET/KEY, found no key; there are no listings"
        raise Absent(msg)
    target = Target(bucket, key, base)
    if not any(bucket == prefix.bucket and key.startswith(prefix.key) for prefix in allowed):
        known = " ".join(map(str, allowed)) or "nothing"
        msg = f"{target}: below no prefix that may be read ({known}); add it to allow in repod-s3.conf"
        raise Refused(msg)
    if _PRIVATE in key.split("/"):
        msg = f"{target}: repod's own records are not served to hosts"
        raise Refused(msg)
    if key.endswith(_MEDIA):
        # Where a host may not list the bucket S3 answers 403 for it, and zypper takes that for a failure.
        msg = f"{target}: this is no medium; zypper only asks whether it is one"
        raise Absent(msg)
    return target


def _base(request: str, host: str, own: str) -> tuple[str, str]:
    """What stands before the path, and the path, without query and fragment."""
    match = _ABSOLUTE.match(request)
    if match is None:
        # A page in a browser on this host may have a name of its own point at loopback.
        if host and not _LOOPBACK.fullmatch(host):
            msg = f"Host: {host}: expected {own}; this is no proxy for other hosts"
            raise Refused(msg)
        return f"http://{host or own}/", _ENDS_OF_PATH.split(request, maxsplit=1)[0]
    if match[1].lower() != "http" or match[2].lower() not in {FAKE_HOST, f"{FAKE_HOST}:80"}:
        msg = f"{match[1]}://{match[2]}/: expected http://{FAKE_HOST}/BUCKET/KEY; this is no proxy for other hosts"
        raise Refused(msg)
    return f"http://{FAKE_HOST}/", _ENDS_OF_PATH.split(match[3], maxsplit=1)[0]


def _settled(path: str) -> str:
    """The path decoded once, then without dot segments and empty ones (RFC 3986, section 5.2.4)."""
    try:
        text = unquote_to_bytes(path.encode("latin-1")).decode()
    except UnicodeError:
        msg = f"{path!r}: expected a path in UTF-8"
        raise Malformed(msg) from None
    if not text.startswith("/") or _CONTROL.search(text):
        msg = f"{path!r}: expected /BUCKET/KEY without control characters"
        raise Malformed(msg)
    kept: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if not kept:
                msg = f"{path!r}: climbs above the root"
                raise Malformed(msg)
            kept.pop()
        elif part not in {"", "."}:
            kept.append(part)
    return "/".join(kept)


def rewritten(content: bytes, base: str) -> bytes:
    """``content`` of a ``mirrorlist`` or ``metalink.xml`` with every s3:// URL as one of this proxy.

    So a repository whose ``url`` is ``s3://BUCKET/PREFIX/`` is right for every host, however it reaches
    the bucket.
    """

    def named(match: re.Match[bytes]) -> bytes:
        return base.encode() + quote(match[1], safe="/&;%").encode()

    changed = _MENTION.sub(named, content)
    return changed if changed == content else re.sub(rb'\b(protocol|type)="s3"', rb'\1="http"', changed)
