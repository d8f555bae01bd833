"""Where another repository lies: ``open_source`` is the way in."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from repod.config import S3
from repod.elsewhere import Source
from repod.errors import Misconfigured
from repod.source.bases import Bases
from repod.source.directory import Directory
from repod.source.web import Web, Wire
from repod.values import S3Place

Pause = Callable[[int], None]
"""Sleeps a little, longer for a higher number of the attempt."""


def open_source(text: str, pause: Pause, s3: S3 | None = None) -> AbstractContextManager[Source]:
    """The repository at ``text``, a directory or a ``file``, ``http``, ``https`` or ``s3`` URL, as a context.

    Raises ``Misconfigured`` where it can be none of them. A URL of a web server may hold a user and a
    password; ``s3`` says how buckets are reached.
    """
    scheme = urlsplit(text).scheme if "://" in text else ""
    wire = Wire(pause)
    if scheme in {"http", "https"}:
        return Bases(Web(wire, text), wire)
    if scheme == "s3" and (place := _bucket(text)):
        from repod.source.bucket import Prefix  # noqa: PLC0415 - it brings boto3

        return Bases(Prefix(place, (s3 or S3()).of(place.bucket), pause), wire)
    if scheme not in {"", "file"}:
        msg = f"expected a directory or an http, https, file or s3 URL, found {scheme}://"
        raise Misconfigured(msg)
    root = Path(unquote(urlsplit(text).path)) if scheme else Path(text)
    if not root.is_dir():
        msg = (
            f"{root}: expected the directory of a repository, the one that holds repodata/; there is no such directory"
        )
        raise Misconfigured(msg)
    return Bases(Directory(root), wire)


def _bucket(text: str) -> S3Place | None:
    try:
        return S3Place.parse(text)
    except ValueError as error:
        raise Misconfigured(str(error)) from error
