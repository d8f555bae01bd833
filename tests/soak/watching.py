"""When each package is visible to a fresh client: the live index is asked again and again, and primary read anew."""

import gzip
import http.client
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Self
from urllib.parse import urlsplit

from tests.soak.plan import Drop

_LOOK = 0.1  # seconds between two looks at one repository
_ROUND = 0.02
_PRIMARY = re.compile(rb'<data type="primary">.*?<location href="([^"]+)"', re.DOTALL)
_HREF = re.compile(rb'<location href="(?:[^"]*/)?([^"/]+)\.rpm"')


class Watching:
    """Looks while it is used as a context. Only repositories in which something is awaited are asked.

    ``visible``: seconds from the beginning of a drop until it was seen, by its number; ``begun`` and ``at``: when it
    began, and was seen, by the clock that is monotonic.
    """

    def __init__(self, url: str) -> None:
        """``url``: of the daemon."""
        place = urlsplit(url)
        self._there = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        self._lock = threading.Lock()
        self._awaited: dict[str, dict[str, tuple[Drop, float]]] = defaultdict(dict)
        self._tags: dict[str, str] = {}
        self._looked: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fresh client")
        self.visible: dict[int, float] = {}
        self.begun: dict[int, float] = {}
        self.at: dict[int, float] = {}
        self.errors: list[str] = []

    def expect(self, drop: Drop, begun: float) -> None:
        """It is dropped now; what is bad, or comes again, is not looked for."""
        if not drop.fault and drop.of is None:
            with self._lock:
                self._awaited[drop.repository][drop.nvra] = (drop, begun)

    @property
    def waiting(self) -> int:
        """How many are not seen yet."""
        with self._lock:
            return sum(map(len, self._awaited.values()))

    def forget(self, nvras: Mapping[str, Iterable[str]]) -> None:
        """What came and went without having been seen."""
        with self._lock:
            for name, gone in nvras.items():
                for nvra in gone:
                    self._awaited[name].pop(nvra, None)

    def left(self) -> Mapping[str, Iterable[Drop]]:
        """What was never seen, by repository."""
        with self._lock:
            return {name: [drop for drop, _ in some.values()] for name, some in self._awaited.items() if some}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._there.close()

    def _run(self) -> None:
        while not self._stop.wait(_ROUND):
            with self._lock:
                names = [name for name, some in self._awaited.items() if some]
            for name in names:
                if time.monotonic() - self._looked.get(name, 0.0) >= _LOOK:
                    self._looked[name] = time.monotonic()
                    self._look(name)

    def _look(self, name: str) -> None:
        try:
            index = self._get(name, "repodata/repomd.xml")
            found = _PRIMARY.search(index) if index else None
            if found:
                listed = {one.decode() for one in _HREF.findall(gzip.decompress(self._get(name, found[1].decode())))}
                self._note(name, listed, time.monotonic())
        except (OSError, http.client.HTTPException, EOFError, AssertionError) as error:
            self.errors.append(f"the fresh client of {name}: {error!r}")
            self._there.close()
            self._tags.pop(name, None)  # so that primary is asked for again

    def _note(self, name: str, listed: set[str], now: float) -> None:
        with self._lock:
            for nvra in listed & self._awaited[name].keys():
                drop, begun = self._awaited[name].pop(nvra)
                self.visible[drop.number] = now - begun
                self.begun[drop.number], self.at[drop.number] = begun, now

    def _get(self, name: str, path: str) -> bytes:
        """The body; empty where the index is what it was."""
        index = path.endswith("repomd.xml")
        headers = {"If-None-Match": self._tags[name]} if index and name in self._tags else {}
        self._there.request("GET", f"/repos/{name}/{path}", headers=headers)
        with self._there.getresponse() as answer:
            body = answer.read()
            if answer.status == 304:
                return b""
            if answer.status in {302, 307}:
                return self._elsewhere(answer.headers["Location"])
            assert answer.status == 200, f"{path} answers {answer.status}: {body[:200]!r}"
            if index:
                self._tags[name] = answer.headers.get("ETag", "")
            return body

    @staticmethod
    def _elsewhere(url: str) -> bytes:
        place = urlsplit(url)
        there = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        there.request("GET", f"{place.path}?{place.query}")
        with there.getresponse() as answer:
            body = answer.read()
        there.close()
        assert answer.status == 200, f"{place.path} in the bucket answers {answer.status}"
        return body
