"""repod's own side of ``metadata``, each in a process of its own: ``python -m tests.bench.steady WHAT SETTINGS …``.

It is wired as the daemon is, from a settings file. Every call prints one JSON line.

- ``grow SETTINGS,SETTINGS… PATHS``: publish the packages of a list into each repository, thousands at once;
- ``start SETTINGS``: how long it takes to stand on the current generation;
- ``add SETTINGS ONES HUNDREDS``: publish the packages of a list one by one, then those of another by
  the hundred, which are taken out again, so that the size stays.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import structlog

from repod.config import load
from repod.doors import Change
from repod.generation import Generation
from repod.package import Entry
from repod.publish import Publisher
from repod.wiring import System
from tests.bench.measure import peak, resident
from tests.bench.publisher import entry

_AT_ONCE = 5000


@contextmanager
def _publisher(settings: str) -> Iterator[Publisher]:
    log = structlog.get_logger(wrapper_class=structlog.make_filtering_bound_logger(30))
    with System(load(Path(settings)), log=log, observe=lambda *_: None, environ=os.environ) as system:
        (wired,) = system.repositories.values()
        yield wired.publisher


def _paths(file: str) -> list[Path]:
    return [Path(line) for line in Path(file).read_text().splitlines()]


def _timed(act: Callable[[], Generation]) -> tuple[float, Generation]:
    start = time.perf_counter()
    generation = act()
    return time.perf_counter() - start, generation


def grow(settings: str, paths: str) -> dict[str, Any]:
    """Publish thousands at once; entries are made once for all repositories."""
    todo = _paths(paths)
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor())
        publishers = [stack.enter_context(_publisher(one)) for one in settings.split(",")]
        for publisher in publishers:
            publisher.open("bench")
        for at in range(0, len(todo), _AT_ONCE):
            entries = list(pool.map(entry, todo[at : at + _AT_ONCE], chunksize=50))
            for publisher in publishers:
                publisher.publish(Change(entries=entries), actor="bench", why="base")
    return {}


def start(settings: str) -> dict[str, Any]:
    """Seconds from nothing but the wiring to standing on the current generation."""
    with _publisher(settings) as publisher:
        seconds, _ = _timed(lambda: publisher.open("bench"))
        return {"seconds": seconds, "peak": peak(os.getpid())}


def add(settings: str, ones: str, hundreds: str) -> dict[str, Any]:
    """Seconds of each publish, and the documents as they lie in the store at the end."""
    with _publisher(settings) as publisher:
        publisher.open("bench")
        single = [_timed(_adding(publisher, [entry(path)]))[0] for path in _paths(ones)]
        rest = resident(os.getpid())
        many: list[float] = []
        paths = _paths(hundreds)
        for at in range(0, len(paths), 100):
            entries = [entry(path) for path in paths[at : at + 100]]
            many.append(_timed(_adding(publisher, entries))[0])
            gone = Change(removed=[one.package.nevra for one in entries])
            generation = publisher.publish(gone, actor="bench", why="taken out")
        written = [*(d.href for d in generation.documents), generation.view + generation.frozen.href]
        return {"one": single, "hundred": many, "rest": rest, "written": written}


def _adding(publisher: Publisher, entries: Sequence[Entry]) -> Callable[[], Generation]:
    return lambda: publisher.publish(Change(entries=entries), actor="bench", why="more")


if __name__ == "__main__":
    print(json.dumps({"grow": grow, "start": start, "add": add}[sys.argv[1]](*sys.argv[2:])))
