"""Where another repository lies: ``open_source`` is the way in."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from repod.elsewhere import Source
from repod.errors import Misconfigured
from repod.source.bases import Bases
from repod.source.directory import Directory
from repod.source.web import Web, Wire

Pause = Callable[[int], None]
"""Sleeps a little, longer for a higher number of the attempt."""


def open_source(text: str, pause: Pause) -> AbstractContextManager[Source]:
    """The repository at ``text``: a directory, or a ``file``, ``http`` or ``https`` URL; to be used as a context.

    Raises ``Misconfigured`` where it can be none of them. A URL may hold a user and a password.
    """
    scheme = urlsplit(text).scheme if "://" in text else ""
    wire = Wire(pause)
    if scheme in {"http", "https"}:
        return Bases(Web(wire, text), wire)
    if scheme not in {"", "file"}:
        msg = f"expected a directory or an http, https or file URL, found {scheme}://"
        raise Misconfigured(msg)
    root = Path(unquote(urlsplit(text).path)) if scheme else Path(text)
    if not root.is_dir():
        msg = (
            f"{root}: expected the directory of a repository, the one that holds repodata/; there is no such directory"
        )
        raise Misconfigured(msg)
    return Bases(Directory(root), wire)
