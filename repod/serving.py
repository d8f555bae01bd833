"""Joins what the listener serves: the files of each repository, and who may read them."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from repod.access import METRICS, READ, Rules, Scope
from repod.callers.known import Known
from repod.config import Settings
from repod.values import S3Place
from repod.web.desk import Desk
from repod.web.gate import Access
from repod.web.shelves import LocalShelf, Shelf
from repod.web.site import Site

_THREADS = 8
_WAITING = 256


def open_desk() -> Desk:
    """The threads that speak with S3 for hosts: a bucket that hangs takes these and no others."""
    return Desk(threads=_THREADS, waiting=_WAITING)


def open_shelves(settings: Settings, desk: Desk) -> Mapping[str, Shelf]:
    """The files of each repository."""
    shelves: dict[str, Shelf] = {}
    for repository in settings.repository:
        place = S3Place.parse(repository.store)
        if place is None:
            shelves[repository.name] = LocalShelf(Path(repository.store), _handed(settings, repository.name))
        else:
            from repod.web.bucket import BucketShelf  # noqa: PLC0415 - it brings boto3

            bucket = settings.s3.of(place.bucket)
            shelves[repository.name] = BucketShelf(place, bucket, links=settings.http.links, desk=desk)
    return shelves


def _handed(settings: Settings, name: str) -> str:
    accel = settings.http.accel
    return f"{accel}{name}/" if accel else ""


def open_access(settings: Settings) -> Access:
    """Who may do what."""
    http = settings.http
    anyone = {READ} if http.access == "open" else set()
    if http.metrics_open:
        anyone.add(METRICS)
    scopes = {one.name: Scope(public=one.public, readers=one.readers) for one in settings.repository}
    rules = Rules(open=frozenset(anyone), scopes=scopes, pages=http.pages, host_names=http.host_names_open)
    return Access(rules=rules, callers=Known(http))


def open_site(settings: Settings, urls: Mapping[str, str]) -> Site:
    """By which names the listener is called; ``urls`` of each repository name it too."""
    names = {"localhost", settings.http.host, *settings.http.hosts}
    names |= {urlsplit(url).hostname or "" for url in urls.values()}
    return Site(
        hosts=frozenset(name.lower().rstrip(".") for name in names if name), urls=urls, proxies=settings.http.proxies
    )
