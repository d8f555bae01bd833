"""Who else looks: Prometheus, people with status pages open, listeners of events, hosts with dnf."""

import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from repod.client.api import Api, open_api
from repod.client.hearing import hear
from repod.client.settings import Server, Settings
from repod.errors import RepodError
from repod.happenings import Kind
from tests.lab.clients import Dnf
from tests.soak.system import System

_PAGES = ("/", "/r/{}/", "/r/{}/generations", "/r/{}/rejected", "/r/{}/hosts", "/r/{}/n/{}-app1", "/repos/{}/")
_API = ("/api/v1/repositories", "/api/v1/repositories/{}/packages", "/api/v1/repositories/{}/generations")
_PAGE_SECONDS, _DNF_SECONDS = 1.0, 20.0

Series = tuple[str, tuple[tuple[str, str], ...]]
"""One series of /metrics: its name, its labels."""


class Onlookers:
    """Threads that look while this is used as a context; ``errors`` says what they did not get."""

    def __init__(self, system: System, folder: Path) -> None:
        """``folder``: where hosts lie."""
        self._system = system
        self._folder = folder
        self._stop = threading.Event()
        self._draw = random.Random(system.shape.seed)
        shape = system.shape
        self._threads = [threading.Thread(target=self._browse, name="browser")]
        self._threads += [threading.Thread(target=self._host, args=(number,)) for number in range(shape.hosts)]
        self.listeners = [_Listener(system.url, self._stop) for _ in range(shape.listeners)]
        self.pages = 0
        self.commands = 0
        self._errors: list[str] = []

    @property
    def errors(self) -> Sequence[str]:
        """What went wrong."""
        return [*self._errors, *(error for listener in self.listeners for error in listener.errors)]

    def __enter__(self) -> Self:
        self._folder.mkdir()
        for listener in self.listeners:
            listener.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for listener in self.listeners:
            listener.close()

    def _browse(self) -> None:
        while not self._stop.wait(_PAGE_SECONDS):
            name = self._draw.choice(self._system.shape.names)
            page = self._draw.choice([*_PAGES, *_API]).format(name, name)
            status, body = get(self._system.url + page)
            self.pages += 1
            # Before its first package a name has no page.
            if status != 200 and not (status == 404 and "/n/" in page):
                self._errors.append(f"{page} answers {status}: {body[:300]!r}")

    def _host(self, number: int) -> None:
        draw = random.Random(number)
        pause = min(_DNF_SECONDS, self._system.shape.seconds / 6)
        while not self._stop.wait(draw.uniform(0, pause)):
            name = draw.choice(self._system.shape.names)
            with Dnf(self._folder / f"host{number}", self._system.repod.repo_file(name)) as host:
                for words in (("--refresh", "makecache"), ("repoquery", "--available", "--qf", "%{name}")):
                    done = host.run(*words)
                    self.commands += 1
                    if done.rc:
                        self._errors.append(f"dnf {' '.join(words)} of {name} ended with {done.rc}: {done.out[-600:]}")


class _Over(Exception):
    """The run is over."""


class _Listener:
    """Hears all events, as ``repoctl events`` does, and holds that generations come one after the other."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._api: Api = open_api(Settings(server=Server(url=url)), {})
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._at: dict[str, int] = {}
        self.heard = Counter[str]()
        self.again = 0  # how often the stream was taken up anew
        self.errors: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Hear no more. The thread ends with its stream, when the daemon says that it is alive, or stops."""
        self._api.close()

    def _run(self) -> None:
        try:
            for event in hear(self._api, "", sleep=self._pause):
                self._note(event["source"], event["type"], event["data"])
                if self._stop.is_set():
                    return
        except (_Over, RepodError, RuntimeError) as error:
            if not self._stop.is_set():
                self.errors.append(f"a listener of events: {error!r}")

    def _pause(self, seconds: float) -> None:
        self.again += 1
        if self._stop.wait(seconds):
            raise _Over

    def _note(self, source: str, kind: str, data: Any) -> None:
        self.heard[kind] += 1
        if kind == Kind.PUBLISHED:
            first = last = data["generation"]
        elif kind == Kind.MISSED:
            first, last = data["first"], data["last"]
        else:
            return
        before = self._at.get(source)
        if before is not None and first != before + 1:
            self.errors.append(f"a listener heard of generation {first} of {source} after {before}")
        self._at[source] = last


def get(url: str, seconds: float = 60.0) -> tuple[int, bytes]:
    """Status and body; status 0, and why, where there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError as error:
        return 0, repr(error).encode()


def series_of(page: bytes) -> dict[Series, float]:
    """Every series of a page of metrics, with its value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def ticks(every: float, wait: Callable[[float], bool]) -> Iterator[float]:
    """Seconds since the first one, ``every`` so often, until ``wait`` says that it is over."""
    start = time.monotonic()
    yield 0.0
    while not wait(max(0.0, every - (time.monotonic() - start) % every)):
        yield time.monotonic() - start
