"""Clients that read a repository call by call, while others change it; and what they saw."""

import hashlib
import re
from collections.abc import Iterator
from typing import Literal
from xml.etree import ElementTree as ET

from repod.errors import NotFound
from repod.package import StorePath
from tests.histories.history import Look
from tests.histories.process import GRACE, SIGNER
from tests.histories.wire import Wire
from tests.lab import validity
from tests.lab.fakes import dearmor, verifies
from tests.lab.place import decompress

View = Literal["live", "mirrorlist", "metalink"]


class Torn(Exception):
    """Something that was named is not there, or is something else."""


class Late(Exception):
    """The client was so slow that it may not rely on anything any more."""


class Client:
    """One host. It fetches what an index names, for no longer than grace."""

    def __init__(self, name: str, wire: Wire) -> None:
        self.name = name
        self._wire = wire
        self._clock = wire.scheduler.clock
        self._until = 0.0

    def look(self, view: View) -> Look | None:
        """Read a view as a client with that kind of ``.repo`` file does, and all that it lists; None: too slow."""
        self._wire.alive(f"looks at {view}")
        began, self._until = self._wire.scheduler.step, self._clock.now + GRACE
        faults, seen = [], None
        try:
            generation, time, left = getattr(self, f"_{view}")()
            seen = (generation, time, self._wire.scheduler.step)
            for href, checksum in left:
                # What somebody asks for who holds this metadata.
                faults += [f"{href} is named, and is something else"] * (_sha256(self._sure(href)) != checksum)
        except Torn as torn:
            faults.append(str(torn))
        except Late:
            pass
        if seen is None and not faults:
            return None
        generation, time, ended = seen or (0, 0, self._wire.scheduler.step)
        return Look(
            by=self.name,
            repository=self._wire.truth.name,
            view=view,
            began=began,
            ended=ended,
            generation=generation,
            time=time,
            faults=faults,
        )

    def _live(self) -> tuple[int, int, Iterator[tuple[str, str]]]:
        index = self._sure(validity.LIVE)
        return _revision(index), _time(index), self._named(index, "")

    def _mirrorlist(self) -> tuple[int, int, Iterator[tuple[str, str]]]:
        match = re.search(rb"/generations/(\d+)/\n", self._sure("mirrorlist"))
        assert match
        return self._frozen(int(match[1]))

    def _metalink(self) -> tuple[int, int, Iterator[tuple[str, str]]]:
        text = self._sure("metalink.xml")
        match = re.search(rb"/generations/(\d+)/repodata/repomd\.xml</url>", text)
        assert match
        number, time, left = self._frozen(int(match[1]))
        root = ET.fromstring(text)
        checksum = next(root.iter(f"{validity.METALINK}hash")).text or ""

        def proven() -> Iterator[tuple[str, str]]:
            yield f"generations/{number}/{validity.LIVE}", checksum
            yield from left

        return number, time, proven()

    def _frozen(self, number: int) -> tuple[int, int, Iterator[tuple[str, str]]]:
        base = f"generations/{number}/"
        index, signature = self._sure(base + validity.LIVE), self._sure(base + validity.ASC)

        def left() -> Iterator[tuple[str, str]]:
            if not verifies(SIGNER.public_key, index, dearmor(signature)):
                raise Torn(f"{base} has a signature that is not its index's")
            yield from self._named(index, base)

        return number, _time(index), left()

    def _named(self, index: bytes, base: str) -> Iterator[tuple[str, str]]:
        """What an index names, and what its primary lists, by place and checksum."""
        packages: list[tuple[str, str]] = []
        for record in ET.fromstring(index):
            if record.tag != f"{validity.REPO}data":
                continue
            href = validity.href(record)
            yield base + href, record.findtext(f"{validity.REPO}checksum") or ""
            if record.get("type") == "primary":
                data = self._wire.truth.bytes(StorePath(base + href))
                packages = [*validity.packages(decompress(href, data), base)] if data else []
        yield from packages

    def _sure(self, path: str) -> bytes:
        """What lies there; ``Torn`` where nothing does, and ``Late`` where that may be so by now."""
        try:
            return self._wire.read(StorePath(path)).data
        except NotFound as error:
            if self._clock.now > self._until:
                raise Late from error
            raise Torn(f"{path} is named, and is not there") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _revision(index: bytes) -> int:
    return int(ET.fromstring(index).findtext(f"{validity.REPO}revision") or "")


def _time(index: bytes) -> int:
    """The newest of the times of the documents: what a client compares."""
    return max(int(one.text or "") for one in ET.fromstring(index).iter(f"{validity.REPO}timestamp"))
