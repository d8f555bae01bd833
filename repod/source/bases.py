"""A source with all the places that its packages' ``xml:base`` names."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import unquote, urljoin, urlsplit

from repod.errors import Misconfigured, NotFound
from repod.source.directory import Directory
from repod.source.web import Web, Wire


class Own(Protocol):
    """Files under raw hrefs that are read without a web server, and what is called relative to them."""

    name: str

    def size(self, href: str) -> int | None:
        """See ``Source.size``."""

    def open(self, href: str) -> Iterator[bytes]:
        """See ``Source.open``."""

    def path(self, href: str, /) -> Path | None:
        """See ``Source.path``."""

    def below(self, base: str) -> Self:
        """The same from a relative ``xml:base`` on."""


_Place = Own | Web


class Bases:
    """``Source`` over a repository's own place and others; use it as a context."""

    def __init__(self, own: _Place, wire: Wire) -> None:
        """``own``: what hrefs without ``xml:base`` speak of; ``wire`` is closed with this."""
        self.name = own.name
        self._own = own
        self._wire = wire
        self._others: dict[str, _Place] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._wire.close()

    def size(self, href: str, base: str = "") -> int | None:
        """See ``Source.size``."""
        return self._at(base).size(href)

    def open(self, href: str, base: str = "") -> Iterator[bytes]:
        """See ``Source.open``."""
        return self._at(base).open(href)

    def path(self, href: str, base: str = "") -> Path | None:
        """See ``Source.path``."""
        return self._at(base).path(href)

    def _at(self, base: str) -> _Place:
        if not base:
            return self._own
        with self._lock:
            if base not in self._others:
                self._others[base] = self._place(base)
            return self._others[base]

    def _place(self, base: str) -> _Place:
        scheme = urlsplit(base).scheme
        if scheme in {"http", "https"}:
            return self._web(base)
        if not scheme:
            own = self._own
            return self._web(urljoin(self.name, base)) if isinstance(own, Web) else own.below(base)
        # What a server on the network says must not make this machine read its own files.
        if scheme == "file" and isinstance(self._own, Directory):
            return Directory(Path(unquote(urlsplit(base).path)))
        raise NotFound(f"its xml:base {base} is no place that can be read from here")

    def _web(self, base: str) -> Web:
        try:
            place = Web(self._wire, base)
        except Misconfigured as error:
            raise NotFound(f"its xml:base is no place that can be read: {error}") from error
        if isinstance(self._own, Web) and place.auth is None and place.origin == self._own.origin:
            place.auth = self._own.auth
        return place
