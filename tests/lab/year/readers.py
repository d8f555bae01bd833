"""Clients of the simulated year: each holds metadata that it fetched once, and fetches packages by it."""

import re
from xml.etree import ElementTree as ET

from repod.package import StorePath
from tests.lab import validity
from tests.lab.place import decompress
from tests.lab.year.repository import Repository

_PACKAGE = re.compile(
    rb'<checksum type="sha256" pkgid="YES">([0-9a-f]{64})</checksum>.*?<location href="(?:\.\./\.\./)?([^"]+)"',
    re.DOTALL,
)

_LATE = 0.9  # of grace: until then it fetches one package at a time, then all


class Reader:
    """A client with the metadata of one moment. ``frozen``: it reads mirrorlist and a frozen view, as dnf can."""

    def __init__(self, repository: Repository, *, frozen: bool) -> None:
        self._repository = repository
        self._frozen = frozen
        self._read_at = 0.0
        self._done = False
        self._packages: list[tuple[str, str]] = []
        self.refresh()

    def live(self, choice: float) -> None:
        """Fetch one of the packages, by ``choice`` from 0 to 1; all of them once, shortly before grace ends."""
        age = self._repository.clock() - self._read_at
        if age > self._repository.grace:
            self.refresh()
        elif age > self._repository.grace * _LATE and not self._done:
            self._done = True
            for href, pkgid in self._packages:
                self._repository.fetch(href, pkgid)
        elif self._packages:
            self._repository.fetch(*self._packages[int(choice * len(self._packages))])

    def refresh(self) -> None:
        """Fetch index and primary, as they are now."""
        base = self._newest() if self._frozen else ""
        index = self._get(base + validity.LIVE)
        record = next(row for row in ET.fromstring(index) if row.get("type") == "primary")
        href = validity.href(record)
        listed = _PACKAGE.findall(decompress(href, self._get(base + href)))
        self._packages = [(place.decode(), pkgid.decode()) for pkgid, place in listed]
        assert len(self._packages) == len(self._repository.content)
        self._read_at, self._done = self._repository.clock(), False

    def _newest(self) -> str:
        url = self._get("mirrorlist").decode().strip()
        return url[url.index("generations/") :]

    def _get(self, path: str) -> bytes:
        return self._repository.inner.read(StorePath(path)).data
