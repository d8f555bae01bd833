"""A daemon that also publishes many packages at once when its standard input says so.

``python -m tests.bench.answering make FILE COUNT RPM…`` writes that many entries, made of those of real packages
under ever new names; ``… run SETTINGS FILE`` is the daemon. It prints a line when it has read the file, and then one
for each line it is told: ``publish`` (all entries, in one generation), ``remove`` (all of them), ``follow`` (wait
until all that follows the current generation has caught up).
"""

import functools
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256 as digest
from pathlib import Path
from typing import Any

from repod.board import Board
from repod.bus import Bus
from repod.commands.common import opened
from repod.config import Settings, load
from repod.daemon import Daemon
from repod.doors import Change
from repod.log import open_log
from repod.metrics import Metrics
from repod.package import Entry, sha256
from repod.public import Public
from tests.bench.publisher import entry

_UP = ("repod_up", {"repository": "bench"})


def make(target: Path, count: int, paths: list[Path]) -> None:
    """Write the entries."""
    known = [entry(path) for path in paths]
    made = [_renamed(known[number % len(known)], number // len(known)) for number in range(count)]
    target.write_bytes(pickle.dumps(made))


def _renamed(known: Entry, number: int) -> Entry:
    """The same package under another name, with another checksum; as long as before."""
    package = known.package
    name = f"{package.nevra.name}-{number}"
    nevra = replace(package.nevra, name=name)
    pkgid = sha256(digest(f"{package.pkgid}{number}".encode()).hexdigest())
    texts = [
        text.replace(package.pkgid.encode(), pkgid.encode())
        .replace(f"<name>{package.nevra.name}</name>".encode(), f"<name>{name}</name>".encode())
        .replace(f' name="{package.nevra.name}"'.encode(), f' name="{name}"'.encode(), 1)
        .replace(package.href.encode(), nevra.location.encode())
        for text in (known.primary, known.filelists, known.other)
    ]
    renamed = replace(package, nevra=nevra, pkgid=pkgid, href=nevra.location)
    return replace(known, package=renamed, primary=texts[0], filelists=texts[1], other=texts[2])


def run(config: Path, file: Path) -> None:
    """The daemon."""
    entries: list[Entry] = pickle.loads(file.read_bytes())
    settings, log, metrics = load(config), open_log("json", "info"), Metrics("bench")
    bus, board = Bus(), Board()
    built: list[Public] = []

    def build(fresh: Settings) -> Public:
        built.append(Public(opened(fresh, log, metrics), metrics, log, bus=bus, board=board))
        return built[-1]

    def ready(url: str) -> None:
        print(url, flush=True)
        threading.Thread(target=_obey, args=(built[-1], entries), daemon=True).start()

    Daemon(
        settings=settings,
        read=functools.partial(load, config),
        build=build,
        metrics=metrics,
        log=log,
        environ=os.environ,
        ready=ready,
        bus=bus,
        board=board,
    ).run()
    os._exit(0)


def _obey(service: Public, entries: list[Entry]) -> None:
    publisher = service._system.repositories["bench"].publisher
    changes: dict[str, Callable[[], Change]] = {
        "publish": lambda: Change(entries=entries),
        "remove": lambda: Change(removed=[one.package.nevra for one in entries]),
    }
    for line in _lines(sys.stdin):
        if line == "follow":
            _follow(service)
        else:
            publisher.publish(changes[line](), actor="bench", why=line)
        print(line, flush=True)


def _follow(service: Public) -> None:
    """The first generation with packages is waited for too: at the start none is known yet."""
    follower, metrics = service.loops[0]._follower, service._metrics
    while True:
        caught = set(follower._done.values()) == {follower._history.pointed()}
        if caught and len(follower._done) == len(follower._steps) and metrics.registry.get_sample_value(*_UP):
            return
        follower.wake()
        time.sleep(0.1)


def _lines(stream: Any) -> Iterator[str]:
    for line in stream:
        yield line.strip()


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]), [Path(word) for word in sys.argv[4:]])
    else:
        run(Path(sys.argv[2]), Path(sys.argv[3]))
