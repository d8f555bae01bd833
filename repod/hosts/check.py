"""`repod-s3 check`: whether this host has credentials, and whether they read what it is to read."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from repod.hosts.bucket import Buckets
from repod.hosts.faults import Absent, Fault
from repod.hosts.finding import Finding
from repod.hosts.place import Prefix, Target
from repod.hosts.settings import Listen, Settings

_INDEX = "repodata/repomd.xml"


def findings(settings: Settings) -> Iterator[Finding]:
    """Credentials first; without them nothing more is asked."""
    buckets = Buckets(settings)
    try:
        client = buckets.client()
    except Fault as fault:
        yield Finding("credentials", well=False, found=str(fault))
        return
    where = f"{client.meta.endpoint_url}, region {client.meta.region_name or 'by bucket'}"
    yield Finding("credentials", well=True, found=f"{buckets.identity}; {where}")
    if not settings.allow:
        yield Finding("allow", well=False, found="no prefix may be read; add one to allow in repod-s3.conf")
    for prefix in settings.allow:
        yield _readable(buckets, prefix)
    yield _listening(settings.listen)


def _readable(buckets: Buckets, prefix: Prefix) -> Finding:
    try:
        answer = buckets.get(Target(prefix.bucket, prefix.key + _INDEX, ""), {})
        size = sum(map(len, answer.body))
    except Absent as fault:
        # Where S3 says so of an object, reading is allowed: a prefix may hold repositories further down.
        found = "no such bucket" if "bucket" in str(fault).rpartition(": ")[2] else ""
        return Finding(
            str(prefix), well=not found, found=found or f"readable; no repository right here ({_INDEX} is not there)"
        )
    except Fault as fault:
        return Finding(str(prefix), well=False, found=str(fault))
    return Finding(str(prefix), well=True, found=f"readable, {_INDEX} of {size} bytes")


def _listening(address: Listen) -> Finding:
    """Whether the service answers; that it does not is no fault where only plugins are used."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
    try:
        connection.request("HEAD", "/")
        name = connection.getresponse().getheader("Server", "")
    except OSError:
        return Finding(
            "proxy",
            well=True,
            found=f"nothing listens on {address}; for http://{address}/BUCKET/ URLs: "
            "systemctl enable --now repod-s3.socket",
        )
    finally:
        connection.close()
    if "repod-s3" not in name:
        return Finding("proxy", well=False, found=f"another server listens on {address}; choose another listen")
    return Finding("proxy", well=True, found=f"listens on {address}")
